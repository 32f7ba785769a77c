"""Applications as values, with the national codes that they are reported under."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ecard_card.acting import Acting, Channel, Ground
from ecard_card.card import Holder, IdNumber
from ecard_card.identity_document import DocumentKind, IdentityDocument

MAX_NOTE: Final = 500


class ApplicationKind(StrEnum):
    """The national application type."""

    NEW = "01"  # 新申领
    LOST = "05"  # 遗失补卡
    EXCHANGE = "06"  # 普通换卡: damaged, expiring, changed data
    WARRANTY = "07"  # 质保换卡
    PREMADE = "08"  # 预制卡: a card made before anybody asked for it


class ApplicationSource(StrEnum):
    """The national source."""

    PERSON = "01"  # 个人
    UNIT = "02"  # 单位
    OUTLET = "03"  # 网点


class ApplicationState(StrEnum):
    """How far an application is. Kept in the database: add, never rename."""

    SUBMITTED = "submitted"
    REVIEWING = "reviewing"
    REFUSED = "refused"
    APPROVED = "approved"
    IN_PRODUCTION = "in_production"
    READY = "ready"
    COLLECTED = "collected"
    WITHDRAWN = "withdrawn"

    @property
    def closed(self) -> bool:
        return self in (ApplicationState.REFUSED, ApplicationState.COLLECTED, ApplicationState.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class NationalCodes:
    """An application's state in the national tables: status, audit, and the production status of the person's card."""

    status: str
    audit: str
    production: str


_STATES = ApplicationState
NATIONAL: Final = MappingProxyType(
    {
        _STATES.SUBMITTED: NationalCodes("00", "00", "00"),
        _STATES.REVIEWING: NationalCodes("05", "00", "00"),
        _STATES.REFUSED: NationalCodes("03", "02", "00"),
        _STATES.APPROVED: NationalCodes("05", "01", "00"),
        _STATES.IN_PRODUCTION: NationalCodes("05", "01", "01"),
        _STATES.READY: NationalCodes("05", "01", "02"),
        _STATES.COLLECTED: NationalCodes("02", "01", "03"),
        _STATES.WITHDRAWN: NationalCodes("01", "00", "00"),
    }
)


class Residency(StrEnum):
    """On what the applicant's right rests."""

    REGISTERED = "registered"  # 本省户籍
    ENTITLED = "entitled"  # 依法享受本省待遇的非本省户籍


class Entitlement(StrEnum):
    """Why somebody who is not registered in the province is entitled."""

    EMPLOYED = "employed"  # 在本省就业参保
    INSURED = "insured"  # 城乡居民参保
    STUDYING = "studying"  # 就读
    RESIDENT = "resident"  # 持居住证
    FAMILY = "family"  # 随迁家属
    BENEFITS = "benefits"  # 领取待遇


class DocumentCopy(StrEnum):
    """A file that belongs to an application."""

    PHOTO = "photo"
    IDENTITY = "identity"  # the side or page with the person
    IDENTITY_BACK = "identity_back"
    HOUSEHOLD_REGISTER = "household_register"
    ENTITLEMENT = "entitlement"


class RefusalReason(StrEnum):
    """Why an application was refused; each has a text in both languages."""

    PHOTO_UNFIT = "application_photo_unfit"
    DOCUMENT_UNREADABLE = "application_document_unreadable"
    DOCUMENT_EXPIRED = "application_document_expired"
    DATA_DIFFERS = "application_data_differs"
    NOT_ELIGIBLE = "application_not_eligible"
    CONSENT_MISSING = "application_consent_missing"
    OTHERWISE = "application_refused_otherwise"


@dataclass(frozen=True, slots=True)
class NewApplication:
    """An application as it came. `id_number` is given where the document does not show it, `born` where the number does
    not tell it."""

    document: IdentityDocument = field(repr=False)
    name: str = field(repr=False)
    region: str
    residency: Residency
    channel: Channel
    acting: Acting
    kind: ApplicationKind = ApplicationKind.NEW
    id_number: IdNumber | None = field(default=None, repr=False)
    born: date | None = field(default=None, repr=False)
    entitlement: Entitlement | None = None
    household_register: bool = False  # shown in the place of an identity card
    original_seen: bool = False
    phone: str = field(default="", repr=False)
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What was applied for, as it is sealed."""

    holder: Holder = field(repr=False)
    document: IdentityDocument = field(repr=False)
    residency: Residency
    entitlement: Entitlement | None
    household_register: bool
    original_seen: bool
    phone: str = field(repr=False)

    def to_json(self) -> dict[str, object]:
        return {
            "id_number": self.holder.id_number.text,
            "name": self.holder.name,
            "born": self.holder.born.isoformat() if self.holder.born else None,
            "document": {
                "kind": self.document.kind.value,
                "number": self.document.number,
                "country": self.document.country,
            },
            "residency": self.residency.value,
            "entitlement": self.entitlement.value if self.entitlement else None,
            "household_register": self.household_register,
            "original_seen": self.original_seen,
            "phone": self.phone,
        }

    @classmethod
    def from_json(cls, said: dict[str, object]) -> Details:
        """Inverse of `to_json`."""
        document = said["document"]
        if not isinstance(document, dict):
            raise TypeError("not the details of an application")
        born, entitlement = said["born"], said["entitlement"]
        return cls(
            holder=Holder(
                IdNumber(str(said["id_number"])),
                str(said["name"]),
                date.fromisoformat(born) if isinstance(born, str) else None,
            ),
            document=IdentityDocument(DocumentKind(document["kind"]), document["number"], document["country"]),
            residency=Residency(str(said["residency"])),
            entitlement=Entitlement(entitlement) if isinstance(entitlement, str) else None,
            household_register=bool(said["household_register"]),
            original_seen=bool(said["original_seen"]),
            phone=str(said["phone"]),
        )


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """An application as kept. `sealed` holds `Details`, under the person's data key."""

    application_id: str
    holder_ref: str
    region: str
    kind: ApplicationKind
    source: ApplicationSource
    channel: Channel
    state: ApplicationState
    ground: Ground
    mandate_id: str | None
    sealed: bytes = field(repr=False)
    content_mac: str = field(repr=False)
    submitted_by: str
    submitted_at: datetime
    updated_at: datetime
    steps: int = 1
    replaces: str | None = None
    card_ref: str | None = None
    outlet: str | None = None
    closed_at: datetime | None = None

    @property
    def acting(self) -> Acting:
        return Acting(self.ground, self.mandate_id)


@dataclass(frozen=True, slots=True)
class StepRow:
    application_id: str
    ordinal: int
    state: ApplicationState
    taken_by: str
    taken_at: datetime
    reason: str | None = None
    sealed_note: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CopyRow:
    application_id: str
    kind: DocumentCopy
    media_type: str
    added_by: str
    size: int
    sealed: bytes = field(repr=False)
    added_at: datetime


@dataclass(frozen=True, slots=True)
class CopyMark:
    """That a copy is there, without what is in it."""

    kind: DocumentCopy
    media_type: str
    size: int
    added_at: datetime


@dataclass(frozen=True, slots=True)
class AccessRow:
    application_id: str
    opened_at: datetime
    caller: str
