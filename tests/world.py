"""A small authority in memory for tests: real keys, real signatures, no server.

`World` makes what an issuer would make; a test bends one thing and asks what `check` says of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ecard_card import cwt, sd_jwt, status_token
from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef, card_type
from ecard_card.errors import CheckFailed
from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_keys.trust import trust_list
from ecard_keys.trust.root import TrustRoot
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_sdk.device import DeviceKey
from ecard_verifier.statuses import StatusReading, StatusSnapshot
from tests.root_holders import Holder, root_of, sign_list

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ISSUER = "https://issuer.example"
STATUS_URI = "https://issuer.example/status-lists/{list}"
LIST_SIZE = 1024
REGION = "330100"


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@dataclass
class World:
    """One issuer with a key per purpose, three root keys (two must sign), and one status list."""

    issuer: str = ISSUER
    status_uri: str = STATUS_URI
    now: datetime = NOW
    regions: tuple[str, ...] = ("000000",)
    credential_key: EphemeralSigner = field(default_factory=EphemeralSigner)
    status_key: EphemeralSigner = field(default_factory=EphemeralSigner)
    event_key: EphemeralSigner = field(default_factory=EphemeralSigner)
    roots: tuple[Holder, ...] = field(default_factory=lambda: tuple(Holder() for _ in range(3)))

    @property
    def root(self) -> TrustRoot:
        return root_of(self.roots)

    def records(self) -> tuple[KeyRecord, ...]:
        return (
            self.credential_key.record(KeyPurpose.CREDENTIAL),
            self.status_key.record(KeyPurpose.STATUS),
            self.event_key.record(KeyPurpose.EVENT),
        )

    def trust_list(self, keys: Iterable[KeyRecord] | None = None, version: int = 1) -> TrustList:
        entry = IssuerEntry(self.issuer, self.status_uri, self.regions, tuple(keys or self.records()))
        start = self.now - timedelta(minutes=1)
        return TrustList(version, seconds(start), seconds(self.now + timedelta(days=7)), None, (entry,))

    def trust(self, keys: Iterable[KeyRecord] | None = None) -> Trust:
        return Trust.of(self.trust_list(keys))

    def trust_document(self, content: TrustList | None = None) -> bytes:
        return sign_list(trust_list.draft(content or self.trust_list()), self.roots[:2])

    def credential(self, device: DeviceKey, **changes: object) -> Credential:
        credential = Credential(
            issuer=self.issuer,
            credential_id=secrets.token_bytes(16),
            device_key=device.point,
            issued_at=seconds(self.now - timedelta(days=1)),
            expires_at=seconds(self.now + timedelta(days=365)),
            status=StatusRef(self.status_uri.replace("{list}", "1"), 1, 7),
            assurance=ChipAssurance.CHALLENGE,
            vct=card_type(self.issuer),
            claims={"name": "测试", "birthdate": "1990-01-01", "card_number": "TEST00018"},
            region=REGION,
        )
        return replace(credential, **changes)  # type: ignore[arg-type]

    def compact(self, credential: Credential, signer: EphemeralSigner | None = None) -> bytes:
        signer = signer or self.credential_key
        draft = cwt.draft(credential, bytes.fromhex(signer.key_id), signer.algorithm)
        return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])

    def selective(self, credential: Credential, signer: EphemeralSigner | None = None) -> str:
        signer = signer or self.credential_key
        draft = sd_jwt.draft(credential, signer.key_id, lambda: secrets.token_bytes(16), signer.algorithm)
        return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])

    def status_token(
        self,
        values: dict[int, EcardStatus] | None = None,
        *,
        issued_at: datetime | None = None,
        list_id: int = 1,
        signer: EphemeralSigner | None = None,
        uri: str | None = None,
        position: int | None = None,
    ) -> str:
        statuses = StatusList(LIST_SIZE)
        for index, value in (values or {}).items():
            statuses.set(index, value)
        start = issued_at or self.now
        signer = signer or self.status_key
        draft = status_token.jwt_draft(
            uri or self.status_uri.replace("{list}", str(list_id)),
            statuses,
            signer.key_id,
            seconds(start),
            seconds(start + timedelta(days=1)),
            60,
            algorithm=signer.algorithm,
            position=position,
        )
        return str(draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0]))

    def statuses(
        self, values: dict[int, EcardStatus] | None = None, issued_at: datetime | None = None
    ) -> StatusSnapshot:
        return StatusSnapshot([status_token.parse_jwt(self.status_token(values, issued_at=issued_at))])


class NoStatuses:
    """A verifier without any list; every reading is `status_unknown`."""

    def read(self, uri: str, index: int) -> StatusReading:
        raise CheckFailed("status_unknown", "no status list at hand")
