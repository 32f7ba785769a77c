"""Qualification for benefits (待遇资格认证): the holder shows the card, and the authority signs that they were there.

One confirmation for each service, person, benefit and period: asking again gives the same one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from ecard_card.acting import Act
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.people import People, Seal
from ecard_issuer.relying.catalogue import QUALIFICATION
from ecard_issuer.relying.desk import Permission, RelyingDesk
from ecard_issuer.relying.office import ServiceOffice
from ecard_issuer.relying.periods import period_of
from ecard_issuer.relying.records import ConfirmationRow, RelyingStore
from ecard_issuer.relying.rules import Ask
from ecard_issuer.rows import HolderRow
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_verifier.callers import Caller, Role
from ecard_verifier.confirmation import Confirmation, draft_confirmation

_BENEFIT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class StatementKeys(Protocol):
    """Which key signs statements."""

    def active(self, purpose: KeyPurpose) -> KeyRecord: ...


class Qualification:
    """The use case."""

    def __init__(
        self,
        desk: RelyingDesk,
        services: ServiceOffice,
        store: RelyingStore,
        people: People,
        signing: SigningDesk,
        keys: StatementKeys,
        identity: IssuerIdentity,
    ) -> None:
        self._desk = desk
        self._services = services
        self._store = store
        self._people = people
        self._signing = signing
        self._keys = keys
        self._identity = identity

    def confirm(self, service_id: str, caller: Caller, ask: Ask, benefit: str, now: datetime) -> str:
        """The signed confirmation of this period. `benefit` is the service's own name for it: lower-case letters,
        digits, `-` and `_`.

        Raises as `RelyingDesk.check`, `InvalidInput` `bad_benefit`, and what signing raises."""
        if not _BENEFIT.fullmatch(benefit):
            raise InvalidInput("bad_benefit", "a benefit is named by 1 to 64 lower-case letters, digits, - and _")
        if ask.line != QUALIFICATION:
            raise InvalidInput("bad_relying_request", "a qualification is asked for under its own line")
        permission = self._desk.check(service_id, caller, ask, now, act=Act.CERTIFY)
        period, until = period_of(permission.service.period, now)
        holder = self._people.get(permission.holder_ref)
        confirmation_id = self._people.references.confirmation(service_id, holder.holder_ref, benefit, period)
        present = self._store.find_confirmation(confirmation_id)
        if present is None:
            present = self._store.add_confirmation(
                self._signed(permission, holder, confirmation_id, benefit, (period, until), now), service_id
            )
        return self._people.seal_of(holder).open(present.sealed, _context(confirmation_id)).decode()

    def get(self, confirmation_id: str, caller: Caller) -> str:
        """One that was made, for its service or an operator. Raises `NotFound` `confirmation_unknown`."""
        service_id = self._store.confirmation_service(confirmation_id)
        row = self._store.find_confirmation(confirmation_id)
        if service_id is None or row is None or not self._may(service_id, caller):
            raise NotFound("confirmation_unknown", "no confirmation of yours has this id")
        seal = self._people.seal_of(self._people.get(row.holder_ref))
        return seal.open(row.sealed, _context(confirmation_id)).decode()

    def _may(self, service_id: str, caller: Caller) -> bool:
        return caller.role is Role.OPERATOR or (
            caller.role is Role.RELYING and self._services.get(service_id).owner == caller.name
        )

    def _signed(
        self,
        permission: Permission,
        holder: HolderRow,
        confirmation_id: str,
        benefit: str,
        period: tuple[str, datetime],
        now: datetime,
    ) -> ConfirmationRow:
        key = self._keys.active(KeyPurpose.STATEMENT)
        said = Confirmation(
            issuer=self._identity.issuer,
            confirmation_id=confirmation_id,
            service=permission.service.service_id,
            subject=permission.subject,
            benefit=benefit,
            period=period[0],
            way=permission.way.value,
            assurance=permission.assurance or ChipAssurance.DECLARED,
            confirmed_at=int(now.astimezone(UTC).timestamp()),
            valid_until=int(period[1].timestamp()),
        )
        draft = draft_confirmation(said, key.kid, Algorithm(key.algorithm))
        (signature,) = self._signing.sign(SigningProfile.CONFIRMATION, key.kid, [draft.signing_input], now)
        token = draft.complete(signature)
        sealed = self._people.seal_of(holder).seal(token.encode(), _context(confirmation_id))
        return ConfirmationRow(holder.holder_ref, confirmation_id, sealed, now)


class ConfirmationData:
    """`SubjectData`: the confirmations about a person, as signed."""

    section = "confirmations"

    def __init__(self, store: RelyingStore) -> None:
        self._store = store

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`. Oldest first."""
        return [
            {
                "confirmation_id": row.confirmation_id,
                "signed": seal.open(row.sealed, _context(row.confirmation_id)).decode(),
            }
            for row in self._store.confirmations_of(holder.holder_ref)
        ]


def _context(confirmation_id: str) -> str:
    return f"confirmation/{confirmation_id}"
