"""The services: loss, release, replacement, cancelling, and the holder's word on the e-card.

Each asks the acting rules and the region's policy, and is done once however often it is asked for under one id.
None of them touches the card's bank account: that is the bank's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from unicodedata import category

from ecard_card.acting import Act
from ecard_card.card import Holder, IdNumber
from ecard_card.errors import InvalidInput, NotAllowed
from ecard_issuer.life import rules
from ecard_issuer.life.office import CaseOffice
from ecard_issuer.life.person import PersonLives
from ecard_issuer.life.values import (
    Asked,
    CancellationCause,
    CaseKind,
    CaseState,
    LossKind,
    Outcome,
    ReplacementReason,
)
from ecard_issuer.life.who import Who
from ecard_verifier.callers import Caller, Role

_PROOF: Final = re.compile(r"\S.{0,199}")


class Losses:
    """挂失 and 解挂."""

    def __init__(self, office: CaseOffice) -> None:
        self._office = office

    def report(self, kind: LossKind, who: Who, asked: Asked, now: datetime) -> Outcome:
        """Report a card lost. Raises what `CaseOffice.open` raises."""
        return self._office.open(
            CaseKind.LOSS,
            kind.value,
            who,
            asked,
            Act.REPORT_LOSS,
            lambda card, policy: rules.loss(kind, card, policy, now),
            now,
        )

    def release(self, who: Who, asked: Asked, now: datetime) -> Outcome:
        """The card was found. Raises what `CaseOffice.open` and `rules.release` raise."""
        return self._office.open(CaseKind.RELEASE, "found", who, asked, Act.RELEASE, rules.release, now)


class Words:
    """What the holder says of their e-card alone."""

    def __init__(self, office: CaseOffice) -> None:
        self._office = office

    def lock(self, locked: bool, who: Who, asked: Asked, now: datetime) -> Outcome:
        """Shut the e-card, or open it again. Whoever may report a loss may shut it, whoever may release may open it."""
        act = Act.REPORT_LOSS if locked else Act.RELEASE
        why = "lock" if locked else "unlock"
        return self._office.open(
            CaseKind.HOLDER_LOCK, why, who, asked, act, lambda card, policy: rules.lock(locked, card), now
        )

    def consent(self, given: bool, who: Who, asked: Asked, now: datetime) -> Outcome:
        """Permit the e-card's use in the card's present status, or take that back."""
        act = Act.RELEASE if given else Act.REPORT_LOSS
        why = "consent" if given else "withdraw"
        return self._office.open(
            CaseKind.CONSENT,
            why,
            who,
            asked,
            act,
            lambda card, policy: rules.consent(given, card, policy, now),
            now,
        )


class Cancellations:
    """注销. `lives` writes down what a cancellation says of the person."""

    def __init__(self, office: CaseOffice, lives: PersonLives) -> None:
        self._office = office
        self._lives = lives

    def cancel(self, cause: CancellationCause, who: Who, asked: Asked, proof: str, now: datetime) -> Outcome:
        """End a card and its e-card for good, in one transaction; after a death all cards of the person. Other cards
        that are left are named in the outcome.

        A death or an emigration is then written down of the person; where that fails, the same request does it.
        `proof` names the document that was seen (its number, not its content), and may be missing only at the end of
        business. A death is reported at a desk with its proof, and nobody acts for the dead: what the person could do,
        or had others do, ended. Raises `InvalidInput` `proof_needed`; `NotAllowed` `death_at_a_desk`; and what
        `CaseOffice.open` raises.
        """
        if proof and (not _PROOF.fullmatch(proof) or any(category(char) in ("Cc", "Cf", "Cs") for char in proof)):
            raise InvalidInput("proof_needed", "a proof is named in 1 to 200 printable characters")
        if not proof and cause is not CancellationCause.END_OF_BUSINESS:
            raise InvalidInput("proof_needed", "say which document shows it")
        death = cause is CancellationCause.DEATH
        if death and asked.caller.role not in (Role.DESK, Role.OPERATOR):
            raise NotAllowed("death_at_a_desk", "a death is reported at a desk, with its proof")
        outcome = self._office.open(
            CaseKind.CANCELLATION,
            cause.value,
            who,
            asked,
            None if death else Act.CANCEL,
            lambda card, policy: rules.cancel(card),
            now,
            details={"proof": proof} if proof else None,
            whole_person=death,
        )
        holder_ref = self._office.card(outcome.case.card_ref).holder_ref
        self._lives.ended(holder_ref, cause, outcome.case)
        return replace(outcome, left=self._office.live_cards(holder_ref))


class Replacements:
    """补换卡: ordered, made, ready, collected."""

    def __init__(self, office: CaseOffice) -> None:
        self._office = office

    def order(
        self,
        reason: ReplacementReason,
        who: Who,
        asked: Asked,
        now: datetime,
        *,
        new_name: str | None = None,
        new_id_number: str | None = None,
    ) -> Outcome:
        """Order a new card; with changed data say which. Raises `InvalidInput` `changed_data_missing`, `bad_name`,
        `bad_id_number`, and what `CaseOffice.open` and `rules.order` raise."""
        details = {"name": new_name or "", "id_number": new_id_number or ""}
        changed = {name: value for name, value in details.items() if value}
        if bool(changed) is not (reason is ReplacementReason.CHANGED_DATA):
            raise InvalidInput("changed_data_missing", "changed data goes with that reason, and that reason with it")
        new_holder_ref = None
        if new_id_number:
            new_holder_ref = self._office.desk.references.holder(IdNumber(new_id_number))
        if new_name:
            _require_name(new_name)
        return self._office.open(
            CaseKind.REPLACEMENT,
            reason.value,
            who,
            asked,
            Act.REPLACE,
            lambda card, policy: rules.order(reason, card, policy, now),
            now,
            details=changed,
            new_holder_ref=new_holder_ref,
        )

    def made(self, case_id: str, new_card_ref: str, caller: Caller, now: datetime) -> Outcome:
        """The new card was made, and is in the register."""
        self._office.case(case_id, CaseKind.REPLACEMENT, caller)
        return self._office.cases.advance(case_id, CaseState.MADE, caller.name, now, new_card_ref=new_card_ref)

    def ready(self, case_id: str, caller: Caller, now: datetime) -> Outcome:
        """It waits where it will be collected."""
        self._office.case(case_id, CaseKind.REPLACEMENT, caller)
        return self._office.cases.advance(case_id, CaseState.READY, caller.name, now)

    def withdraw(self, case_id: str, asked: Asked, now: datetime) -> Outcome:
        """No new card is wanted. Where the old one was cancelled its e-card ends."""
        case = self._office.case(case_id, CaseKind.REPLACEMENT, asked.caller)
        self._office.require(asked, case, Act.REPLACE, now)
        outcome = self._office.cases.advance(case_id, CaseState.WITHDRAWN, asked.caller.name, now)
        self._office.wake()
        return outcome

    def collect(self, case_id: str, enrolment_id: str | None, asked: Asked, now: datetime) -> Outcome:
        """The holder, or who may act for them, has the new card in hand: the e-card moves to it.

        `enrolment_id` is a proven enrolment of the new chip; without one the next that the card is issued on proves it.
        """
        case = self._office.case(case_id, CaseKind.REPLACEMENT, asked.caller)
        self._office.require(asked, case, Act.COLLECT, now)
        renamed = None
        changed: Mapping[str, str] = self._office.details(case)
        if changed.get("name") and not changed.get("id_number"):  # else the new person was entered by their new name
            people = self._office.desk.people
            row = people.get(self._office.card(case.card_ref).holder_ref)
            renamed = people.corrected(row, replace(people.person(row), name=changed["name"]))
        outcome = self._office.cases.collect(case_id, enrolment_id, renamed, asked.caller.name, now)
        self._office.wake()
        return outcome


def _require_name(name: str) -> None:
    """Raises `InvalidInput` `bad_name`."""
    Holder(IdNumber("11010519491231002X"), name)  # the example number of GB 11643: only the name is judged here
