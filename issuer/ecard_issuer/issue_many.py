"""Issuing for many at once: one plan, one call to the signing desk and one commit for all that wait at this moment.

Each credential is drafted, checked, planned, signed, checked again and committed by the very rules
of `Issuing`; whatever is not plain (a proof that was used before, a card that somebody else is at, a refusal of the
desk) is left to `Issuing` itself, one by one, so that each has the outcome that it would have had alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card import jose
from ecard_card.errors import Conflict, EcardError, NotFound, RuleViolation
from ecard_card.status import EcardStatus
from ecard_issuer.draft import Draft, Drafter
from ecard_issuer.issue import ActiveKeys, IssuedCredential, Issuing, to_issued
from ecard_issuer.ports import Register
from ecard_issuer.rows import BindingRow, Issuable, PlanRow, Successor
from ecard_issuer.states import BindingState, EnrolmentState
from ecard_issuer.together import Asked, Together
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose

#: Credentials made at one go: the desk takes 496 signatures, two of each.
MOST: Final = 32
_PLAN_LIFE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A proven enrolment and the device key (65 bytes) whose possession was shown. The credential binds the card's
    e-card, or joins it where there is one."""

    enrolment_id: str
    device_key: bytes


#: A credential that is asked for, and when.
_Asked = Asked[tuple[Wanted, datetime], IssuedCredential]


@dataclass(frozen=True, slots=True)
class _Drafted:
    asked: _Asked
    found: Issuable
    draft: Draft
    plan: PlanRow


class IssuingMany:
    """Safe for threads; several processes work side by side as `Issuing` does. Parameters as there."""

    def __init__(
        self,
        register: Register,
        keys: ActiveKeys,
        signing: SigningDesk,
        drafter: Drafter,
        alone: Issuing,
        *,
        owner: str,
        random: Callable[[int], bytes] = secrets.token_bytes,
        reached: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._register, self._keys, self._signing, self._drafter = register, keys, signing, drafter
        self._alone, self._owner, self._random, self._reached = alone, owner, random, reached
        self._waiting = Together(self._together, MOST)

    def issue(self, wanted: Sequence[Wanted], now: datetime) -> list[IssuedCredential]:
        """A credential for each, in this order; those of one card one after the other. Asked again, the same.

        Raises as `Issuing.issue_to` for the first that is refused; those before it are issued.
        """
        issued: list[IssuedCredential] = []
        left = list(wanted)
        while left:
            together, left = (left[:1], left[1:]) if not issued else (left, [])
            issued += self._waiting.ask(*((one, now) for one in together))
        return issued

    def _together(self, batch: Sequence[_Asked]) -> None:
        now = batch[0].question[1]
        plain, others = self._sorted(batch, now)
        if plain:
            others += self._made(plain, now)
        for asked in others:
            self._one(asked)

    def _one(self, asked: _Asked) -> None:
        wanted, now = asked.question
        try:
            ecard_id = self._joined(wanted.enrolment_id)
            issued = self._alone.issue_to(wanted.enrolment_id, wanted.device_key, now, ecard_id=ecard_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's own, and raised where that waits
            asked.outcome.set_exception(error)
        else:
            asked.outcome.set_result(issued)

    def _joined(self, enrolment_id: str) -> str | None:
        card_ref = self._register.get_enrolment(enrolment_id).card_ref
        return None if card_ref is None else _ecard_of(self._register.find_binding(card_ref))

    def _sorted(self, batch: Sequence[_Asked], now: datetime) -> tuple[list[tuple[_Asked, Issuable]], list[_Asked]]:
        """Those that can be made together, and the others. One binds a card, and any number joins a bound one."""
        found = self._register.issuable([one.question[0].enrolment_id for one in batch])
        plain: list[tuple[_Asked, Issuable]] = []
        others: list[_Asked] = []
        taken: set[str] = set()
        for asked in batch:
            one, proof = found.get(asked.question[0].enrolment_id), asked.question[0].enrolment_id
            free = one is not None and (one.binding is not None or one.enrolment.card_ref not in taken)
            if one is None or not free or proof in taken or not self._is_plain(one, now):
                others.append(asked)
            else:
                plain.append((asked, one))
                taken |= {proof, one.enrolment.card_ref or ""}
        return plain, others

    def _is_plain(self, one: Issuable, now: datetime) -> bool:
        proven = one.enrolment.state is EnrolmentState.PROVEN and one.enrolment.assurance is not None
        free = one.binding is None or one.binding.state is BindingState.LIVE
        usable = one.card is not None and self._register.effect_of(one.card, now) is EcardStatus.VALID
        return proven and free and usable and one.enrolment.expires_at > now and one.holder is not None

    def _made(self, plain: Sequence[tuple[_Asked, Issuable]], now: datetime) -> list[_Asked]:
        """Make them, and return those that are to be tried alone."""
        drafted, left = self._drafted(plain, now)
        if not drafted:
            return left
        plans = [one.plan for one in drafted]
        try:
            refused = self._register.plan_issuances(plans, now)
        except (Conflict, RuleViolation):  # an index was taken meanwhile, or the key was rotated: nothing stands
            return [*left, *(one.asked for one in drafted)]
        self._reached("planned")
        planned = [one for one in drafted if one.plan.plan_id not in refused]
        left += [one.asked for one in drafted if one.plan.plan_id in refused]
        return left + self._finished(planned, now)

    def _drafted(self, plain: Sequence[tuple[_Asked, Issuable]], now: datetime) -> tuple[list[_Drafted], list[_Asked]]:
        key, profile = self._keys.active(KeyPurpose.CREDENTIAL), self._drafter.profile
        drafted: list[_Drafted] = []
        left: list[_Asked] = []
        slots = self._register.free_slots(len(plain), now)
        for (asked, found), slot in zip(plain, slots, strict=True):
            card, assurance = found.card, found.enrolment.assurance
            if card is None or assurance is None:
                raise NotFound("card_unknown", "no such card in the register")
            wanted = asked.question[0]
            point = wanted.device_key
            ecard_id = _ecard_of(found.binding)
            try:
                draft = self._drafter.lay_out(
                    card,
                    self._random(16),
                    point,
                    slot,
                    assurance,
                    key,
                    now,
                    holder=found.holder,
                    holder_proof=found.enrolment.holder_proof,
                )
            except Exception:  # noqa: BLE001 - alone it fails again, and for nobody else
                left.append(asked)
                continue
            plan = PlanRow(
                card_ref=card.card_ref,
                plan_id=self._random(16).hex(),
                enrolment_id=wanted.enrolment_id,
                ecard_id=ecard_id or self._random(16).hex(),
                card_status=card.status,
                profile=profile.vct,
                profile_hash=profile.digest,
                list_id=slot.list_id,
                index=slot.index,
                credential_id=draft.credential.credential_id,
                draft_hashes=draft.hashes,
                key_id=key.kid,
                device_key_thumbprint=jose.thumbprint(jose.public_jwk(point[1:33], point[33:])),
                owner=self._owner,
                expires_at=now + _PLAN_LIFE,
                created_at=now,
                renewal=ecard_id is not None,
            )
            drafted.append(_Drafted(asked, found, draft, plan))
        return drafted, left

    def _finished(self, planned: Sequence[_Drafted], now: datetime) -> list[_Asked]:
        """Sign, check and commit. What comes to nothing is voided, and tried alone."""
        if not planned:
            return []
        made: list[tuple[_Drafted, str, Successor]] = []
        try:
            inputs = [message for one in planned for message in one.draft.inputs]
            signatures = self._signing.sign(SigningProfile.CREDENTIAL, planned[0].draft.key.kid, inputs, now)
            self._reached("signed")
            for place, one in enumerate(planned):
                made.append(self._complete(one, signatures[2 * place : 2 * place + 2], now))
            refused = self._register.commit_issuances([kept for _, _, kept in made], now)
        except EcardError as error:
            if error.code == "outcome_unknown":  # it may have been committed: `settle` finds out
                raise
            self._void(planned, now)
            return [one.asked for one in planned]
        self._reached("committed")
        for one, selective, kept in made:
            if kept.plan.plan_id not in refused:
                one.asked.outcome.set_result(to_issued(kept.credential, selective, one.draft.credential.status.uri))
        left = [one for one, _, kept in made if kept.plan.plan_id in refused]
        self._void(left, now)
        return [one.asked for one in left]

    def _complete(self, one: _Drafted, signatures: list[bytes], now: datetime) -> tuple[_Drafted, str, Successor]:
        finished = one.draft.complete(signatures)
        self._drafter.verify(one.draft, finished, one.draft.key, now)
        if one.found.card is None:
            raise NotFound("card_unknown", "no such card in the register")
        row = self._drafter.row(one.found.card, one.plan, one.draft, finished, one.found.holder)
        return one, finished[1], Successor(one.plan, row, {"cwt": jose.b64url_encode(finished[0])})

    def _void(self, planned: Sequence[_Drafted], now: datetime) -> None:
        for one in planned:
            try:
                self._register.void_plan(one.plan.card_ref, one.plan.plan_id, now)
            except Conflict as conflict:
                if conflict.code != "plan_committed":
                    raise


def _ecard_of(binding: BindingRow | None) -> str | None:
    """The e-card to join, where one is bound and alive."""
    return binding.ecard_id if binding is not None and binding.state is BindingState.LIVE else None
