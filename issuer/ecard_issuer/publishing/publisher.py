"""What the issuer publishes, all of it derived from the register and to be rebuilt at any time.

Status list tokens (draft-ietf-oauth-status-list-21) as JWT and CWT, the key metadata of SD-JWT VC
(`/.well-known/jwt-vc-issuer`), and the offline bundle.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ecard_card import jose, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.credential import Unsigned
from ecard_card.errors import NotFound
from ecard_card.status_list import EncodedList, StatusList
from ecard_issuer.keyring import KeyRing
from ecard_issuer.publishing.ports import PublishedState
from ecard_issuer.rows import StatusListRow
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import list_uri
from ecard_verifier.bundle import make_bundle
from ecard_verifier.feed import STREAM

#: A list is signed anew when a status changed, when its key changed, after this share of its life, and at the latest
#: after so many seconds: a verifier that fetches it knows statuses as of then.
RENEWALS_PER_LIFE: Final = 48
LONGEST_PAUSE: Final = 300
#: Lists drafted and signed in one call of the desk: few calls for a nation's lists, and few megabytes at a time.
BATCH: Final = 64
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


#: What a bundle is made of: the trust list, all signed roots, the lists' ETags.
_Parts = tuple[bytes, tuple[bytes, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Made:
    version: int
    kid: str
    issued_at: int
    document: Published


class Publisher:
    """Publishes status lists from the register's entries. `ttl` in seconds, `life` in seconds. Safe in threads.

    A list is encoded when its entries changed and signed anew more often, from the bytes that are kept.
    """

    def __init__(
        self, register: PublishedState, keys: KeyRing, signing: SigningDesk, *, ttl: int = 60, life: int = 86400
    ) -> None:
        self._register = register
        self._keys = keys
        self._signing = signing
        self._ttl = ttl
        self._life = life
        self._made: dict[tuple[int, Form], _Made] = {}
        self._encoded: dict[int, tuple[int, EncodedList]] = {}
        self._bundle: tuple[_Parts, Published] | None = None
        self._making = threading.Lock()

    @property
    def oldest(self) -> int:
        """Seconds after which a list is signed anew though nothing changed: 5 minutes, or a 48th of its life."""
        return min(self._life // RENEWALS_PER_LIFE, LONGEST_PAUSE)

    def status_list(self, list_id: int, form: Form, now: datetime, *, oldest: int | None = None) -> Published:
        """The token of list `list_id`, at most `oldest` seconds old (default: as the property says).

        Raises `NotFound` `status_list_unknown`, also for a list that has ended: every credential on it has expired;
        `Unavailable` when register or signer is away.
        """
        return self._tokens([self._row(list_id, now)], form, now, oldest)[0]

    def refresh(self, now: datetime) -> int:
        """Sign anew whatever was changed or has grown old, so that nobody who asks waits for it; returns how many.

        The form that bundles carry of every list, the other one where it was asked for before.
        """
        rows = self._live(now)
        known = {row.list_id for row in rows}
        with self._making:
            self._made = {key: made for key, made in self._made.items() if key[0] in known}
            self._encoded = {list_id: held for list_id, held in self._encoded.items() if list_id in known}
            before = dict(self._made)
        self._tokens(rows, Form.JWT, now, None)
        self._tokens([row for row in rows if (row.list_id, Form.CWT) in before], Form.CWT, now, None)
        with self._making:
            return sum(made is not before.get(key) for key, made in self._made.items())

    def aggregation(self, now: datetime) -> Published:
        """Where all lists are (draft-ietf-oauth-status-list-21 §9), those without a live credential left out."""
        uris = [list_uri(self._keys.identity.status_uri, row.list_id) for row in self._live(now)]
        body = jose.dump_json({"status_lists": uris})
        return Published(body, "application/json", _etag(body), self._ttl)

    def jwt_vc_issuer(self) -> dict[str, object]:
        """JWT VC issuer metadata: our name, the credential keys and where all status lists are named, for generic
        SD-JWT VC clients."""
        keys = [
            public_jwk(record)
            for record in self._keys.records()
            if record.purpose is KeyPurpose.CREDENTIAL and record.state in _PUBLISHED
        ]
        issuer = self._keys.identity.issuer
        aggregation = f"{issuer}/status-lists"
        return {"issuer": issuer, "jwks": {"keys": keys}, "status_list_aggregation_endpoint": aggregation}

    def trust_list(self) -> Published:
        """The newest trust list. Verifiers ask for it with its ETag whenever they like."""
        document = self._keys.document()
        return Published(document, "application/jose+json", _etag(document), 0)

    def bundle(self, now: datetime) -> Published:
        """The offline bundle of this moment; its status lists are at most `ttl` seconds old.

        Verifying all of it costs a hundred times what handing it out does: it is made anew when a part of it is.
        """
        documents = self._tokens(self._live(now), Form.JWT, now, self._ttl)
        board = self._keys.board
        chain, trust_list = board.root_documents(), board.document()
        parts = (trust_list, chain, tuple(document.etag for document in documents))
        held = self._bundle
        if held is None or held[0] != parts:
            tokens = (document.body.decode() for document in documents)
            chain = chain[: len(chain) - len(board.chain())]  # up to the root of the list that is in the bundle
            body = make_bundle(board.root(), trust_list, tokens, made_at=now, chain=chain)
            held = self._bundle = (parts, Published(body, "application/json", _etag(body), self._ttl))
        return held[1]

    def _row(self, list_id: int, now: datetime) -> StatusListRow:
        found = self._register.status_lists(after=list_id - 1, limit=1)
        if not found or found[0].list_id != list_id or found[0].ended(now):
            raise NotFound("status_list_unknown", "this issuer has no list of that number")
        return found[0]

    def _live(self, now: datetime) -> list[StatusListRow]:
        rows: list[StatusListRow] = []
        while found := self._register.status_lists(rows[-1].list_id if rows else -1):
            rows += found
        return [row for row in rows if not row.ended(now)]

    def _tokens(self, rows: Sequence[StatusListRow], form: Form, now: datetime, oldest: int | None) -> list[Published]:
        """The tokens of `rows`, in their order; those that must be made are signed together."""
        limit = self.oldest if oldest is None else oldest
        documents: list[Published] = []
        for place in range(0, len(rows), BATCH):
            batch = rows[place : place + BATCH]
            key = self._keys.active(KeyPurpose.STATUS)
            found = [self._usable(row, form, key, now, limit) for row in batch]
            if None in found:
                with self._making:  # one maker; the others find its work
                    missing = [row for row in batch if not self._usable(row, form, key, now, limit)]
                    self._make(missing, form, key, now)
                    found = [self._made[row.list_id, form] for row in batch]
            documents += [made.document for made in found if made is not None]
        return documents

    def _usable(self, row: StatusListRow, form: Form, key: KeyRecord, now: datetime, oldest: int) -> _Made | None:
        made = self._made.get((row.list_id, form))
        if made is None or made.version < row.version or made.kid != key.kid:
            return None
        return made if 0 <= int(now.timestamp()) - made.issued_at <= oldest else None

    def _make(self, rows: Sequence[StatusListRow], form: Form, key: KeyRecord, now: datetime) -> None:
        """Draft and sign the lists of `rows` in one batch."""
        if not rows:
            return
        seconds = int(now.timestamp())
        # First how far the feed is, then the entries: whatever stands in the feed by then is in the list.
        position = self._register.feed_head(STREAM)
        encoded = [self._list(row) for row in rows]
        drafts = [
            self._draft(row.list_id, form, key, seconds, position, statuses)
            for row, (_, statuses) in zip(rows, encoded, strict=True)
        ]
        inputs = [draft.signing_input for draft in drafts]
        signatures = self._signing.sign(SigningProfile.STATUS_LIST, key.kid, inputs, now)
        for row, (version, _), draft, signature in zip(rows, encoded, drafts, signatures, strict=True):
            token = draft.complete(signature)
            body = token.encode() if isinstance(token, str) else token
            document = Published(body, form.value, _etag(body), self._ttl)
            self._made[row.list_id, form] = _Made(version, key.kid, seconds, document)

    def _draft(
        self, list_id: int, form: Form, key: KeyRecord, seconds: int, position: int, statuses: EncodedList
    ) -> Unsigned:
        uri = list_uri(self._keys.identity.status_uri, list_id)
        times = (seconds, seconds + self._life, self._ttl)
        algorithm = Algorithm(key.algorithm)
        if form is Form.JWT:
            return status_token.jwt_draft(uri, statuses, key.kid, *times, algorithm=algorithm, position=position)
        return status_token.cwt_draft(uri, statuses, bytes.fromhex(key.kid), *times, algorithm=algorithm)

    def _list(self, row: StatusListRow) -> tuple[int, EncodedList]:
        """The list as it is now, compressed, and a version that it is at least as new as.

        `row` was read before the place in the feed, so its version is not enough to go by.
        """
        version = self._row_version(row.list_id)
        held = self._encoded.get(row.list_id)
        if held is not None and held[0] >= version:
            return held
        snapshot = self._register.status_snapshot(row.list_id)
        statuses = StatusList(snapshot.size)
        for index, value in snapshot.entries:
            statuses.set(index, int(value))
        made = (snapshot.version, EncodedList(statuses.bits, statuses.compressed()))
        self._encoded[row.list_id] = made
        return made

    def _row_version(self, list_id: int) -> int:
        (row,) = self._register.status_lists(after=list_id - 1, limit=1)
        return row.version


def public_jwk(record: KeyRecord) -> dict[str, str]:
    """The JWK of one of our keys, as JWKS consumers want it."""
    members = jose.jwk_of(record.public, Algorithm(record.algorithm))
    return {**members, "kid": record.kid, "use": "sig", "alg": record.algorithm}


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
