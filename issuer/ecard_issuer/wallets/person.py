"""How a person proves themself on our page where no desk has made an offer: by social security number and PIN.

The PIN says that this is the holder; it says nothing of the chip. So it is good only for one more credential of an
e-card whose chip was proven before, and the credential says both: how the chip was proven then, and that the holder
was by PIN.
"""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from ecard_card.acting import IN_PERSON, Act
from ecard_card.card import HolderProof, IdNumber
from ecard_card.errors import CheckFailed, InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.ecards import Ecard, Ecards
from ecard_issuer.enrol import PROOF_LIFE
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.people import People
from ecard_issuer.pins.pins import Pins
from ecard_issuer.pins.secret import Secret
from ecard_issuer.ports import Register
from ecard_issuer.rows import EnrolmentRow
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.values import Right
from ecard_verifier.callers import Caller, Role

#: Under whose name wrong PINs of the page are counted: all of them together, beside each card's own tries.
_PAGE: Final = Caller("wallets page", Role.CHANNEL)


class ProvesPerson(Protocol):
    """What the page needs."""

    def by_pin(self, number: str, pin: str, now: datetime) -> Right:
        """The right that follows. Raises `WalletRefusal` `access_denied`, the same whatever was wrong of number and
        PIN; `Unavailable`."""


class ByPin:
    """`ProvesPerson` over the PINs of cards and their tries."""

    def __init__(
        self,
        register: Register,
        people: People,
        ecards: Ecards,
        pins: Pins,
        rules: ActingRules,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._register, self._people, self._ecards, self._pins = register, people, ecards, pins
        self._rules, self._random = rules, random

    def by_pin(self, number: str, pin: str, now: datetime) -> Right:
        """See `ProvesPerson`. A PIN that nobody has chosen yet is not enough."""
        try:
            ecard = self._ecard_of(IdNumber(number.strip().upper()), now)
            self._rules.require(IN_PERSON, ecard.card.holder_ref, Act.CLAIM_ECARD, now)
            self._pins.verify(ecard.card.card_ref, Secret.typed(pin), BusinessType.OTHER, _PAGE, now)
        except (InvalidInput, NotFound, RuleViolation, CheckFailed, NotAllowed):
            raise WalletRefusal("access_denied", "number and PIN do not match, or nothing can be issued so") from None
        return Right(self._proven(ecard, now))

    def _ecard_of(self, number: IdNumber, now: datetime) -> Ecard:
        holder_ref = self._people.references.holder(number)
        usable = [
            ecard
            for ecard in self._ecards.of_holder(holder_ref, now)
            if ecard.usable and HolderProof.PIN in ecard.policy.claims.proofs
        ]
        if not usable:
            raise NotFound(
                "ecard_unknown", "no e-card of this person can be used now, or its region wants another proof"
            )
        return usable[0]

    def _proven(self, ecard: Ecard, now: datetime) -> str:
        """A proven enrolment, with the proof of the chip that the e-card is bound by."""
        card, binding = ecard.card, self._register.find_binding(ecard.card.card_ref)
        if binding is None:
            raise WalletRefusal("access_denied", "the e-card was bound to another card this moment")
        enrolment_id = self._random(16).hex()
        seal = self._people.seal_of(self._people.get(card.holder_ref))
        record = json.dumps({"holder_proof": HolderProof.PIN.label, "at": now.isoformat()}).encode()
        self._register.open_enrolment(EnrolmentRow(enrolment_id, _PAGE.name, b"", now + PROOF_LIFE))
        self._register.prove_enrolment(
            enrolment_id,
            card_ref=card.card_ref,
            assurance=binding.assurance,
            evidence=seal.seal(record, f"evidence/{enrolment_id}"),
            now=now,
            holder_proof=HolderProof.PIN,
        )
        return enrolment_id
