"""Requests for approval and the votes on them: port `Approvals`. An approval is used up by `ecard_issuer.register.sql`.

The row of a request is the lock under which it is voted on and used: of two last votes one is the last, and of two
uses one happens. What the database refuses by itself, whoever asks it: a vote on one's own request (CHECK and foreign
key), a second vote of one person (primary key), a state that the votes do not bear out and a second decision
(triggers).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update

from ecard_card.errors import Conflict, NotAllowed, NotFound, RuleViolation, Unavailable
from ecard_issuer.names import person_key
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one, use_grant
from ecard_issuer.rows import ApprovalRow, Grant, VoteRow
from ecard_issuer.states import ApprovalState

_approvals, _votes, _directory = tables.approval, tables.approval_vote, tables.open_approval
_operator = tables.operator
_OPEN = (ApprovalState.PENDING, ApprovalState.APPROVED)
_TRIES = 8
#: Open requests of one person: a list of 200 shows those of others too.
MOST_OPEN = 50
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class SqlApprovals(Store):
    def request_approval(self, request: ApprovalRow, now: datetime) -> ApprovalRow:
        entry = {"change_hash": request.change_hash, "request_id": request.request_id}
        key = person_key(request.requester)
        with self._writing() as connection:
            for _ in range(_TRIES):
                if insert_new(connection, _directory, **entry):
                    _require_few(connection, key, now)
                    if not insert_new(connection, _approvals, **columns(request), requester_key=key):
                        raise Conflict("approval_exists", "a request of this id is known")
                    return request
                this_change = _directory.c.change_hash == request.change_hash
                held = connection.scalar(select(_directory.c.request_id).where(this_change))
                if held is None:
                    continue  # it was decided in this very moment
                before = _locked(connection, held)
                if before.state_at(now) in _OPEN:
                    return before
                if before.state in _OPEN:  # it expired and nobody came back: this one takes its place
                    _close(connection, before, ApprovalState.EXPIRED, now)
        raise Unavailable("register_unavailable", "requests for this change come and go without a pause")

    def get_approval(self, request_id: str) -> ApprovalRow:
        with self._reading() as connection:
            found = one(connection, ApprovalRow, select(_approvals).where(_approvals.c.request_id == request_id))
        if found is None:
            raise NotFound("approval_unknown", "no such request")
        return found

    def list_approvals(self, limit: int = 200, *, undecided: bool = False) -> tuple[ApprovalRow, ...]:
        newest = select(_approvals).where(_approvals.c.created_at > _BEGINNING)
        if undecided:
            newest = newest.where(_approvals.c.request_id.in_(_undecided()))
        with self._reading() as connection:
            return many(connection, ApprovalRow, newest.order_by(_approvals.c.created_at.desc()).limit(limit))

    def votes_of(self, request_id: str) -> tuple[VoteRow, ...]:
        with self._reading() as connection:
            cast = select(_votes).where(_votes.c.request_id == request_id)
            return many(connection, VoteRow, cast.order_by(_votes.c.voted_at, _votes.c.approver_key))

    def vote(self, vote: VoteRow) -> ApprovalRow:
        with self._writing() as connection:
            request = _locked(connection, vote.request_id)
            requester, approver = person_key(request.requester), person_key(vote.approver)
            if requester == approver:
                raise RuleViolation("approval_own_request", "another person must decide")
            _require_not_revoked(connection, approver)
            _require_open(request, vote)
            if not insert_new(connection, _votes, **columns(vote), approver_key=approver, requester_key=requester):
                raise Conflict("approval_already_voted", "this person has voted on this request")
            if not vote.approve:
                return _close(connection, request, ApprovalState.REFUSED, vote.voted_at)
            agreed = connection.scalar(
                select(func.count())
                .select_from(_votes)
                .where(_votes.c.request_id == vote.request_id, _votes.c.approve.is_(True))
            )
            if (agreed or 0) >= request.needed:
                connection.execute(
                    update(_approvals)
                    .where(_approvals.c.request_id == vote.request_id)
                    .values(state=ApprovalState.APPROVED)
                )
            return _locked(connection, vote.request_id)

    def use_approval(self, grant: Grant, now: datetime) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, now)


def withdraw(connection: Connection, people: Collection[str], now: datetime) -> None:
    """End every open request that one of `people` (by `person_key`) asked for or agreed to: who was shut out, maybe
    because somebody else had their token, has a part in nothing that is still to be done."""
    for request_id in sorted(connection.scalars(_undecided())):
        request = _locked(connection, request_id)
        voters = connection.scalars(select(_votes.c.approver_key).where(_votes.c.request_id == request_id))
        if request.state in _OPEN and not {person_key(request.requester), *voters}.isdisjoint(people):
            _close(connection, request, ApprovalState.REFUSED, now)


def _undecided() -> Select[Any]:
    """The ids of requests that nobody closed, expired or not."""
    return select(_directory.c.request_id).where(_directory.c.change_hash > "")


def _require_few(connection: Connection, requester_key: str, now: datetime) -> None:
    """That a person has not hidden everybody's requests behind their own."""
    waiting = connection.scalar(
        select(func.count())
        .select_from(_approvals)
        .where(
            _approvals.c.request_id.in_(_undecided()),
            _approvals.c.requester_key == requester_key,
            _approvals.c.expires_at > now,
        )
    )
    if (waiting or 0) >= MOST_OPEN:
        raise RuleViolation("approval_too_many_open", f"{MOST_OPEN} requests of this person wait already")


def _require_not_revoked(connection: Connection, person: str) -> None:
    """That a voter whom operators know is one of them still: a vote may be on its way while they are shut out. With
    the request locked, a revocation comes wholly before this vote or ends the request after it."""
    known = connection.execute(
        select(_operator.c.name, _operator.c.revoked_at).where(_operator.c.token_hash > "")
    ).all()
    ends = [ended for name, ended in known if person_key(name) == person]
    if ends and None not in ends:
        raise NotAllowed("not_allowed", "this operator was revoked")


def _locked(connection: Connection, request_id: str) -> ApprovalRow:
    """The request, locked until the transaction ends."""
    found = one(
        connection, ApprovalRow, select(_approvals).where(_approvals.c.request_id == request_id).with_for_update()
    )
    if found is None:
        raise NotFound("approval_unknown", "no such request")
    return found


def _require_open(request: ApprovalRow, vote: VoteRow) -> None:
    """That this may still be said: yes while more are needed, no until the change is made."""
    state = request.state_at(vote.voted_at)
    if state is ApprovalState.EXPIRED:
        raise RuleViolation("approval_expired", "nobody decided in time: ask again")
    if state not in ((ApprovalState.PENDING,) if vote.approve else _OPEN):
        raise Conflict("approval_closed", f"this request is {state.value}")


def _close(connection: Connection, request: ApprovalRow, state: ApprovalState, now: datetime) -> ApprovalRow:
    connection.execute(
        update(_approvals).where(_approvals.c.request_id == request.request_id).values(state=state, closed_at=now)
    )
    connection.execute(
        delete(_directory).where(
            _directory.c.change_hash == request.change_hash, _directory.c.request_id == request.request_id
        )
    )
    return _locked(connection, request.request_id)
