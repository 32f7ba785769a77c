"""Who may apply, with which papers, and which step follows which: pure rules."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ecard_card.acting import Channel, Ground
from ecard_card.age import is_under, require_born
from ecard_card.card import Holder, NumberKind
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_card.identity_document import DocumentKind, number_of
from ecard_card.person_name import as_written
from ecard_issuer.applying.values import (
    ApplicationKind,
    ApplicationSource,
    ApplicationState,
    Details,
    DocumentCopy,
    NewApplication,
    Residency,
)

#: Younger children need no photo of themselves: a picture stands in for it (seen in several cities' rules).
PHOTO_FROM_AGE: Final = 7
#: What needs a card to be replaced.
REPLACING: Final = frozenset({ApplicationKind.LOST, ApplicationKind.EXCHANGE, ApplicationKind.WARRANTY})


class Step(StrEnum):
    """A step of an application after it was submitted."""

    REVIEW = "review"
    APPROVE = "approve"
    REFUSE = "refuse"
    PRODUCE = "produce"
    MADE = "made"
    READY = "ready"
    COLLECT = "collect"
    WITHDRAW = "withdraw"


_S = ApplicationState
STEPS: Final = MappingProxyType(
    {
        Step.REVIEW: (frozenset({_S.SUBMITTED}), _S.REVIEWING),
        Step.APPROVE: (frozenset({_S.REVIEWING}), _S.APPROVED),
        Step.REFUSE: (frozenset({_S.SUBMITTED, _S.REVIEWING, _S.APPROVED}), _S.REFUSED),
        Step.PRODUCE: (frozenset({_S.APPROVED}), _S.IN_PRODUCTION),
        Step.MADE: (frozenset({_S.IN_PRODUCTION}), _S.IN_PRODUCTION),
        Step.READY: (frozenset({_S.IN_PRODUCTION}), _S.READY),
        Step.COLLECT: (frozenset({_S.READY}), _S.COLLECTED),
        Step.WITHDRAW: (frozenset({_S.SUBMITTED, _S.REVIEWING, _S.APPROVED}), _S.WITHDRAWN),
    }
)


def examine(wish: NewApplication, *, of_age: int, now: datetime) -> Details:
    """What is applied for, as it will be kept, if anybody may apply so.

    Raises `InvalidInput` `born_in_future`, `birth_date_differs`, `birth_date_needed`, `bad_name`, `id_number_differs`,
    `id_number_needed`, `bad_application`; `RuleViolation` `not_eligible`, `entitlement_needed`, `original_needed`,
    `household_register_for_minors`.
    """
    holder = Holder(number_of(wish.document, wish.id_number), as_written(wish.name), wish.born)
    born = holder.birth_date
    if born is None:
        raise InvalidInput("birth_date_needed", "the number does not tell the birth date")
    require_born(born, now)
    _require_entitled(wish, holder)
    if wish.household_register and not (
        wish.document.kind is DocumentKind.IDENTITY_CARD and is_under(born, of_age, now)
    ):
        raise RuleViolation("household_register_for_minors", "others show their identity document")
    if wish.channel is Channel.DESK and not wish.original_seen:
        raise RuleViolation("original_needed", "a desk sees the original document")
    if wish.original_seen and wish.channel is not Channel.DESK:
        raise InvalidInput("bad_application", "only a desk sees an original")
    if (wish.kind in REPLACING) is (wish.replaces is None):
        raise InvalidInput("bad_application", "a replacement names the card that it replaces, and nothing else does")
    return Details(
        holder=holder,
        document=wish.document,
        residency=wish.residency,
        entitlement=wish.entitlement,
        household_register=wish.household_register,
        original_seen=wish.original_seen,
        phone=wish.phone,
    )


def _require_entitled(wish: NewApplication, holder: Holder) -> None:
    if wish.residency is Residency.ENTITLED:
        if wish.entitlement is None:
            raise RuleViolation("entitlement_needed", "who is not registered here says what entitles them")
        return
    if wish.entitlement is not None:
        raise InvalidInput("bad_application", "who is registered here needs no other ground")
    if holder.id_number.kind is not NumberKind.CITIZEN:
        raise RuleViolation("not_eligible", "only citizens are registered in a province")


def source_of(channel: Channel, ground: Ground) -> ApplicationSource:
    """Where an application comes from, in the national table."""
    if ground is Ground.AGENCY:
        return ApplicationSource.UNIT
    return ApplicationSource.OUTLET if channel is Channel.DESK else ApplicationSource.PERSON


def needed_copies(details: Details, source: ApplicationSource, now: datetime) -> frozenset[DocumentCopy]:
    """Which files an application must have before it is approved.

    At a desk and through an agency somebody saw the papers themselves; online their copies are all there is.
    """
    needed: set[DocumentCopy] = set()
    born = details.holder.birth_date
    if born is None or not is_under(born, PHOTO_FROM_AGE, now):
        needed.add(DocumentCopy.PHOTO)
    if source is ApplicationSource.PERSON:
        if details.household_register:
            needed.add(DocumentCopy.HOUSEHOLD_REGISTER)
        else:
            needed.add(DocumentCopy.IDENTITY)
            if details.document.kind is DocumentKind.IDENTITY_CARD:
                needed.add(DocumentCopy.IDENTITY_BACK)
        if details.residency is Residency.ENTITLED:
            needed.add(DocumentCopy.ENTITLEMENT)
    return frozenset(needed)
