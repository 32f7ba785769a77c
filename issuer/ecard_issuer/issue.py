"""Issuing: draft → verify the draft as a verifier would → record the plan → sign once → commit.

A crash between any two steps leaves a plan that `settle` voids: what may have been signed for it is INVALID for
ever, the chip is free again, and the enrolment may be used once more. No signature is ever made that no plan names.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ecard_card import cwt, device_proof, jose
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.credential import StatusRef
from ecard_card.errors import Conflict, EcardError, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_card.status import EcardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.draft import Draft, Drafter, seal_context
from ecard_issuer.ports import Register
from ecard_issuer.rows import BindingRow, CardRow, CredentialRow, EnrolmentRow, PlanRow
from ecard_issuer.states import BindingState, EnrolmentState
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_keys.status_uri import list_uri
from ecard_keys.verify import load_public_key, uncompressed, verify_jws

_PLAN_LIFE = timedelta(seconds=30)
_SLOT_TRIES = 20


class ActiveKeys(Protocol):
    """Which key signs now."""

    def active(self, purpose: KeyPurpose) -> KeyRecord: ...


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """What the holder's app receives: one dataset in two formats. The SD-JWT holds personal data."""

    sd_jwt: str = field(repr=False)
    cwt: bytes = field(repr=False)
    ecard_id: str
    credential_id: bytes
    status: StatusRef
    expires_at: datetime
    assurance: ChipAssurance


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a credential is to say, and on the strength of what: a proven enrolment, or a credential before it."""

    card: CardRow
    enrolment_id: str
    assurance: ChipAssurance
    device_key: bytes  # uncompressed
    device_key_thumbprint: bytes
    ecard_id: str
    renewal: bool
    holder_proof: HolderProof | None
    device_algorithm: Algorithm = Algorithm.ES256
    replaces: bytes | None = None


class Issuing:
    """The one way in which a credential comes to be.

    A plan is made and finished by one call under the one profile of `drafter`, so a signature cannot follow another
    profile than the planned one. The hash in `PlanRow.profile_hash` is for an audit of who signed under what; no code
    reads it.

    `signing` judges each draft by its own rules before it asks a key. `owner` names this issuer among those that share
    the register; `reached` is told each step that is behind us (tests end the process there).
    """

    def __init__(
        self,
        register: Register,
        desk: CardDesk,
        keys: ActiveKeys,
        signing: SigningDesk,
        drafter: Drafter,
        *,
        owner: str,
        random: Callable[[int], bytes] = secrets.token_bytes,
        reached: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._register = register
        self._desk = desk
        self._keys = keys
        self._signing = signing
        self._drafter = drafter
        self._profile = drafter.profile
        self._owner = owner
        self._random = random
        self._reached = reached

    def issue(
        self, enrolment_id: str, device_key: bytes, proof: str, now: datetime, *, ecard_id: str | None = None
    ) -> IssuedCredential:
        """Issue the credential that a proven enrolment is good for, to the device key that `proof` shows possession of.

        Repeating a finished request with the same device key gives the same credential again: a reply may be lost.
        So does a request that loses against itself, sent twice at once, as soon as one of the two is done; until then
        it is `issuance_in_progress`. `ecard_id` asks for one more credential of an e-card that this chip already has.

        Raises `NotFound` `enrolment_unknown`; `InvalidInput` `bad_device_proof`, `bad_public_key`; `RuleViolation`
        `enrolment_not_proven`, `enrolment_expired`, `card_not_issuable`; `Conflict` `chip_already_bound`,
        `enrolment_already_used`, `issuance_in_progress`; `Unavailable` where a key home or the register is away.
        """
        self._prove_possession(proof, device_key, enrolment_id, now)
        return self.issue_to(enrolment_id, device_key, now, ecard_id=ecard_id)

    def issue_to(
        self, enrolment_id: str, device_key: bytes, now: datetime, *, ecard_id: str | None = None
    ) -> IssuedCredential:
        """As `issue`, to a device key whose possession was shown to the caller of this method by another protocol."""
        try:
            return self._issue(enrolment_id, device_key, now, ecard_id)
        except Conflict as conflict:
            enrolment = self._register.get_enrolment(enrolment_id)
            if enrolment.state is EnrolmentState.ISSUED:  # meanwhile, perhaps to this very device
                return self._issued_before(enrolment, device_key)
            if conflict.code == "chip_already_bound" and self._being_bound(enrolment):
                raise Conflict("issuance_in_progress", "this chip is being bound now") from None
            raise

    def _issue(self, enrolment_id: str, device_key: bytes, now: datetime, ecard_id: str | None) -> IssuedCredential:
        enrolment = self._register.get_enrolment(enrolment_id)
        if enrolment.state is EnrolmentState.ISSUED:
            return self._issued_before(enrolment, device_key)
        if enrolment.state is not EnrolmentState.PROVEN or enrolment.card_ref is None or enrolment.assurance is None:
            raise RuleViolation("enrolment_not_proven", "the chip has not answered this enrolment's challenge")
        card = self._register.get_card(enrolment.card_ref)
        if self._register.effect_of(card, now) is not EcardStatus.VALID:
            raise RuleViolation("card_not_issuable", "the card's status does not permit an e-card")
        binding = self._register.find_binding(card.card_ref)
        renewal = _is_renewal(binding, ecard_id)
        target = binding.ecard_id if binding is not None and renewal else self._random(16).hex()
        wanted = _Wanted(
            card,
            enrolment.enrolment_id,
            enrolment.assurance,
            device_key,
            _thumbprint(device_key),
            target,
            renewal,
            enrolment.holder_proof,
        )
        row, selective, uri = self._make(wanted, now)
        return to_issued(row, selective, uri)

    def follow(self, old: CredentialRow, now: datetime) -> None:
        """Issue what follows a credential that ended because its card was replaced: the same e-card, the same device
        key, the chip that carries the e-card now, as that was proven when it was bound.

        Raises `RuleViolation` `card_not_issuable`, `enrolment_not_proven` (the new chip was not proven yet);
        `Conflict` `credential_not_replaced`, `credential_already_replaced`, `issuance_in_progress`; and as `issue`.
        """
        card_ref = self._register.card_of_ecard(old.ecard_id)
        binding = self._register.find_binding(card_ref) if card_ref is not None else None
        if card_ref is None or binding is None or card_ref == old.card_ref or binding.ecard_id != old.ecard_id:
            raise Conflict("credential_not_replaced", "the e-card of this credential moved to no other card")
        if binding.state is not BindingState.LIVE:
            raise RuleViolation("enrolment_not_proven", "the new card's chip has to be proven first")
        card = self._register.get_card(card_ref)
        if self._register.effect_of(card, now) is not EcardStatus.VALID:
            raise RuleViolation("card_not_issuable", "the card's status does not permit an e-card")
        held = cwt.parse(old.cwt)
        wanted = _Wanted(
            card,
            "",
            binding.assurance,
            uncompressed(held.device_key, held.device_algorithm),
            old.device_key_thumbprint,
            old.ecard_id,
            True,
            held.holder_proof,
            held.device_algorithm,
            old.credential_id,
        )
        self._make(wanted, now)

    def _make(self, wanted: _Wanted, now: datetime) -> tuple[CredentialRow, str, str]:
        """Plan, sign, check and commit; the row, its SD-JWT and the URI of its status list."""
        card = wanted.card
        draft, plan = self._plan(wanted, now)
        self._reached("planned")
        try:
            signatures = self._sign(draft, now)
            self._reached("signed")
            compact, selective = draft.complete(signatures)
            self._drafter.verify(draft, (compact, selective), draft.key, now)
            row = self._drafter.row(card, plan, draft, (compact, selective))
            self._register.commit_issuance(card.card_ref, plan.plan_id, row, {"cwt": jose.b64url_encode(compact)}, now)
        except EcardError as error:
            if error.code != "outcome_unknown":  # it may have been committed: `settle` finds out
                self._register.void_plan(card.card_ref, plan.plan_id, now)
            raise
        self._reached("committed")
        return row, selective, draft.credential.status.uri

    def _sign(self, draft: Draft, now: datetime) -> list[bytes]:
        try:
            return self._signing.sign(SigningProfile.CREDENTIAL, draft.key.kid, draft.inputs, now)
        except InvalidInput as refusal:  # the draft is ours: whatever is wrong with it, the caller cannot mend it
            raise Unavailable("draft_refused", refusal.detail) from refusal
        except NotFound as missing:
            raise Unavailable("key_not_at_home", "the home of keys does not hold the key that signs now") from missing

    def settle(self, now: datetime, *, everything: bool) -> int:
        """Void what a crash left planned, and return how many plans that were.

        `everything`: also this owner's own plans, whatever their age (right after its restart). Otherwise only plans
        past their life; a worker that still holds one finds it voided when it wants to commit.
        """
        settled = 0
        while plans := self._register.stale_plans(now, self._owner if everything else None):
            for plan in plans:
                try:
                    settled += self._register.void_plan(plan.card_ref, plan.plan_id, now)
                except Conflict as conflict:  # committed after all, by a worker that was only slow
                    if conflict.code != "plan_committed":
                        raise
        return settled

    def _plan(self, wanted: _Wanted, now: datetime) -> tuple[Draft, PlanRow]:
        """A checked draft and its recorded plan; takes the chip, the e-card and a status index."""
        card = wanted.card
        credential_id, plan_id = self._random(16), self._random(16).hex()
        for _ in range(_SLOT_TRIES):
            key = self._keys.active(KeyPurpose.CREDENTIAL)
            slot = self._register.free_slot(now)
            draft = self._drafter.lay_out(
                card,
                credential_id,
                wanted.device_key,
                slot,
                wanted.assurance,
                key,
                now,
                device_algorithm=wanted.device_algorithm,
                holder_proof=wanted.holder_proof,
            )
            self._reached("drafted")
            plan = PlanRow(
                card_ref=card.card_ref,
                plan_id=plan_id,
                enrolment_id=wanted.enrolment_id,
                ecard_id=wanted.ecard_id,
                card_status=card.status,
                profile=self._profile.vct,
                profile_hash=self._profile.digest,
                list_id=slot.list_id,
                index=slot.index,
                credential_id=credential_id,
                draft_hashes=draft.hashes,
                key_id=key.kid,
                device_key_thumbprint=wanted.device_key_thumbprint,
                owner=self._owner,
                expires_at=now + _PLAN_LIFE,
                created_at=now,
                renewal=wanted.renewal,
                replaces=wanted.replaces,
            )
            try:
                self._register.plan_issuance(plan, now)
            except Conflict as conflict:
                if conflict.code != "status_index_taken":
                    raise
            except RuleViolation as refusal:
                if refusal.code != "key_not_active":  # else its successor was promoted in this moment
                    raise
            else:
                return draft, plan
        raise Unavailable("status_index_exhausted", "no free status index was found")

    def _being_bound(self, enrolment: EnrolmentRow) -> bool:
        binding = self._register.find_binding(enrolment.card_ref) if enrolment.card_ref else None
        return binding is not None and binding.state is BindingState.RESERVED

    def _issued_before(self, enrolment: EnrolmentRow, device_key: bytes) -> IssuedCredential:
        row = self._register.find_credential(enrolment.credential_id) if enrolment.credential_id else None
        if row is None or row.device_key_thumbprint != _thumbprint(device_key):
            raise Conflict("enrolment_already_used", "this enrolment gave its credential to another device key")
        card = self._register.get_card(row.card_ref)
        selective = self._desk.seal_of(card).open(row.sealed_sd_jwt, seal_context(row.credential_id))
        return to_issued(row, selective.decode(), list_uri(self._profile.status_uri, row.list_id))

    def _prove_possession(self, proof: str, device_key: bytes, enrolment_id: str, now: datetime) -> None:
        key = load_public_key(device_key)
        jws = device_proof.parse(
            proof, issuer=self._profile.issuer, enrolment_id=enrolment_id, now=int(now.timestamp())
        )
        if not verify_jws(jws, key):
            raise InvalidInput("bad_device_proof", "not signed by the device key")


def _is_renewal(binding: BindingRow | None, ecard_id: str | None) -> bool:
    """Whether a credential joins the e-card that is bound to this chip, rather than binding the chip anew."""
    if binding is None:
        if ecard_id is not None:
            raise Conflict("ecard_not_bound_here", "no e-card is bound to this chip")
        return False
    if ecard_id is not None and ecard_id != binding.ecard_id:
        raise Conflict("ecard_not_bound_here", "another e-card is bound to this chip")
    if binding.state is BindingState.RESERVED:
        raise Conflict("issuance_in_progress", "this chip is being bound now")
    if binding.state is BindingState.LIVE and ecard_id is None:
        raise Conflict("chip_already_bound", "this chip has its e-card")
    return True


def _thumbprint(device_key: bytes) -> bytes:
    return jose.thumbprint(jose.public_jwk(device_key[1:33], device_key[33:]))


def to_issued(row: CredentialRow, selective: str, uri: str) -> IssuedCredential:
    """What the app receives of a stored credential; `uri` is that of its status list."""
    return IssuedCredential(
        sd_jwt=selective,
        cwt=row.cwt,
        ecard_id=row.ecard_id,
        credential_id=row.credential_id,
        status=StatusRef(uri, row.list_id, row.index),
        expires_at=row.expires_at,
        assurance=row.assurance,
    )
