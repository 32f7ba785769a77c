"""The re-issue job: whatever comes between, each credential gets one successor, and what is left is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from ecard_card import cwt
from ecard_card.errors import ApprovalNeeded, Conflict, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_card.status import CardChange
from ecard_issuer.approvals import Approvals
from ecard_issuer.register import tables
from ecard_issuer.reissue import Reissue
from ecard_issuer.reissue_progress import Part, Progress
from ecard_issuer.rows import PlanRow, ReissueCount
from ecard_issuer.states import CredentialState, PlanState
from ecard_keys.desk.desk import SigningProfile
from ecard_sdk.device import DeviceKey
from tests.contracts.register_world import refused
from tests.issuer.reissuing import (
    ACTOR,
    Breaking,
    active,
    compromise,
    credentials,
    id_of,
    issue,
    job,
    promote,
    replaced_once,
)
from tests.issuer.service import Service
from tests.provinces import Holding


def run(service: Service, key_id: str, reissue: Reissue | None = None, batch: int = 4) -> Progress:
    """A run whose pauses take no time but its own clock's."""
    return (reissue or service.issuer.reissue).run(key_id, service.clock, batch=batch, pause=service.clock.advance)


def value(service: Service, list_id: int, index: int) -> int:
    return dict(service.issuer.register.status_snapshot(list_id).entries).get(index, 0)


def test_all_are_made_anew_and_the_old_ones_stay_good(service: Service) -> None:
    holdings = issue(service, 9)
    before = {holding.card_ref: service.issuer.register.find_binding(holding.card_ref) for holding in holdings}
    old = promote(service)
    service.clock.advance(3600)
    heard: list[tuple[int, int]] = []
    progress = service.issuer.reissue.run(
        old, service.clock, batch=4, told=lambda now: heard.append((now.done, now.total))
    )
    assert heard == [(0, 9), (4, 9), (8, 9), (9, 9)]
    assert (progress.done, progress.left, progress.seconds_left) == (9, Counter(), 0)
    assert progress.rate > 0
    assert replaced_once(service, holdings)
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(0, 9)
    for holding in holdings:
        was, new = credentials(service, holding)
        assert new is not None
        assert was.state is CredentialState.LIVE
        assert (new.expires_at, new.assurance, new.ecard_id) == (was.expires_at, was.assurance, was.ecard_id)
        assert new.issued_at == was.issued_at + timedelta(hours=1)
        assert cwt.parse(new.cwt).device_key == cwt.parse(holding.compact).device_key
        assert service.issuer.register.find_binding(holding.card_ref) == before[holding.card_ref]
    assert run(service, old).done == 0


def test_nothing_is_waited_for_where_the_key_is_refused_altogether(service: Service) -> None:
    holdings = issue(service, 3)
    old = compromise(service)
    assert run(service, old).done == 3
    assert all(credentials(service, holding)[0].state is CredentialState.ENDED for holding in holdings)
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(0, 0)


def test_a_cut_off_leaves_the_older_ones_until_they_are_collected(service: Service) -> None:
    holdings = issue(service, 2)
    old = compromise(service, service.clock())
    assert run(service, old).done == 2
    assert all(credentials(service, holding)[0].state is CredentialState.LIVE for holding in holdings)
    service.issuer.key_office.compromise(old, None, ACTOR, service.clock())
    assert run(service, old).done == 0
    assert all(credentials(service, holding)[0].state is CredentialState.ENDED for holding in holdings)


def test_a_key_that_is_declared_stolen_meanwhile_ends_what_was_replaced_before(service: Service) -> None:
    holdings = issue(service, 6)
    old = promote(service)

    def declare() -> None:
        service.issuer.key_office.compromise(old, None, ACTOR, service.clock())

    assert run(service, old, job(service, signing=Breaking(service.issuer.signing, 1, declare)), 2).done == 6
    assert all(credentials(service, holding)[0].state is CredentialState.ENDED for holding in holdings)


def test_end_now_ends_the_ones_of_earlier_runs_too(service: Service) -> None:
    holdings = issue(service, 4)
    old = promote(service)
    stop = iter([True])
    service.issuer.reissue.run(old, service.clock, batch=2, wanted=lambda: next(stop, False))
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(2, 2)
    service.issuer.reissue.run(old, service.clock, end_now=True)
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(0, 0)
    assert all(credentials(service, holding)[0].state is CredentialState.ENDED for holding in holdings)


def test_parts_share_the_register_and_together_do_all_of_it_once(service: Service) -> None:
    holdings = issue(service, 20)
    old = promote(service)
    parts = [Part(number, 3) for number in (1, 2, 3)]
    counts = [service.issuer.reissue.count(old, service.clock(), part).waiting for part in parts]
    assert sum(counts) == 20
    done = [service.issuer.reissue.run(old, service.clock, part=part, batch=3) for part in parts]
    assert [(one.done, one.total) for one in done] == list(zip(counts, counts, strict=True))
    assert replaced_once(service, holdings)


@pytest.mark.parametrize("count", [1, 3, 7, 256])
def test_parts_and_slices_leave_no_gap(count: int) -> None:
    bounds = [Part(number, count).bounds() for number in range(1, count + 1)]
    slices = [stretch for number in range(1, count + 1) for stretch in Part(number, count).slices()]
    for stretches in (bounds, slices):
        assert (stretches[0][0], stretches[-1][1]) == ("", None)
        assert [high for _, high in stretches[:-1]] == [low for low, _ in stretches[1:]]


@pytest.mark.parametrize(("number", "count"), [(0, 1), (2, 1), (1, 0), (1, 257)])
def test_a_part_that_does_not_exist_is_refused(number: int, count: int) -> None:
    with refused(InvalidInput, "bad_part"):
        Part(number, count)


def test_two_jobs_at_once_never_do_one_twice(service: Service) -> None:
    holdings = issue(service, 30)
    old = promote(service)
    with ThreadPoolExecutor(2) as pool:
        runs = list(
            pool.map(lambda _: service.issuer.reissue.run(old, service.clock, batch=3, pause=lambda _: None), range(2))
        )
    assert sum(one.done for one in runs) == 30
    assert replaced_once(service, holdings)


@pytest.mark.parametrize("step", ["planned", "signed", "committed"])
def test_a_job_that_dies_is_taken_up_by_the_next(service: Service, step: str) -> None:
    """What it had in hand is voided when its plans are over, which the next run waits for."""
    holdings = issue(service, 6)
    old = promote(service)

    class Killed(BaseException):
        pass

    def die(at: str) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        run(service, old, job(service, reached=die))
    assert run(service, old).done == (2 if step == "committed" else 6)
    assert replaced_once(service, holdings)
    assert service.issuer.register.stale_plans(service.clock() + timedelta(days=1)) == ()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Unavailable("key_home_unavailable", "taken away by a test"), "key_home_unavailable"),
        (NotFound("key_unknown", "another home was put in its place"), "key_not_at_home"),
    ],
    ids=["away", "another"],
)
def test_a_home_that_is_away_leaves_nothing_half_done(service: Service, fault: Exception, code: str) -> None:
    holdings = issue(service, 6)
    old = promote(service)

    def away() -> None:
        raise fault

    with refused(Unavailable, code):
        run(service, old, job(service, signing=Breaking(service.issuer.signing, 1, away)))
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(2, 4)
    assert service.issuer.register.stale_plans(service.clock() + timedelta(days=1)) == ()
    assert run(service, old).done == 2
    assert replaced_once(service, holdings)


def change(service: Service, holding: Holding, what: CardChange) -> None:
    service.issuer.lifecycle.change(holding.card_ref, what, service.clock())


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_cards_that_change_get_what_they_are_due(service: Service, when: str) -> None:
    lost, cancelled, normal = issue(service, 3)
    old = promote(service)

    def happen() -> None:
        change(service, lost, CardChange.REPORT_LOSS)
        change(service, cancelled, CardChange.CANCEL)

    if when == "before":
        happen()
        progress = run(service, old)
        assert progress.left == Counter()
    else:
        progress = run(service, old, job(service, signing=Breaking(service.issuer.signing, 0, happen)))
        assert progress.left == Counter(card_status_differs=1)
    assert progress.done == 2
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(0, 2)
    entries = [credentials(service, holding)[1] for holding in (lost, normal)]
    assert [value(service, row.list_id, row.index) for row in entries if row] == [2, 0]
    assert credentials(service, cancelled)[1] is None
    change(service, lost, CardChange.RELEASE)
    assert [value(service, row.list_id, row.index) for row in entries if row] == [0, 0]


def test_what_has_expired_is_left_alone(service: Service) -> None:
    issue(service, 2)
    old = promote(service)
    service.clock.advance(366 * 86400)
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(0, 0)


def test_another_promotion_meanwhile_is_followed(service: Service) -> None:
    holdings = issue(service, 4)
    old = promote(service)

    rotated: list[str] = []

    def rotate(step: str) -> None:
        if step == "committed" and not rotated:
            rotated.append(promote(service))

    assert run(service, old, job(service, reached=rotate), 2).done == 4
    keys = [new.key_id for holding in holdings if (new := credentials(service, holding)[1])]
    assert sorted(Counter(keys).values()) == [2, 2]
    assert active(service) in keys


@pytest.mark.parametrize("step", ["drafting", "signing"])
def test_a_new_key_that_is_lost_in_this_moment_is_not_used(service: Service, step: str) -> None:
    holdings = issue(service, 3)
    old = promote(service)
    second = active(service)

    if step == "signing":
        reissue = job(service, signing=Breaking(service.issuer.signing, 0, lambda: compromise(service)))
    else:
        reissue = job(service)
        inner, lost = service.issuer.register.plan_reissues, list[str]()

        def plan(plans: Sequence[PlanRow], now: datetime) -> Mapping[str, str]:
            if not lost:
                lost.append(compromise(service))
            return inner(plans, now)

        service.issuer.register.plan_reissues = plan  # type: ignore[method-assign]
    progress = run(service, old, reissue)
    assert (progress.done, progress.left) == (3, Counter())
    assert replaced_once(service, holdings)
    assert all(new.key_id != second for holding in holdings if (new := credentials(service, holding)[1]))


def test_one_damaged_record_does_not_hold_up_the_others(service: Service) -> None:
    holdings = issue(service, 5)
    old = promote(service)
    with service.issuer.engine.begin() as connection:
        connection.execute(
            update(tables.card)
            .where(tables.card.c.card_ref == holdings[2].card_ref)
            .values(sealed_identity=b"\x01" * 40)
        )
    progress = run(service, old)
    assert (progress.done, progress.left) == (4, Counter(register_damaged=1))
    assert service.issuer.reissue.count(old, service.clock()) == ReissueCount(1, 4)


def test_a_draft_that_the_desk_refuses_is_found_and_left(service: Service) -> None:
    holdings = issue(service, 7)
    old = promote(service)
    refusing = min(holdings, key=lambda holding: holding.card_ref)
    inner = service.issuer.signing

    class Picky:
        def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
            if any(cwt.parse(refusing.compact).device_key[1:] in draft for draft in drafts):
                raise InvalidInput("draft_refused", "a region that the rules do not name")
            return inner.sign(profile, key_id, drafts, now)

    progress = run(service, old, job(service, signing=Picky()), 7)
    assert (progress.done, progress.left) == (6, Counter(draft_refused=1))
    with service.issuer.engine.connect() as connection:
        states = Counter(connection.scalars(select(tables.plan.c.state)))
    assert states == {PlanState.COMMITTED: 7 + 6, PlanState.VOIDED: 1}


def test_the_key_that_signs_now_and_unknown_ones_are_refused(service: Service) -> None:
    for kind, code, kid in ((RuleViolation, "key_still_active", active(service)), (NotFound, "key_unknown", "0" * 8)):
        for ask in (
            lambda kid=kid: service.issuer.reissue.count(kid, service.clock()),
            lambda kid=kid: run(service, kid),
            lambda kid=kid: service.issuer.reissue.permit(
                kid, ACTOR, service.issuer.approvals, service.clock(), end_now=False
            ),
        ):
            with refused(kind, code):
                ask()


def test_another_admin_is_asked_once_and_once_more_for_ending_at_once(service: Service) -> None:
    old = promote(service)
    issuer, now = service.issuer, service.clock()
    approvals = Approvals(issuer.register, needed=1)
    for end_now in (False, True):
        for _ in range(2):
            with pytest.raises(ApprovalNeeded) as needed:
                issuer.reissue.permit(old, ACTOR, approvals, now, end_now=end_now)
        approvals.decide(needed.value.request_id, "second admin", approve=True, now=now)
        for _ in range(3):
            issuer.reissue.permit(old, ACTOR, approvals, now, end_now=end_now)
    issuer.reissue.permit(old, ACTOR, approvals, now, end_now=False)
    assert len(approvals.list(now, every=True)) == 2


def test_collecting_by_the_device_and_by_nobody_else(service: Service) -> None:
    holding, other = issue(service, 2)
    issuer, clock = service.issuer, service.clock
    old, name = id_of(holding), issuer.identity.issuer

    def proof(device: DeviceKey = holding.device, nonce: str = old.hex(), audience: str = name) -> str:
        return device.proof(audience, nonce, clock())

    with refused(Conflict, "credential_not_replaced"):
        issuer.collecting.collect(old, proof(), clock())
    run(service, promote(service))
    for wrong in (proof(other.device), proof(nonce=id_of(other).hex()), proof(audience="https://x")):
        with refused(InvalidInput, "bad_device_proof"):
            issuer.collecting.collect(old, wrong, clock())
    with refused(NotFound, "credential_unknown"):
        issuer.collecting.collect(bytes(16), proof(nonce=bytes(16).hex()), clock())
    first = issuer.collecting.collect(old, proof(), clock())
    assert credentials(service, holding)[0].state is CredentialState.ENDED
    assert issuer.collecting.collect(old, proof(), clock()) == first
    assert first.sd_jwt.startswith("ey")
    assert cwt.parse(first.cwt).device_key == cwt.parse(holding.compact).device_key
    change(service, holding, CardChange.CANCEL)
    with refused(RuleViolation, "card_not_issuable"):
        issuer.collecting.collect(old, proof(), clock())
