"""What a counter may be told of somebody who is showing their card now: masked, and only on the strength of the very
code that is shown, judged here again. The token of a verifier alone tells nothing about anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ecard_card.errors import CheckFailed, EcardError, InvalidInput, NotFound, Unavailable
from ecard_issuer.card_desk import Identity
from ecard_issuer.issuer import Issuer
from ecard_issuer.rows import CardRow
from ecard_verifier.counters.holder_facts import Facts, Wanted
from ecard_verifier.counters.sight import told
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.purposes.masking import Mask
from ecard_verifier.purposes.purposes import PERSONAL, Field

#: The verifier beside an issuer, as people read it on their record.
_OWN: Final = "own"


def facts_of(
    issuer: Issuer,
    code: str,
    audience: str | None,
    wanted: Wanted,
    now: datetime,
    *,
    by: str,
    full: bool,
    answers: str | None = None,
) -> Facts:
    """Exactly what is wanted of the holder of the card that `code` shows; None for what is not known, and without
    `full` for whatever would not be masked. What is told of a person stands on that person's record of accesses: that
    the verifier `by` was told it.

    Raises `CheckFailed` with the reason of the verdict where the code does not hold, `RuleViolation`
    `card_of_other_authority`, `Unavailable`.
    """
    if "~" in code:
        raise InvalidInput("unreadable_code", "want a code as the e-card shows it, not a token")
    policy = replace(ONLINE_POLICY, accept_test=issuer.settings.test_mode)
    shown = issuer.relying.presence.shown(code, audience, policy, now, answers=answers)
    if shown.refusal is not None:
        raise shown.refusal
    if shown.card is None:
        raise CheckFailed("unknown_credential", "the register has no such card")
    try:
        identity = issuer.cards.identity(shown.card)
    except NotFound:
        raise CheckFailed("ended", "the person was erased") from None
    found = {
        field: {mask: _told(field, identity, shown.card, mask, full=full) for mask in masks}
        for field, masks in wanted.items()
    }
    personal = {
        field.value: [mask.value for mask, value in masks.items() if value is not None]
        for field, masks in found.items()
        if field in PERSONAL
    }
    personal = {field: masks for field, masks in personal.items() if masks}
    if personal:
        issuer.relying.looks.note(shown.card.holder_ref, by, audience, personal, code, now)
    return found


def _told(field: Field, identity: Identity, card: CardRow, mask: Mask, *, full: bool) -> str | None:
    if mask is Mask.FULL and field in PERSONAL and not full:
        return None
    return told(field, _value(field, identity, card), mask)


def _value(field: Field, identity: Identity, card: CardRow) -> str | None:
    match field:
        case Field.NAME:
            return identity.holder.name
        case Field.ID_NUMBER:
            return identity.holder.id_number.text
        case Field.CARD_NUMBER:
            return identity.number.text
        case Field.BIRTH_YEAR:
            return None if identity.holder.birth_date is None else identity.holder.birth_date.isoformat()
        case Field.REGION:
            return card.region


class OwnFacts:
    """Port `HolderFacts` for a verifier in the process of its issuers: what its purposes permit, in full too."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.identity.issuer: issuer for issuer in issuers}

    def of(self, issuer: str, code: str, audience: str | None, wanted: Wanted, *, answers: str | None = None) -> Facts:
        """See the port."""
        own = self._issuers.get(issuer)
        if own is None:
            raise Unavailable("facts_unavailable", "the issuer of this card is not in this process")
        try:
            return facts_of(own, code, audience, wanted, own.clock(), by=_OWN, full=True, answers=answers)
        except EcardError as error:
            raise Unavailable("facts_unavailable", f"the issuer says {error.code}") from None
