"""Requests for approval as routes and commands show them: an approver must see everything that will change."""

from __future__ import annotations

import json
from datetime import datetime

from ecard_issuer.answers import Json
from ecard_issuer.approvals import Approvals
from ecard_issuer.rows import ApprovalRow
from ecard_verifier.verdict import rfc3339


def approval_answer(approvals: Approvals, row: ApprovalRow, now: datetime) -> Json:
    """An `ApprovalAnswer`: what is asked, and what was said so far."""
    return {
        "id": row.request_id,
        "state": row.state_at(now).value,
        "action": row.action,
        "subject": row.subject,
        "facts": dict(row.facts),
        "change": row.change_hash,
        "requester": row.requester,
        "needed": row.needed,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at),
        "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
        "votes": [
            {
                "approver": vote.approver,
                "approve": vote.approve,
                "voted_at": rfc3339(vote.voted_at),
                "reason": vote.reason,
            }
            for vote in approvals.votes(row.request_id)
        ],
    }


def approval_lines(answer: Json) -> list[str]:
    """An `approval_answer` for a person to read."""
    facts, votes = answer["facts"], answer["votes"]
    lines = [
        f"request: {answer['id']} ({answer['state']})",
        f"action: {answer['action']} {answer['subject']}",
        f"asked by: {answer['requester']} at {answer['created_at']}, good until {answer['expires_at']}",
    ]
    if isinstance(facts, dict):
        lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()]
    lines.append(f"approvals needed: {answer['needed']}")
    for vote in votes if isinstance(votes, list) else ():
        said = "approved" if vote["approve"] else "refused"
        lines.append(f"  {said} by {vote['approver']} at {vote['voted_at']} {vote['reason']}".rstrip())
    return lines
