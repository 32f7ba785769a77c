"""The register's contract: requests, votes, and the one use of an approval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card.errors import Conflict, EcardError, NotFound, RuleViolation
from ecard_issuer.ports import Register
from ecard_issuer.rows import ApprovalRow, Grant, KeyScheduleRow, OperatorRow, TrustListRow, TrustRootRow, VoteRow
from ecard_issuer.states import ApprovalState
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, key_row, ref, refused

DAY = timedelta(days=1)
THREADS = 8


def asked(requester: str = "Anna", needed: int = 1, change: str | None = None) -> ApprovalRow:
    change_hash = change or ref() * 2
    facts: dict[str, object] = {"kid": "aaaa0001", "注": ["一", 2]}
    return ApprovalRow(ref()[:16], "key.promote", "aaaa0001", facts, change_hash, requester, needed, NOW, NOW + DAY)


def yes(request: ApprovalRow, approver: str = "Ben") -> VoteRow:
    return VoteRow(request.request_id, approver, True, LATER)


def no(request: ApprovalRow, approver: str = "Ben") -> VoteRow:
    return VoteRow(request.request_id, approver, False, LATER, "not today")


def approved(register: Register, change: str | None = None) -> Grant:
    request = register.request_approval(asked(change=change), NOW)
    assert register.vote(yes(request)).state is ApprovalState.APPROVED
    return Grant(request.request_id, request.change_hash)


class ApprovalsContract:
    def test_a_request_is_kept_as_it_was_asked_once_for_each_change(self, register: Register) -> None:
        request = asked()
        assert register.request_approval(request, NOW) == request
        again = replace(asked("Carla"), change_hash=request.change_hash, created_at=LATER)
        assert register.request_approval(again, LATER) == request
        assert register.get_approval(request.request_id) == request
        other = register.request_approval(replace(asked(), created_at=LATER), LATER)
        assert register.list_approvals() == (other, request)
        assert register.list_approvals(limit=1) == (other,)
        for missing in (again.request_id, "", "ü" * 200):
            with refused(NotFound, "approval_unknown"):
                register.get_approval(missing)
            with refused(NotFound, "approval_unknown"):
                register.vote(VoteRow(missing, "Ben", True, LATER))
        assert register.votes_of(again.request_id) == ()

    def test_as_many_as_are_needed_must_agree(self, register: Register) -> None:
        request = register.request_approval(asked(needed=2), NOW)
        assert register.vote(yes(request)).state is ApprovalState.PENDING
        grant = Grant(request.request_id, request.change_hash)
        with refused(RuleViolation, "approval_not_usable"):
            register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant)
        assert register.vote(yes(request, "Carla")).state is ApprovalState.APPROVED
        with refused(Conflict, "approval_closed"):
            register.vote(yes(request, "Dora"))
        assert [vote.approver for vote in register.votes_of(request.request_id)] == ["Ben", "Carla"]
        assert register.trust_roots() == ()

    @pytest.mark.parametrize(
        "spelling", ["Anna", "anna", " ANNA ", "An na", "\uff21nna"], ids=["same", "case", "around", "within", "wide"]
    )
    def test_nobody_decides_on_their_own_request(self, register: Register, spelling: str) -> None:
        request = register.request_approval(asked("Anna"), NOW)
        for vote in (yes(request, spelling), no(request, spelling)):
            with refused(RuleViolation, "approval_own_request"):
                register.vote(vote)
        assert register.votes_of(request.request_id) == ()

    def test_one_person_votes_once(self, register: Register) -> None:
        request = register.request_approval(asked(needed=2), NOW)
        register.vote(yes(request, "Ben"))
        for vote in (yes(request, "ben"), yes(request, "B en"), no(request, "Ben")):
            with refused(Conflict, "approval_already_voted"):
                register.vote(vote)
        assert register.get_approval(request.request_id).state is ApprovalState.PENDING

    def test_one_refusal_ends_it_even_after_an_approval(self, register: Register) -> None:
        for votes in ([no], [yes, no]):
            request = register.request_approval(asked(), NOW)
            for vote, name in zip(votes, ("Ben", "Carla"), strict=False):
                ended = register.vote(vote(request, name))
            assert (ended.state, ended.closed_at) == (ApprovalState.REFUSED, LATER)
            with refused(Conflict, "approval_closed"):
                register.vote(yes(request, "Dora"))
            with refused(RuleViolation, "approval_not_usable"):
                grant = Grant(request.request_id, request.change_hash)
                register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant)
            again = replace(asked(), change_hash=request.change_hash)
            assert register.request_approval(again, LATER) == again

    def test_time_ends_a_request(self, register: Register) -> None:
        request = register.request_approval(asked(), NOW)
        late = NOW + DAY
        with refused(RuleViolation, "approval_expired"):
            register.vote(replace(yes(request), voted_at=late))
        assert register.get_approval(request.request_id).state_at(late) is ApprovalState.EXPIRED
        again = replace(asked(), change_hash=request.change_hash, created_at=late, expires_at=late + DAY)
        assert register.request_approval(again, late) == again
        assert register.get_approval(request.request_id).state is ApprovalState.EXPIRED
        with refused(RuleViolation, "approval_expired"):  # whatever the voter's clock says
            register.vote(yes(request))
        grant = approved(register)
        with refused(RuleViolation, "approval_not_usable"):
            register.add_trust_root(TrustRootRow(1, b"root", late), grant=grant)

    def test_an_approval_is_used_once_by_its_own_change_only(self, register: Register) -> None:
        grant = approved(register)
        root = TrustRootRow(1, b"root", LATER)
        for wrong in (Grant(ref()[:16], grant.change_hash), replace(grant, change_hash="00" * 32)):
            with refused(RuleViolation, "approval_not_usable"):
                register.add_trust_root(root, grant=wrong)
        register.add_trust_root(root, grant=grant)
        used = register.get_approval(grant.request_id)
        assert (used.state, used.closed_at) == (ApprovalState.USED, LATER)
        with refused(RuleViolation, "approval_not_usable"):
            register.add_trust_root(TrustRootRow(2, b"root", LATER), grant=grant)
        assert register.trust_roots() == (root,)
        anew = replace(asked(), change_hash=grant.change_hash)
        assert register.request_approval(anew, LATER) == anew

    def test_a_change_that_fails_uses_nothing_up(self, register: Register) -> None:
        grant = approved(register)
        with refused(NotFound, "key_unknown"):
            register.activate_key("credential", "ffffffff", LATER, grant=grant)
        assert register.get_approval(grant.request_id).state is ApprovalState.APPROVED
        register.add_key(key_row("ffffffff"))
        assert register.activate_key("credential", "ffffffff", LATER, grant=grant).state == "active"
        assert register.get_approval(grant.request_id).state is ApprovalState.USED

    def test_every_dangerous_verb_asks_for_its_grant(self, register: Register) -> None:
        for kid, state in (("aaaa0001", "verify-only"), ("aaaa0002", "next"), ("aaaa0003", "retired")):
            register.add_key(key_row(kid, state))
        operator = OperatorRow(ref(), "Emil", "operator", LATER)
        verbs: dict[str, Callable[[Grant], object]] = {
            "set": lambda grant: register.set_schedule(KeyScheduleRow("event", DAY, "Anna", LATER), grant=grant),
            "clear": lambda grant: register.clear_schedule("event", LATER, grant=grant),
            "activate": lambda grant: register.activate_key("credential", "aaaa0002", LATER, grant=grant),
            "retire": lambda grant: register.retire_key("credential", "aaaa0001", LATER, grant=grant),
            "compromise": lambda grant: register.compromise_key("credential", "aaaa0002", None, LATER, grant=grant),
            "destroy": lambda grant: register.destroy_key("credential", "aaaa0003", LATER, grant=grant),
            "list": lambda grant: register.add_trust_list(TrustListRow(1, b"list", LATER), grant=grant),
            "root": lambda grant: register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant),
            "operator": lambda grant: register.add_operator(operator, grant=grant),
            "revoke": lambda grant: register.revoke_operators([operator.token_hash], LATER, grant=grant),
            "use": lambda grant: register.use_approval(grant, LATER),
        }
        for name, verb in verbs.items():
            with refused(RuleViolation, "approval_not_usable"):
                verb(Grant(ref()[:16], ref() * 2))
            grant = approved(register)
            verb(grant)
            assert register.get_approval(grant.request_id).state is ApprovalState.USED, name

    def test_who_is_shut_out_leaves_no_request_open(self, register: Register) -> None:
        tokens = {name: OperatorRow(ref(), name, "operator", NOW) for name in ("Anna", "Ben", "Carla")}
        second = OperatorRow(ref(), "Ben", "operator", NOW)
        for operator in (*tokens.values(), second):
            register.add_operator(operator)
        by_ben = register.request_approval(asked("ben"), NOW)
        with_ben, without, used = (register.request_approval(asked("Anna"), NOW) for _ in range(3))
        for request, name in ((with_ben, "Ben"), (without, "Carla"), (used, "Ben")):
            register.vote(yes(request, name))
        register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=Grant(used.request_id, used.change_hash))
        everything = (by_ben, with_ben, without, used)

        def states() -> list[str]:
            return [register.get_approval(request.request_id).state.value for request in everything]

        register.revoke_operators([second.token_hash], LATER)
        assert states() == ["pending", "approved", "approved", "used"]  # Ben is still one of us
        register.revoke_operators([tokens["Ben"].token_hash], LATER)
        assert states() == ["refused", "refused", "approved", "used"]
        with refused(RuleViolation, "approval_not_usable"):
            grant = Grant(with_ben.request_id, with_ben.change_hash)
            register.add_trust_root(TrustRootRow(2, b"root", LATER), grant=grant)

    def test_of_many_who_ask_for_one_change_one_makes_the_request(self, register: Register) -> None:
        change = ref() * 2
        requests = [asked(f"person {number}", change=change) for number in range(THREADS)]
        made: list[ApprovalRow] = []
        ended = race(*(lambda one=one: made.append(register.request_approval(one, NOW)) for one in requests))
        assert ended == {"won": THREADS}
        assert len({row.request_id for row in made}) == 1
        assert len(register.list_approvals()) == 1

    def test_of_many_who_replace_an_expired_request_one_does(self, register: Register) -> None:
        old = register.request_approval(asked(), NOW)
        late = NOW + 2 * DAY
        requests = [
            replace(asked(change=old.change_hash), created_at=late, expires_at=late + DAY) for _ in range(THREADS)
        ]
        made: list[ApprovalRow] = []
        ended = race(*(lambda one=one: made.append(register.request_approval(one, late)) for one in requests))
        assert ended == {"won": THREADS}
        assert len({row.request_id for row in made}) == 1
        assert len(register.list_approvals()) == 2

    def test_of_many_who_use_an_approval_one_does(self, register: Register) -> None:
        grant = approved(register)
        operators = [OperatorRow(ref(), f"new {number}", "operator", LATER) for number in range(THREADS)]
        ended = race(*(lambda one=one: register.add_operator(one, grant=grant) for one in operators))
        assert ended == {"won": 1, "approval_not_usable": THREADS - 1}
        assert len(register.list_operators()) == 1

    def test_of_many_last_votes_one_approves(self, register: Register) -> None:
        for _ in range(4):
            request = register.request_approval(asked(needed=2), NOW)
            votes = [yes(request, f"person {number}") for number in range(THREADS)]
            ended = race(*(lambda vote=vote: register.vote(vote) for vote in votes))
            assert ended == {"won": 2, "approval_closed": THREADS - 2}
            assert register.get_approval(request.request_id).state is ApprovalState.APPROVED
            assert len(register.votes_of(request.request_id)) == 2

    def test_of_a_use_and_a_refusal_one_happens(self, register: Register, world: World) -> None:
        outcomes: Counter[str] = Counter()
        for number in range(6):
            grant = approved(register)
            request = register.get_approval(grant.request_id)
            operator = OperatorRow(ref(), f"new {number}", "operator", LATER)
            ended = race(
                lambda operator=operator, grant=grant: register.add_operator(operator, grant=grant),  # type: ignore[misc]
                lambda request=request: register.vote(no(request, "Carla")),  # type: ignore[misc]
            )
            assert ended in ({"won": 1, "approval_closed": 1}, {"won": 1, "approval_not_usable": 1})
            state = register.get_approval(grant.request_id).state
            assert (state is ApprovalState.USED) == (register.find_operator(operator.token_hash) is not None)
            outcomes[state.value] += 1
        assert sum(outcomes.values()) == 6

    def test_nobody_loses_an_approval_to_an_unknown_error(self, register: Register) -> None:
        """Whatever is refused about an approval is refused by name."""
        request = register.request_approval(asked(), NOW)
        with pytest.raises(EcardError) as told:
            register.request_approval(replace(asked(), request_id=request.request_id), NOW)
        assert told.value.code == "approval_exists"
