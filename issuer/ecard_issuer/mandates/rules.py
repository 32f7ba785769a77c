"""Who may be given a mandate for what, and until when: pure rules (decision 0030)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecard_card.acting import Act, Ground
from ecard_card.age import comes_of_age, is_under
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_issuer.mandates.values import MAX_EVIDENCE, AgentRelation, MandateCause, MandateRow, NewMandate

#: What somebody who needs a guardian may do alone: stop harm, and show the code that a guardian obtained.
ALONE: Final = frozenset({Act.REPORT_LOSS, Act.SHOW_CODE})
#: What an agency may be asked to do.
AGENCY_ACTS: Final = frozenset({Act.APPLY, Act.COLLECT})
#: What an agent may be mandated to do: 除银行账户激活以外.
AGENT_ACTS: Final = frozenset(Act) - {Act.ACTIVATE_BANK_ACCOUNT}

_ACTS: Final = {Ground.GUARDIAN: frozenset(Act), Ground.MANDATE: AGENT_ACTS, Ground.AGENCY: AGENCY_ACTS}
_GUARDIAN_CAUSES: Final = frozenset({MandateCause.MINOR, MandateCause.INCAPABLE})


def require_grantable(wish: NewMandate, *, of_age: int, incapable: bool, now: datetime) -> datetime | None:
    """When the mandate ends if it is granted; None: not by itself.

    `incapable`: a guardian acts for the holder because they lack full capacity. Raises `InvalidInput`
    `mandate_bad_term`, `mandate_bad_scope`, `mandate_proof_missing`; `RuleViolation` `mandate_to_oneself`,
    `agent_not_of_age`, `guardian_not_needed`, `guardian_needed`, `mandate_out_of_scope`.
    """
    if wish.holder.id_number == wish.agent.id_number:
        raise RuleViolation("mandate_to_oneself", "holder and agent are one person")
    if not wish.proof.reference.strip() or len(wish.proof.reference) > MAX_EVIDENCE:
        raise InvalidInput("mandate_proof_missing", f"name the paper or record, in at most {MAX_EVIDENCE} characters")
    agent_born = wish.agent.birth_date
    if agent_born is not None and is_under(agent_born, of_age, now):
        raise RuleViolation("agent_not_of_age", "the agent needs a guardian themselves")
    _require_scope(wish)
    ends_at = _end(wish, of_age, incapable, now)
    if wish.proof.given_at > now or (ends_at is not None and ends_at <= max(wish.starts_at, now)):
        raise InvalidInput("mandate_bad_term", "it was given in the past, begins before it ends, and is not over yet")
    return ends_at


def _require_scope(wish: NewMandate) -> None:
    if wish.ground not in (Ground.GUARDIAN, Ground.MANDATE) or not wish.acts:
        raise InvalidInput("mandate_bad_scope", "a guardian or an agent, for at least one act")
    if (wish.ground is Ground.GUARDIAN) is not (wish.cause in _GUARDIAN_CAUSES) or wish.cause is MandateCause.CONSENT:
        raise InvalidInput("mandate_bad_scope", "the cause does not fit the ground")
    if wish.relation is AgentRelation.ORGANISATION:
        raise InvalidInput("mandate_bad_scope", "organisations apply in batches, and have no mandate of this kind")
    if not wish.acts <= _ACTS[wish.ground]:
        raise RuleViolation("mandate_out_of_scope", "no agent activates a bank account")


def _end(wish: NewMandate, of_age: int, incapable: bool, now: datetime) -> datetime | None:
    born = wish.holder.birth_date
    minor = born is not None and is_under(born, of_age, now)
    if wish.ground is Ground.MANDATE:
        if minor or incapable:
            raise RuleViolation("guardian_needed", "who needs a guardian gives no mandate")
        if wish.ends_at is None:
            raise InvalidInput("mandate_bad_term", "a written mandate says when it ends")
        return wish.ends_at
    if wish.cause is MandateCause.INCAPABLE:
        return wish.ends_at
    if born is None or not minor:
        raise RuleViolation("guardian_not_needed", "the holder is of age, or their birth date is not known")
    of_age_at = comes_of_age(born, of_age)
    return of_age_at if wish.ends_at is None else min(wish.ends_at, of_age_at)


def require_live(row: MandateRow, act: Act, now: datetime) -> None:
    """Raises `RuleViolation` `mandate_not_yet`, `mandate_ended`, `mandate_out_of_scope`."""
    if row.revoked_at is not None or (row.closes_at is not None and row.closes_at <= now):
        raise RuleViolation("mandate_ended", "revoked, or past its end")
    if now < row.starts_at:
        raise RuleViolation("mandate_not_yet", "it begins later")
    if act.value not in row.acts or act not in _ACTS.get(row.ground, frozenset()):
        raise RuleViolation("mandate_out_of_scope", "given for other acts")
