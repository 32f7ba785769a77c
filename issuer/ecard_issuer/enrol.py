"""Enrolment: the server asks a chip a fresh question, judges the answer, and writes down what was proven.

Two halves that share nothing but the register: `begin` gives out a challenge, `complete` consumes it once. The chip
may sit at a desk far away; the desk relays bytes and decides nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import ChipFault, Conflict, RuleViolation
from ecard_card.status import CardStatus, EcardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf, strict_everywhere
from ecard_issuer.chip.evidence import Challenge, Evidence
from ecard_issuer.chip.judge import MAX_AGE, Anchors, Judgement, judge
from ecard_issuer.ports import Cards, Enrolments
from ecard_issuer.rows import CardRow, EnrolmentRow
from ecard_keys.chip_key import ChipKeyHolder

#: How long a desk has to bring the chip's answer.
CHALLENGE_LIFE = timedelta(seconds=MAX_AGE)
#: How long the holder's device has after that to ask for the credential.
PROOF_LIFE = timedelta(minutes=30)


class CardsAndEnrolments(Cards, Enrolments, Protocol):
    """The part of the register that enrolment needs."""


@dataclass(frozen=True, slots=True)
class OpenEnrolment:
    """A challenge given out. Only its digest has to reach the desk."""

    enrolment_id: str
    challenge: Challenge
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProvenEnrolment:
    """A chip that answered; good for one issuance until `usable_until`."""

    enrolment_id: str
    card_ref: str
    assurance: ChipAssurance
    usable_until: datetime


@dataclass(frozen=True, slots=True)
class ExaminedChip:
    """A registered card's chip, and how well it has just proven itself."""

    card: CardRow
    assurance: ChipAssurance


class Enrolment:
    """The use case. `minimum` is the least proof this issuer binds on."""

    def __init__(
        self,
        register: CardsAndEnrolments,
        desk: CardDesk,
        anchors: Anchors,
        key_holder: ChipKeyHolder | None,
        *,
        minimum: ChipAssurance = ChipAssurance.READ,
        policy_of: PolicyOf = strict_everywhere,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._register = register
        self._desk = desk
        self._anchors = anchors
        self._key_holder = key_holder
        self._minimum = minimum
        self._policy_of = policy_of
        self._random = random

    def begin(self, terminal_id: str, now: datetime, *, card_ref: str | None = None) -> OpenEnrolment:
        """Give out a challenge that binds this enrolment, the terminal and the time; with `card_ref` for the chip of
        that card only: `complete` refuses any other by `Conflict` `enrolment_of_other_card`.

        Raises `InvalidInput` `bad_chip_challenge` for a terminal id that is empty, long or unprintable.
        """
        enrolment_id = self._random(16).hex()
        challenge = Challenge.new(enrolment_id, terminal_id, now, token_bytes=self._random)
        expires_at = now + CHALLENGE_LIFE
        self._register.open_enrolment(
            EnrolmentRow(enrolment_id, terminal_id, challenge.to_json().encode(), expires_at, card_ref=card_ref)
        )
        return OpenEnrolment(enrolment_id, challenge, expires_at)

    def complete(
        self,
        enrolment_id: str,
        evidence: Evidence,
        now: datetime,
        *,
        least: ChipAssurance = ChipAssurance.DECLARED,
    ) -> ProvenEnrolment:
        """Judge what the chip sent, and consume the challenge. `least` is what this caller's word needs beside it,
        where that is more than this issuer's minimum.

        A wrong answer consumes nothing and proves nothing. Raises `NotFound` `enrolment_unknown`, `card_unknown`;
        `ChipFault` (everything that `judge` raises, `chip_not_as_registered`, `chip_proof_missing`);
        `NotAllowed` `test_chip_refused`; `Conflict` `enrolment_already_used`, `chip_key_differs`, `chip_key_taken`
        (a clone, or two cards with one key); `RuleViolation` `enrolment_expired`, `card_not_issuable`,
        `chip_proof_too_weak`, `too_many_cards_elsewhere` (for a card that has no e-card yet).
        """
        judgement, card = self._judged(enrolment_id, evidence, now)
        needed = max(self._minimum, least)
        if judgement.assurance < needed:
            raise RuleViolation("chip_proof_too_weak", f"want {needed.label} or better here")
        if self._register.effect_of(card, now) is not EcardStatus.VALID:
            raise RuleViolation("card_not_issuable", "the card's status does not permit an e-card")
        if self._register.find_binding(card.card_ref) is None:
            self._require_few_elsewhere(card, now)
        usable_until = now + PROOF_LIFE
        self._register.prove_enrolment(
            enrolment_id,
            card_ref=card.card_ref,
            assurance=judgement.assurance,
            evidence=self._sealed(card, enrolment_id, evidence, judgement),
            now=now,
            chip_key_ref=self._key_ref(judgement),
            usable_until=usable_until,
        )
        return ProvenEnrolment(enrolment_id, card.card_ref, judgement.assurance, usable_until)

    def examine(self, enrolment_id: str, evidence: Evidence, now: datetime) -> ExaminedChip:
        """Whose chip answered the challenge, whatever has become of its card. Nothing is proven or used up by it.

        Raises as `complete`, but for the rules of binding and of the card's status.
        """
        judgement, card = self._judged(enrolment_id, evidence, now)
        if judgement.key_reference is not None and card.chip_key_ref not in (None, self._key_ref(judgement)):
            raise Conflict("chip_key_differs", "this card is known by another key: one of the two chips is a copy")
        return ExaminedChip(card, judgement.assurance)

    def another(self, enrolment_id: str, now: datetime, *, until: datetime | None = None) -> str:
        """The id of one more enrolment with the proof of this one, which is good for one more credential: for a batch
        under several device keys. It ends when the given one does, or at `until`: where a person looks at it first.

        Raises `NotFound` `enrolment_unknown`; `RuleViolation` `enrolment_not_proven`, `enrolment_expired`.
        """
        first = self._register.get_enrolment(enrolment_id)
        if first.card_ref is None or first.assurance is None or first.evidence is None:
            raise RuleViolation("enrolment_not_proven", "the chip has not answered this enrolment's challenge")
        if first.expires_at <= now:
            raise RuleViolation("enrolment_expired", "the proof is too old")
        copy = self._random(16).hex()
        card = self._register.get_card(first.card_ref)
        seal = self._desk.seal_of(card)
        evidence = seal.seal(seal.open(first.evidence, f"evidence/{enrolment_id}"), f"evidence/{copy}")
        ends = first.expires_at if until is None else until
        self._register.open_enrolment(EnrolmentRow(copy, first.terminal_id, first.challenge, ends))
        self._register.prove_enrolment(
            copy,
            card_ref=first.card_ref,
            assurance=first.assurance,
            evidence=evidence,
            now=now,
            holder_proof=first.holder_proof or HolderProof.CHIP,
        )
        return copy

    def _judged(self, enrolment_id: str, evidence: Evidence, now: datetime) -> tuple[Judgement, CardRow]:
        """What the evidence proves, and the registered card that it agrees with."""
        enrolment = self._register.get_enrolment(enrolment_id)
        judgement = judge(evidence, Challenge.from_json(enrolment.challenge), self._anchors, self._key_holder, now)
        card = self._desk.card_of(judgement.chip.identification_code)
        self._compare(card, evidence, judgement)
        return judgement, card

    def _require_few_elsewhere(self, card: CardRow, now: datetime) -> None:
        """The card system's cards are facts; a further e-card is given only within what the card's region permits."""
        live = [
            one for one in self._register.cards_of_holder(card.holder_ref) if one.status is not CardStatus.CANCELLED
        ]
        elsewhere = sum(one.region != card.region for one in live)
        if elsewhere > self._policy_of(card.region, now).cards_elsewhere:
            raise RuleViolation("too_many_cards_elsewhere", "the holder keeps more live cards of other regions")

    def _compare(self, card: CardRow, evidence: Evidence, judgement: Judgement) -> None:
        """What was read must be what was registered, and a chip whose key is known must use it."""
        if card.chip_key_ref is not None and judgement.key_reference is None:
            raise ChipFault(
                "chip_proof_missing", "this chip is known by its key, and did not use it: a copy would do so"
            )
        reading = evidence.reading
        if reading is None:
            return
        number = reading.card_number
        if number is not None and self._desk.references.card_number(number) != card.number_mac:
            raise ChipFault("chip_not_as_registered", "the chip's card number is not the registered one")
        if judgement.chip.profile != card.chip_profile:
            raise ChipFault("chip_not_as_registered", "the chip is of another profile than the registered one")

    def _key_ref(self, judgement: Judgement) -> str | None:
        return None if judgement.key_reference is None else self._desk.references.chip_key(judgement.key_reference)

    def _sealed(self, card: CardRow, enrolment_id: str, evidence: Evidence, judgement: Judgement) -> bytes:
        """Evidence and verdict as one record under the person's key: it holds the chip's identification code."""
        record = {"evidence": evidence.without_holder().to_json(), "statement": judgement.statement}
        return self._desk.seal_of(card).seal(json.dumps(record).encode(), f"evidence/{enrolment_id}")
