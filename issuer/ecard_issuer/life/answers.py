"""From a case to the answer of its route: what it touched, what it did not, and what is left for the holder to do."""

from __future__ import annotations

from ecard_card import messages
from ecard_card.region_policy import RegionPolicy
from ecard_card.status import CardStatus, EcardStatus
from ecard_issuer.life.values import UNDER_WAY, CaseKind, CaseState, LossKind, Outcome
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def case_answer(outcome: Outcome, policy: RegionPolicy, language: messages.Language) -> Json:
    """A `CaseAnswer`. Nothing about the holder is in it."""
    case = outcome.case
    return {
        "case_id": case.case_id,
        "kind": case.kind.value,
        "state": case.state.value,
        "why": case.why,
        "applied": case.applied,
        "card_ref": case.card_ref,
        "new_card_ref": case.new_card_ref,
        "also": list(outcome.also),
        "left": list(outcome.left),
        "region": outcome.region,
        "status": int(outcome.status),
        "ecard_status": outcome.effect.name.lower(),
        "channel": case.channel.value,
        "ground": case.ground.value,
        "opened_at": rfc3339(case.opened_at),
        "changed_at": rfc3339(case.changed_at),
        "ends_at": rfc3339(case.due_at) if case.due_at else None,
        "ends_by": case.due_end.value if case.due_end else None,
        "touched": touched(outcome),
        "remains": [{"code": code, "text": messages.text(code, language)} for code in remains(outcome, policy)],
        "steps": [{"state": state, "at": at} for state, at, _ in case.steps],
    }


def touched(outcome: Outcome) -> Json:
    """Which of card, e-card, bank account and phone the case was about. The last two are never ours to touch."""
    case = outcome.case
    of_ecard_alone = case.kind in (CaseKind.HOLDER_LOCK, CaseKind.CONSENT)
    ordered = case.kind is CaseKind.REPLACEMENT and case.state in UNDER_WAY
    waiting = ordered and outcome.status is not CardStatus.CANCELLED
    changed = case.applied and not waiting
    return {
        "card": changed and not of_ecard_alone,
        "ecard": changed,
        "bank_account": False,
        "phone": False,
    }


def remains(outcome: Outcome, policy: RegionPolicy) -> list[str]:
    """What the case did not do, as codes of the message catalogue."""
    case = outcome.case
    match case.kind:
        case CaseKind.LOSS:
            left = ["remains_bank_loss", "remains_phone_loss"]
            if case.why == LossKind.TEMPORARY and case.state is CaseState.OPEN and case.due_end is not None:
                left.append(f"remains_term_{case.due_end.value}")
            if outcome.status is CardStatus.LOST and not policy.loss.formal_may_release:
                left.append("remains_replacement")
            return left
        case CaseKind.RELEASE:
            return ["remains_bank_release"]
        case CaseKind.CANCELLATION:
            return ["remains_bank_closing", *(["remains_other_cards"] if outcome.left else [])]
        case CaseKind.REPLACEMENT if case.state is CaseState.COLLECTED:
            return ["remains_phone_fetch", "remains_bank_activation"]
        case CaseKind.REPLACEMENT if case.state in UNDER_WAY:
            return ["remains_collection"]
        case CaseKind.HOLDER_LOCK if outcome.effect is EcardStatus.SUSPENDED:
            return ["remains_card_usable"] if outcome.status is CardStatus.NORMAL else []
    return []
