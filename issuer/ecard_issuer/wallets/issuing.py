"""From a right and device keys to credentials: the first binds the card's e-card, where it has none yet, and the others
join it. Each has salts and a status index of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ecard_card.errors import Conflict, EcardError, NotAllowed, NotFound, RuleViolation
from ecard_issuer.enrol import Enrolment
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.issue_many import IssuingMany, Wanted
from ecard_issuer.links.links import Links
from ecard_issuer.links.rights import thumbprint_of
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.values import Right, WantedKey


class IssuesToWallets(Protocol):
    """What the endpoint needs of the issuer."""

    def prepare(
        self, right: Right, points: Sequence[str], taken: int, now: datetime, *, until: datetime | None
    ) -> tuple[WantedKey, ...]:
        """On what each key's credential is to be issued: the right's own enrolment for the first key of a session, a
        copy for each other one; good until `until`, if given. Raises `WalletRefusal` `credential_request_denied`."""

    def issue(self, right: Right, keys: Sequence[WantedKey], now: datetime) -> tuple[str, ...]:
        """The SD-JWT VC of each key; asked again, the same. Raises `WalletRefusal` `credential_request_denied`,
        `Conflict` `issuance_in_progress`, `Unavailable`."""

    def end(self, right: Right, keys: Sequence[WantedKey], now: datetime) -> None:
        """End what was issued to these keys, if anything was."""


class WalletIssuing:
    """`IssuesToWallets`: on enrolments, and for channels' links. What was issued waits for the dispatcher's next
    look, a tenth of a second at most: woken for each, it would do the work of many for one."""

    def __init__(
        self,
        store: WalletStore,
        enrolment: Enrolment,
        issuing: IssuingMany,
        links: Links,
    ) -> None:
        self._store, self._enrolment = store, enrolment
        self._issuing, self._links = issuing, links

    def prepare(
        self, right: Right, points: Sequence[str], taken: int, now: datetime, *, until: datetime | None
    ) -> tuple[WantedKey, ...]:
        """See `IssuesToWallets`."""
        if right.enrolment_id is None:
            return tuple(WantedKey(point, None) for point in points)
        own = taken == 0 and until is None
        try:
            enrolments = [
                right.enrolment_id
                if own and position == 0
                else self._enrolment.another(right.enrolment_id, now, until=until)
                for position in range(len(points))
            ]
        except (NotFound, RuleViolation) as refusal:
            raise _denied(refusal) from refusal
        return tuple(WantedKey(point, enrolment) for point, enrolment in zip(points, enrolments, strict=True))

    def issue(self, right: Right, keys: Sequence[WantedKey], now: datetime) -> tuple[str, ...]:
        """See `IssuesToWallets`."""
        try:
            issued = self._on_link(right, keys, now) if right.enrolment_id is None else self._on_proof(keys, now)
        except (NotFound, NotAllowed, RuleViolation, Conflict) as refusal:
            if refusal.code == "issuance_in_progress":
                raise
            raise _denied(refusal) from refusal
        return tuple(one.sd_jwt for one in issued)

    def end(self, right: Right, keys: Sequence[WantedKey], now: datetime) -> None:
        """See `IssuesToWallets`."""
        if right.link_id is None:
            self._store.end_issued([key.enrolment_id for key in keys if key.enrolment_id is not None], now)
            return
        thumbprints = {thumbprint_of(bytes.fromhex(key.point)) for key in keys}
        rights = self._links.store.rights_of(right.link_id)
        ended = [one.enrolment_id for one in rights if one.device_thumbprint in thumbprints and one.sealed_key is None]
        self._links.store.end_rights(right.link_id, ended, now)

    def _on_link(self, right: Right, keys: Sequence[WantedKey], now: datetime) -> list[IssuedCredential]:
        link = self._links.get(right.app_id or "", right.link_id or "")
        return [self._links.issue_to(link, bytes.fromhex(key.point), now) for key in keys]

    def _on_proof(self, keys: Sequence[WantedKey], now: datetime) -> list[IssuedCredential]:
        return self._issuing.issue([Wanted(key.enrolment_id or "", bytes.fromhex(key.point)) for key in keys], now)


def _denied(refusal: EcardError) -> WalletRefusal:
    return WalletRefusal("credential_request_denied", f"{refusal.code}: {refusal.detail}")
