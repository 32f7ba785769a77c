"""A signing desk over a file of keys, and honest drafts to begin with."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ecard_card import cwt, jose, sd_jwt, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef, card_type
from ecard_card.status_list import StatusList
from ecard_keys.desk.desk import LocalDesk, SigningRules
from ecard_keys.desk.journal import Journal
from ecard_keys.desk.quotas import Quotas
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_verifier.feed import FeedBeat, draft_event

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
T = int(NOW.timestamp())
ISSUER = "https://issuer.example"
LISTS = "https://issuer.example/status-lists/{list}"
PASSPHRASE = b"only for tests, in a temporary folder"
RULES = SigningRules(ISSUER, LISTS, ("330000",), timedelta(days=400), timedelta(days=2))
POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
CREDENTIAL = Credential(
    issuer=ISSUER,
    credential_id=bytes(range(16)),
    device_key=POINT,
    issued_at=T,
    expires_at=T + 365 * 86_400,
    status=StatusRef("https://issuer.example/status-lists/7", 7, 4711),
    assurance=ChipAssurance.SIGNATURE,
    vct=card_type(ISSUER),
    region="330106",
    claims={"name": "x", "card_number": "y"},
)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Bench:
    """One desk with one key of each purpose."""

    folder: Path
    algorithm: Algorithm = Algorithm.ES256
    clock: Clock = field(default_factory=Clock)
    quotas: Quotas = field(default_factory=Quotas)
    rules: SigningRules = RULES

    def __post_init__(self) -> None:
        self.home = FileKeyHome(self.folder / "keys.json", PASSPHRASE, algorithm=self.algorithm)
        self.journal = Journal(self.folder / "journal")
        self.keys = {purpose: self.home.create(purpose, NOW) for purpose in KeyPurpose if purpose in _SIGNING}
        self.desk = LocalDesk(self.home, [self.rules], self.journal, self.quotas, self.clock)

    @property
    def kid(self) -> str:
        return self.keys[KeyPurpose.CREDENTIAL]

    def pair(self, credential: Credential = CREDENTIAL, other: Credential | None = None) -> list[bytes]:
        """The drafts of `credential`; `other` is what the SD-JWT says instead."""
        compact = cwt.draft(credential, bytes.fromhex(self.kid), self.algorithm)
        salt = lambda: secrets.token_bytes(16)  # noqa: E731
        selective = sd_jwt.draft(other or credential, self.kid, salt, self.algorithm)
        return [compact.signing_input, selective.signing_input]

    def status_jwt(
        self, uri: str = "https://issuer.example/status-lists/7", issued_at: int = T, life: int = 86_400, ttl: int = 60
    ) -> bytes:
        kid = self.keys[KeyPurpose.STATUS]
        statuses = StatusList(64)
        statuses.set(5, 1)
        return status_token.jwt_draft(
            uri, statuses, kid, issued_at, issued_at + life, ttl, algorithm=self.algorithm
        ).signing_input

    def status_cwt(
        self, uri: str = "https://issuer.example/status-lists/7", issued_at: int = T, life: int = 86_400, ttl: int = 60
    ) -> bytes:
        kid = bytes.fromhex(self.keys[KeyPurpose.STATUS])
        return status_token.cwt_draft(
            uri, StatusList(64), kid, issued_at, issued_at + life, ttl, algorithm=self.algorithm
        ).signing_input

    def event(self, body: object = FeedBeat(T), **changes: object) -> bytes:
        about: dict[str, object] = {
            "issuer": ISSUER,
            "kid": self.keys[KeyPurpose.EVENT],
            "event_id": "0" * 32,
            "issued_at": T,
            "seq": 3,
            "previous": jose.b64url_encode(bytes(32)),
            "algorithm": self.algorithm,
        }
        return draft_event(body, **{**about, **changes}).signing_input  # type: ignore[arg-type]


def altered(draft: bytes, change: Callable[[dict[str, object]], object], *, part: int = 1) -> bytes:
    """A JWS signing input whose payload (or header, `part=0`) `change` has had."""
    parts = [json.loads(jose.b64url_decode(text)) for text in draft.decode().split(".")]
    change(parts[part])
    return ".".join(jose.b64url_encode(jose.dump_json(item)) for item in parts).encode()


def said(**changes: object) -> Credential:
    return replace(CREDENTIAL, **changes)  # type: ignore[arg-type]


def members(draft: bytes) -> Mapping[str, object]:
    return json.loads(jose.b64url_decode(draft.decode().split(".")[1]))  # type: ignore[no-any-return]


_SIGNING = {KeyPurpose.CREDENTIAL, KeyPurpose.STATUS, KeyPurpose.EVENT, KeyPurpose.STATEMENT}
