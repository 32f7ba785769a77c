"""What the issuer publishes, all of it derived from the register and to be rebuilt at any time.

Status list tokens (draft-ietf-oauth-status-list-21) as JWT and CWT, the key metadata of SD-JWT VC
(`/.well-known/jwt-vc-issuer`), and the offline bundle.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ecard_card import jose, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.credential import Unsigned
from ecard_card.errors import NotFound
from ecard_card.status_list import StatusList
from ecard_issuer.keyring import KeyRing
from ecard_issuer.ports import Statuses
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import list_uri
from ecard_verifier.bundle import make_bundle

#: A list is signed anew when a status changed, when its key changed, after this share of its life, and at the latest
#: after so many seconds: a verifier that fetches it knows statuses as of then.
RENEWALS_PER_LIFE: Final = 48
LONGEST_PAUSE: Final = 300
_PUBLISHED: Final = frozenset({KeyState.NEXT, KeyState.ACTIVE, KeyState.VERIFY_ONLY})


class Form(StrEnum):
    """The media types of a status list token."""

    JWT = "application/statuslist+jwt"
    CWT = "application/statuslist+cwt"


@dataclass(frozen=True, slots=True)
class Published:
    """A signed document as served. `etag` is a strong one, quotes included; `max_age` in seconds."""

    body: bytes = field(repr=False)
    media_type: str
    etag: str
    max_age: int


@dataclass(frozen=True, slots=True)
class _Made:
    version: int
    kid: str
    issued_at: int
    document: Published


class Publisher:
    """Publishes status lists from the register's entries. `ttl` in seconds, `life` in seconds. Safe in threads."""

    def __init__(
        self, register: Statuses, keys: KeyRing, signing: SigningDesk, *, ttl: int = 60, life: int = 86400
    ) -> None:
        self._register = register
        self._keys = keys
        self._signing = signing
        self._ttl = ttl
        self._life = life
        self._made: dict[tuple[int, Form], _Made] = {}
        self._packed: dict[int, tuple[int, StatusList]] = {}
        self._making = threading.Lock()

    def status_list(self, list_id: int, form: Form, now: datetime, *, oldest: int | None = None) -> Published:
        """The token of list `list_id`, at most `oldest` seconds old (default: 5 min, or a 48th of its life).

        Raises `NotFound` `status_list_unknown`, `Unavailable` when register or signer is away.
        """
        version = self._version(list_id)
        key = self._keys.active(KeyPurpose.STATUS)
        seconds = int(now.timestamp())
        limit = min(self._life // RENEWALS_PER_LIFE, LONGEST_PAUSE) if oldest is None else oldest
        made = self._made.get((list_id, form))
        if made is None or not self._usable(made, version, key, seconds, limit):
            with self._making:  # one maker; the others find its work
                made = self._made.get((list_id, form))
                if made is None or not self._usable(made, version, key, seconds, limit):
                    made = self._make(list_id, form, key, now)
                    self._made[list_id, form] = made
        return made.document

    def jwt_vc_issuer(self) -> dict[str, object]:
        """JWT VC issuer metadata: our name and the credential keys, for generic SD-JWT VC clients."""
        keys = [
            public_jwk(record)
            for record in self._keys.records()
            if record.purpose is KeyPurpose.CREDENTIAL and record.state in _PUBLISHED
        ]
        return {"issuer": self._keys.identity.issuer, "jwks": {"keys": keys}}

    def trust_list(self) -> Published:
        """The newest trust list. Verifiers ask for it with its ETag whenever they like."""
        document = self._keys.document()
        return Published(document, "application/jose+json", _etag(document), 0)

    def bundle(self, now: datetime) -> Published:
        """The offline bundle of this moment; its status lists are at most `ttl` seconds old."""
        tokens = []
        after = -1
        while lists := self._register.status_lists(after):
            for row in lists:
                tokens.append(self.status_list(row.list_id, Form.JWT, now, oldest=self._ttl).body.decode())
            after = lists[-1].list_id
        board = self._keys.board
        chain = board.root_documents()
        chain = chain[: len(chain) - len(board.chain())]  # up to the root of the list that is in the bundle
        body = make_bundle(board.root(), board.document(), tokens, made_at=now, chain=chain)
        return Published(body, "application/json", _etag(body), self._ttl)

    def _version(self, list_id: int) -> int:
        found = self._register.status_lists(after=list_id - 1, limit=1)
        if not found or found[0].list_id != list_id:
            raise NotFound("status_list_unknown", "this issuer has no list of that number")
        return found[0].version

    def _usable(self, made: _Made, version: int, key: KeyRecord, seconds: int, oldest: int) -> bool:
        return made.version >= version and made.kid == key.kid and 0 <= seconds - made.issued_at <= oldest

    def _make(self, list_id: int, form: Form, key: KeyRecord, now: datetime) -> _Made:
        seconds = int(now.timestamp())
        version, statuses = self._statuses(list_id)
        uri = list_uri(self._keys.identity.status_uri, list_id)
        end = seconds + self._life
        algorithm = Algorithm(key.algorithm)
        draft: Unsigned
        if form is Form.JWT:
            draft = status_token.jwt_draft(uri, statuses, key.kid, seconds, end, self._ttl, algorithm=algorithm)
        else:
            kid = bytes.fromhex(key.kid)
            draft = status_token.cwt_draft(uri, statuses, kid, seconds, end, self._ttl, algorithm=algorithm)
        signatures = self._signing.sign(SigningProfile.STATUS_LIST, key.kid, [draft.signing_input], now)
        token = draft.complete(signatures[0])
        body = token.encode() if isinstance(token, str) else token
        return _Made(version, key.kid, seconds, Published(body, form.value, _etag(body), self._ttl))

    def _statuses(self, list_id: int) -> tuple[int, StatusList]:
        """The bits of the list, and a version that they are at least as new as."""
        snapshot = self._register.status_snapshot(list_id)
        held = self._packed.get(list_id)
        if held is not None and held[0] == snapshot.version:
            return held
        statuses = StatusList(snapshot.size)
        for index, value in snapshot.entries:
            statuses.set(index, int(value))
        self._packed[list_id] = (snapshot.version, statuses)
        return snapshot.version, statuses


def public_jwk(record: KeyRecord) -> dict[str, str]:
    """The JWK of one of our keys, as JWKS consumers want it."""
    members = jose.jwk_of(record.public, Algorithm(record.algorithm))
    return {**members, "kid": record.kid, "use": "sig", "alg": record.algorithm}


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
