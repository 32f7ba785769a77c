"""What is kept of relying services: rows, and the port `RelyingStore` of the register that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ecard_issuer.relying.services import RelyingService
from ecard_issuer.rows import Grant


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One decision about a service, with what it was from then on. `number` counts from 1."""

    number: int
    action: str
    service: RelyingService
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class AccessRow:
    """That somebody asked about a person; what and with which outcome is sealed."""

    holder_ref: str
    access_id: str
    request_hash: str
    sealed: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """Whom a service may ask about later, until when."""

    subject: str
    service_id: str
    holder_ref: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What was shown, to be used up by one request. It is forgotten a while after `until`."""

    code_key: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ConfirmationRow:
    """A signed confirmation, sealed."""

    holder_ref: str
    confirmation_id: str
    sealed: bytes = field(repr=False)
    created_at: datetime


class RelyingStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer."""

    def save_service(
        self, service: RelyingService, action: str, changed_by: str, now: datetime, *, grant: Grant | None = None
    ) -> None:
        """Store a service as it is from now on, with the record of it. `RuleViolation` `approval_not_usable`."""

    def find_service(self, service_id: str) -> RelyingService | None: ...

    def list_services(self, after: str = "", limit: int = 100) -> tuple[RelyingService, ...]:
        """In order of their ids, those beyond `after`."""

    def service_changes(self, service_id: str) -> tuple[ServiceChange, ...]:
        """In order of their numbers."""

    def admit(self, access: AccessRow, used: Used, standing: SubjectRow | None) -> None:
        """Use up what was shown, and put the access on the person's record: both, once. The same request again
        changes nothing.

        `CheckFailed` `replayed`: another request used it; `Conflict` `relying_request_differs`: this access id stands
        on the record for another request."""

    def note(self, access: AccessRow) -> None:
        """Put an access on the person's record; as `admit` for one of the same id."""

    def accesses_of(self, holder_ref: str) -> tuple[AccessRow, ...]:
        """Oldest first."""

    def find_subject(self, subject: str) -> SubjectRow | None: ...

    def subjects_of(self, holder_ref: str) -> tuple[SubjectRow, ...]: ...

    def purge(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` accesses from before that time; says how many."""

    def purge_used(self, before: datetime, limit: int) -> int:
        """The same for what was shown, and for references whose time is over."""

    def find_confirmation(self, confirmation_id: str) -> ConfirmationRow | None: ...

    def confirmation_service(self, confirmation_id: str) -> str | None:
        """Whose confirmation that is."""

    def add_confirmation(self, row: ConfirmationRow, service_id: str) -> ConfirmationRow:
        """Store it, or return the one that stands under its id."""

    def confirmations_of(self, holder_ref: str) -> tuple[ConfirmationRow, ...]: ...
