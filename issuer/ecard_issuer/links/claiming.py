"""Claim (领取): a channel says which card, the holder is proven, and the channel has its link (一级签发).

Three steps that can each be repeated: the claim is opened, its evidence proves the holder, and the link is made. What
proves the holder stands in the claim before anything is made of it, so that whoever asks again after a lost answer, or
after an issuance that somebody else was at, goes on from there.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card import device_proof, jose
from ecard_card.acting import IN_PERSON, Act, Acting
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import Conflict, InvalidInput, NotAllowed, NotFound, RuleViolation, Unavailable
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.ecards import Ecard, Ecards
from ecard_issuer.enrol import Enrolment
from ecard_issuer.issue import IssuedCredential, Issuing
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.links.claim_store import ClaimStore
from ecard_issuer.links.identifying import Identifying
from ecard_issuer.links.identity_statement import IdentityStatements
from ecard_issuer.links.rights import CardsAndEnrolments, Rights
from ecard_issuer.links.store import LinkStore
from ecard_issuer.links.values import ClaimRow, ClaimState, IdentificationRow, Link
from ecard_issuer.pins.pins import Pins
from ecard_issuer.pins.secret import Secret
from ecard_issuer.rows import BindingRow, CardRow
from ecard_issuer.states import BindingState
from ecard_keys.private_key import generate_private_key
from ecard_keys.verify import load_public_key, verify_jws
from ecard_verifier.callers import Caller

#: How long a claim waits for its evidence, and may be asked about after it was proven.
LIFE: Final = timedelta(minutes=10)
#: Claims that a channel may open in a day (UTC), where its admission says nothing else.
USUAL_QUOTA: Final = 10_000
_CLAIMS: Final = "claim"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeviceAsked:
    """A device key (65 bytes) that is to have a credential, and the JWS that shows possession of it: a device proof
    with the identification's id as its nonce."""

    point: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A claim that waits for its evidence. `challenge` (32 bytes) is for the chip."""

    row: ClaimRow
    challenge: bytes | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The link, and the credential of the device key that was given."""

    link: Link
    issued: IssuedCredential | None


class Claiming:
    """The use case. Any verb raises `Unavailable`."""

    def __init__(
        self,
        store: ClaimStore,
        links: LinkStore,
        register: CardsAndEnrolments,
        identifying: Identifying,
        rights: Rights,
        ecards: Ecards,
        enrolment: Enrolment,
        issuing: Issuing,
        pins: Pins,
        statements: IdentityStatements,
        rules: ActingRules,
        *,
        issuer: str,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store, self._links, self._register = store, links, register
        self._identifying, self._rights, self._ecards = identifying, rights, ecards
        self._enrolment, self._issuing, self._pins = enrolment, issuing, pins
        self._statements, self._rules = statements, rules
        self._issuer, self._random = issuer, random

    def open(
        self,
        identification_id: str,
        handle: str,
        proof: HolderProof,
        consent: str,
        caller: Caller,
        now: datetime,
        *,
        device: DeviceAsked | None = None,
        acting: Acting = IN_PERSON,
        quota: int = USUAL_QUOTA,
    ) -> OpenClaim:
        """Open a claim of one of the cards that an identification of this channel offered. `quota` is how many the
        channel may open in a day.

        Raises `NotFound` `identification_unknown` (another channel's too), `card_handle_unknown`; `RuleViolation`
        `identification_expired`, `card_not_issuable`, `holder_proof_not_permitted`, `first_claim_needs_chip`;
        `Conflict` `replacement_under_way`; `InvalidInput` `bad_consent`, `bad_device_proof`; `NotAllowed`
        `claims_used_up`; what `ActingRules.require` raises.
        """
        identified = self._identification(identification_id, caller, now)
        if not CHOSEN_ID.fullmatch(consent):
            raise InvalidInput("bad_consent", "a consent's text is named by 1 to 64 letters, digits and . _ : -")
        card = self._chosen(identified, handle)
        self._rules.require(acting, card.holder_ref, Act.CLAIM_ECARD, now)
        self._require_claimable(card, proof, now)
        if device is not None:
            self._require_possession(device, identification_id, now)
        if self._store.count(caller.name, _CLAIMS, _DAY, now) > quota:
            raise NotAllowed("claims_used_up", "this channel opened as many claims as it may in a day")
        enrolment_id, challenge = self._random(16).hex(), None
        if proof is HolderProof.CHIP:
            opened = self._enrolment.begin(f"channel:{caller.name}", now, card_ref=card.card_ref)
            enrolment_id, challenge = opened.enrolment_id, opened.challenge.digest()
        row = ClaimRow(
            claim_id=self._random(16).hex(),
            app_id=caller.name,
            holder_ref=card.holder_ref,
            card_ref=card.card_ref,
            link_id=self._random(16).hex(),
            enrolment_id=enrolment_id,
            nonce=jose.b64url_encode(self._random(24)),
            consent=consent,
            proof=proof,
            device_point=None if device is None else device.point,
            made_at=now,
            expires_at=now + LIFE,
            ground=acting.ground,
            mandate_id=acting.mandate_id,
        )
        self._store.add_claim(row)
        return OpenClaim(row, challenge)

    def prove(self, claim_id: str, brought: Evidence | Secret | str, caller: Caller, now: datetime) -> Claimed:
        """Bring a claim's evidence, and get the link: what the chip answered, the PIN that was typed, or the statement
        of an identity-proofing service. Of a claim that was proven before, the evidence is not looked at again.

        Raises `NotFound` `claim_unknown` (another channel's too); `RuleViolation` `claim_expired`, `link_released`;
        `InvalidInput` `claim_evidence_differs`; what `open` raises where the card has changed since; what
        `Enrolment.complete`, `Pins.verify` and `IdentityStatements.accept` raise; what `Issuing.issue_to` raises;
        `Unavailable` `claim_in_progress` while somebody else is at it: then the same is sent again.
        """
        claim = self._store.find_claim(claim_id)
        if claim is None or claim.app_id != caller.name:
            raise NotFound("claim_unknown", "this channel has no such claim")
        if claim.expires_at <= now:
            raise RuleViolation("claim_expired", "this claim is too old")
        self._rules.require(claim.acting, claim.holder_ref, Act.CLAIM_ECARD, now)
        if claim.state is ClaimState.OPEN:
            claim = self._prove(claim, brought, caller, now)
        if claim.state is ClaimState.PROVEN:
            return self._link(claim, now)
        return self._before(claim, now)

    def _identification(self, identification_id: str, caller: Caller, now: datetime) -> IdentificationRow:
        found = self._store.find_identification(identification_id)
        if found is None or found.app_id != caller.name:
            raise NotFound("identification_unknown", "this channel has no such identification")
        if found.expires_at <= now:
            raise RuleViolation("identification_expired", "identify the holder again")
        return found

    def _chosen(self, identified: IdentificationRow, handle: str) -> CardRow:
        for card in self._register.cards_of_holder(identified.holder_ref):
            if self._identifying.handle(identified.identification_id, card.card_ref) == handle:
                return card
        raise NotFound("card_handle_unknown", "this identification offered no such card")

    def _require_claimable(self, card: CardRow, proof: HolderProof, now: datetime) -> None:
        if card.replacing:
            raise Conflict("replacement_under_way", "a new card is being made for this one")
        binding = self._register.find_binding(card.card_ref)
        permitted = self._identifying.proofs(card, binding, now)
        if not permitted:
            raise RuleViolation("card_not_issuable", f"the card's status is {card.status.name.lower()}")
        if proof in permitted:
            return
        if proof is not HolderProof.CHIP and HolderProof.CHIP in permitted and not _is_bound(binding):
            raise RuleViolation("first_claim_needs_chip", "this card has no e-card yet: its chip has to be proven")
        raise RuleViolation("holder_proof_not_permitted", f"this region permits no claim by {proof.label}")

    def _require_possession(self, device: DeviceAsked, nonce: str, now: datetime) -> None:
        key = load_public_key(device.point)
        jws = device_proof.parse(device.proof, issuer=self._issuer, enrolment_id=nonce, now=int(now.timestamp()))
        if not verify_jws(jws, key):
            raise InvalidInput("bad_device_proof", "not signed by the device key")

    def _prove(self, claim: ClaimRow, brought: Evidence | Secret | str, caller: Caller, now: datetime) -> ClaimRow:
        card = self._register.get_card(claim.card_ref)
        self._require_claimable(card, claim.proof, now)
        match claim.proof, brought:
            case HolderProof.CHIP, Evidence():
                self._prove_chip(claim, brought, now)
            case HolderProof.PIN, Secret():
                self._pins.verify(claim.card_ref, brought, BusinessType.OTHER, caller, now)
                self._grant(claim, card, {"claim": claim.claim_id, "proof": "pin"}, now)
            case HolderProof.IDENTITY, str():
                said = self._statements.accept(brought, claim, card, now)
                claim = replace(claim, provider=said.provider_id, method=said.method)
                record = {"claim": claim.claim_id, "proof": "identity", **said.record}
                self._grant(claim, card, record, now)
            case _:
                raise InvalidInput("claim_evidence_differs", f"this claim wants evidence of {claim.proof.label}")
        return self._store.prove_claim(claim)

    def _prove_chip(self, claim: ClaimRow, evidence: Evidence, now: datetime) -> None:
        try:
            self._enrolment.complete(claim.enrolment_id, evidence, now)
        except Conflict as conflict:  # proven a moment ago, by this very request sent twice, or before a crash
            row = self._register.get_enrolment(claim.enrolment_id)
            if conflict.code != "enrolment_already_used" or row.card_ref != claim.card_ref:
                raise

    def _grant(self, claim: ClaimRow, card: CardRow, record: dict[str, object], now: datetime) -> None:
        """For a card without an e-card: the right to bind it as `declared`, since no chip answered. An e-card that
        there is keeps the assurance of its own binding (`Rights`)."""
        if _is_bound(self._register.find_binding(card.card_ref)):
            return
        terminal = f"channel:{claim.app_id}"
        try:
            self._rights.prove(claim.enrolment_id, terminal, card, ChipAssurance.DECLARED, claim.proof, record, now)
        except Conflict as conflict:
            if conflict.code not in ("enrolment_exists", "enrolment_already_used"):
                raise

    def _link(self, claim: ClaimRow, now: datetime) -> Claimed:
        """Make the link of a proven claim; all of it can be done again."""
        card = self._register.get_card(claim.card_ref)
        self._require_claimable(card, claim.proof, now)
        binding = self._register.find_binding(card.card_ref)
        issued = None
        if not _is_bound(binding) or self._stronger(claim, binding):
            ecard_id, issued = self._issue_on_claim(claim, card, binding, now)
        else:
            ecard_id = binding.ecard_id if binding is not None else ""
        link = self._links.add_link(_link_of(claim, ecard_id))
        for right in self._links.rights_of(claim.link_id):
            self._links.adopt_right(right, link)
        if claim.device_point is None:
            issued = None
        elif issued is None:
            ecard = self._ecards.usable(ecard_id, now)
            issued = self._to_device(link, ecard, claim.device_point, claim, now)
        self._store.finish_claim(claim.claim_id, link.link_id)
        return Claimed(link, issued)

    def _issue_on_claim(
        self, claim: ClaimRow, card: CardRow, binding: BindingRow | None, now: datetime
    ) -> tuple[str, IssuedCredential]:
        """Bind the chip, or prove it better, by a credential on the claim's own proof: to the holder's device, else to
        a key that is kept for the link."""
        point, key = claim.device_point, None
        if point is None:
            key = generate_private_key(Algorithm.ES256)
            point = key.public
        ecard_id = binding.ecard_id if binding is not None else ""
        draft = self._rights.draft(
            claim.link_id, claim.enrolment_id, ecard_id, card, point, now, key=key, proof=claim.proof
        )
        right = self._links.prepare_right(draft)
        if right.sealed_key is not None:
            point = self._rights.point_of(right)
        issued = self._issue(claim, point, binding, now)
        return issued.ecard_id, issued

    def _issue(self, claim: ClaimRow, point: bytes, binding: BindingRow | None, now: datetime) -> IssuedCredential:
        wanted = None
        if binding is not None and binding.state is BindingState.LIVE:
            wanted = binding.ecard_id
        try:
            return self._issuing.issue_to(claim.enrolment_id, point, now, ecard_id=wanted)
        except Conflict as conflict:
            if conflict.code == "issuance_in_progress":
                raise _in_progress() from None
            if conflict.code != "chip_already_bound":
                raise
        bound = self._register.find_binding(claim.card_ref)  # by another claim, a moment ago
        wanted = None if bound is None else bound.ecard_id
        return self._issuing.issue_to(claim.enrolment_id, point, now, ecard_id=wanted)

    def _stronger(self, claim: ClaimRow, binding: BindingRow | None) -> bool:
        """Whether the claim's chip answered better than the binding knows it."""
        if claim.proof is not HolderProof.CHIP or binding is None:
            return False
        proven = self._register.get_enrolment(claim.enrolment_id).assurance
        return proven is not None and proven > binding.assurance

    def _before(self, claim: ClaimRow, now: datetime) -> Claimed:
        """What a finished claim gave: a repetition."""
        link = self._links.find_link(claim.app_id, claim.linked_id or "")
        if link is None or link.ended_at is not None:
            raise RuleViolation("link_released", "this link was released")
        if claim.device_point is None:
            return Claimed(link, None)
        ecard = self._ecards.usable(link.ecard_id, now)
        return Claimed(link, self._to_device(link, ecard, claim.device_point, claim, now))

    def _to_device(self, link: Link, ecard: Ecard, point: bytes, claim: ClaimRow, now: datetime) -> IssuedCredential:
        try:
            return self._rights.issue_to(link, ecard, point, now, proof=claim.proof)
        except Conflict as conflict:
            if conflict.code != "issuance_in_progress":
                raise
            raise _in_progress() from None


def _in_progress() -> Unavailable:
    return Unavailable("claim_in_progress", "this card is being bound now: send the same again")


def _is_bound(binding: BindingRow | None) -> bool:
    return binding is not None and binding.state is BindingState.LIVE


def _link_of(claim: ClaimRow, ecard_id: str) -> Link:
    return Link(
        ecard_id=ecard_id,
        link_id=claim.link_id,
        app_id=claim.app_id,
        holder_ref=claim.holder_ref,
        proof=claim.proof,
        provider=claim.provider,
        method=claim.method,
        consent=claim.consent,
        claim_id=claim.claim_id,
        claimed_at=claim.made_at,
        mandate_id=claim.mandate_id,
    )
