"""What every store of applications, mandates and batches promises; run on each engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine

from ecard_card.acting import Acting, Channel, Ground
from ecard_card.errors import Conflict, EcardError, NotFound
from ecard_card.life import LifeStatus
from ecard_issuer.applying.batches import Accepted, OutcomeRow
from ecard_issuer.applying.sql import SqlApplications
from ecard_issuer.applying.sql_batches import SqlBatches
from ecard_issuer.applying.store import Move, Place
from ecard_issuer.applying.values import (
    AccessRow,
    ApplicationKind,
    ApplicationRow,
    ApplicationSource,
    ApplicationState,
    CopyRow,
    DocumentCopy,
)
from ecard_issuer.mandates.sql import SqlMandates
from ecard_issuer.mandates.values import AgentRelation, LifeRow, MandateCause, MandateDocumentRow, MandateRow
from ecard_issuer.register import SqlRegister
from ecard_issuer.rows import HolderRow
from tests.contracts.register_world import ref, refused

NOW = datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
S = ApplicationState


def application(**changes: object) -> ApplicationRow:
    row = ApplicationRow(
        application_id=ref(),
        holder_ref=ref(),
        region="410100",
        kind=ApplicationKind.NEW,
        source=ApplicationSource.OUTLET,
        channel=Channel.DESK,
        state=S.SUBMITTED,
        ground=Ground.OWN,
        mandate_id=None,
        sealed=b"sealed",
        content_mac="mac",
        submitted_by="desk 1",
        submitted_at=NOW,
        updated_at=NOW,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def mandate(**changes: object) -> MandateRow:
    row = MandateRow(
        mandate_id=ref(),
        holder_ref=ref(),
        agent_ref=ref(),
        agency=None,
        ground=Ground.MANDATE,
        cause=MandateCause.ELDERLY,
        relation=AgentRelation.CHILD,
        acts=("apply", "collect"),
        starts_at=NOW,
        closes_at=NOW + 5 * HOUR,
        sealed=b"sealed",
        content_mac="mac",
        checked_by="desk 1",
        created_at=NOW,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def step(row: ApplicationRow, origin: ApplicationState, target: ApplicationState, **more: object) -> Move:
    return Move(row.application_id, (origin,), target, "desk 2", NOW + HOUR, **more)  # type: ignore[arg-type]


class PeopleContract:
    """Whoever runs it has a fixture `engine`."""

    def test_a_person_has_one_open_application(self, engine: Engine) -> None:
        store, first = SqlApplications(engine), application()
        assert store.add(first) == first
        assert store.add(first) == first
        with refused(Conflict, "application_differs"):
            store.add(replace(first, content_mac="other"))
        second = application(holder_ref=first.holder_ref)
        with refused(Conflict, "application_open"):
            store.add(second)
        assert store.find(second.application_id) is None
        closed = store.move(step(first, S.SUBMITTED, S.WITHDRAWN))
        assert (closed.state, closed.closed_at, closed.steps) == (S.WITHDRAWN, NOW + HOUR, 2)
        store.add(second)
        assert store.add(first) == closed  # the old request again takes nobody's place
        assert [row.state for row in store.of_holder(first.holder_ref)] == [S.WITHDRAWN, S.SUBMITTED]

    def test_of_many_at_once_one_wins(self, engine: Engine) -> None:
        store, person = SqlApplications(engine), ref()
        rows = [application(holder_ref=person) for _ in range(8)]

        def apply(row: ApplicationRow) -> str:
            try:
                return store.add(row).application_id
            except EcardError as error:
                return error.code

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(apply, rows))
        assert sorted(told).count("application_open") == 7
        (winner,) = (item for item in told if item != "application_open")
        moves = [step(rows[0], S.SUBMITTED, target) for target in (S.REVIEWING, S.REFUSED, S.WITHDRAWN) * 2]
        moves = [replace(move, application_id=winner) for move in moves]

        def take(move: Move) -> str:
            try:
                return store.move(move).state
            except EcardError as error:
                return error.code

        with ThreadPoolExecutor(6) as pool:
            decided = list(pool.map(take, moves))
        assert decided.count("application_moved") == 5
        assert [taken.ordinal for taken in store.steps_of(winner)] == [1, 2]

    def test_a_step_says_who_took_it_and_what_it_changed(self, engine: Engine) -> None:
        store, row = SqlApplications(engine), application()
        store.add(row)
        acting = Acting(Ground.GUARDIAN, ref())
        moved = store.move(step(row, S.SUBMITTED, S.READY, acting=acting, card_ref="ab", outlet="zz", reason="r"))
        assert (moved.acting, moved.card_ref, moved.outlet) == (acting, "ab", "zz")
        assert store.find(row.application_id) == moved
        last = store.steps_of(row.application_id)[-1]
        assert (last.ordinal, last.state, last.taken_by, last.taken_at, last.reason) == (
            2,
            S.READY,
            "desk 2",
            NOW + HOUR,
            "r",
        )
        with refused(Conflict, "application_moved"):
            store.move(step(row, S.SUBMITTED, S.REVIEWING))
        with refused(NotFound, "application_unknown"):
            store.move(step(application(), S.SUBMITTED, S.REVIEWING))

    def test_copies_are_replaced_until_somebody_decides(self, engine: Engine) -> None:
        store, row = SqlApplications(engine), application()
        store.add(row)
        copy = CopyRow(row.application_id, DocumentCopy.PHOTO, "image/jpeg", "desk 1", 7, b"content", NOW)
        store.put_copy(copy)
        store.put_copy(replace(copy, sealed=b"another", added_at=NOW + HOUR))
        found = store.find_copy(row.application_id, DocumentCopy.PHOTO)
        assert found is not None
        assert found.sealed == b"another"
        assert [mark.kind for mark in store.copies_of(row.application_id)] == [DocumentCopy.PHOTO]
        store.move(step(row, S.SUBMITTED, S.REFUSED))
        with refused(Conflict, "application_moved"):
            store.put_copy(copy)
        with refused(NotFound, "application_unknown"):
            store.put_copy(replace(copy, application_id=ref()))

    def test_the_work_list_goes_on_where_it_ended(self, engine: Engine) -> None:
        store = SqlApplications(engine)
        regions = ["410000", "410100", "410100", "410102", "411000", "420000"]
        rows = [store.add(application(region=region, submitted_at=NOW + n * HOUR)) for n, region in enumerate(regions)]
        assert store.work(S.SUBMITTED, "410100", None, 10) == (*rows[1:4],)
        assert store.work(S.REVIEWING, "410100", None, 10) == ()
        seen: list[ApplicationRow] = []
        place: Place | None = None
        while page := store.work(S.SUBMITTED, "410000", place, 2):
            seen += page
            place = Place(page[-1].region, page[-1].submitted_at, page[-1].application_id)
        assert seen == rows[:5]
        assert len(store.work(S.SUBMITTED, "000000", None, 10)) == 6

    def test_closed_applications_are_purged_with_all_that_is_theirs(self, engine: Engine) -> None:
        store = SqlApplications(engine)
        old, young, going = application(), application(), application()
        for row in (old, young, going):
            store.add(row)
            store.put_copy(CopyRow(row.application_id, DocumentCopy.PHOTO, "image/jpeg", "d", 7, b"content", NOW))
            store.note_access(AccessRow(row.application_id, NOW, "desk 1"))
        store.move(step(old, S.SUBMITTED, S.REFUSED))
        store.move(replace(step(young, S.SUBMITTED, S.REFUSED), now=NOW + 9 * HOUR))
        assert store.purge(NOW + 2 * HOUR, 0) == 0
        assert store.purge(NOW + 2 * HOUR, 10) == 1
        assert store.purge(NOW + 2 * HOUR, 10) == 0
        assert store.find(old.application_id) is None
        assert store.find_copy(old.application_id, DocumentCopy.PHOTO) is None
        assert store.steps_of(old.application_id) == ()
        assert store.accesses_of(old.application_id) == ()
        assert store.purge(NOW + 99 * HOUR, 10, region="990000") == 0
        assert store.purge(NOW + 99 * HOUR, 10, without=[young.region]) == 0
        assert store.find(young.application_id) is not None
        assert len(store.accesses_of(going.application_id)) == 1

    def test_a_mandate_stands_at_both_people_and_ends_once(self, engine: Engine) -> None:
        store, row = SqlMandates(engine), mandate()
        assert store.add(row) == row
        assert store.add(replace(row, created_at=NOW + HOUR)) == row
        with refused(Conflict, "mandate_differs"):
            store.add(replace(row, content_mac="other"))
        assert store.of_holder(row.holder_ref) == store.of_agent(str(row.agent_ref)) == (row,)
        revoked = store.revoke(row.mandate_id, "desk 2", NOW + HOUR)
        assert (revoked.revoked_by, revoked.closes_at) == ("desk 2", NOW + HOUR)
        assert store.revoke(row.mandate_id, "desk 3", NOW + 2 * HOUR) == revoked
        late = store.add(mandate())
        assert store.revoke(late.mandate_id, "desk 2", NOW + 9 * HOUR).closes_at == late.closes_at
        endless = store.add(mandate(closes_at=None))
        assert store.revoke(endless.mandate_id, "desk 2", NOW + HOUR).closes_at == NOW + HOUR
        with refused(NotFound, "mandate_unknown"):
            store.revoke(ref(), "desk 2", NOW)

    def test_closed_mandates_are_purged_with_their_papers(self, engine: Engine) -> None:
        store = SqlMandates(engine)
        over, endless = store.add(mandate()), store.add(mandate(closes_at=None))
        for row in (over, endless):
            for content in (b"first", b"second"):
                store.add_document(MandateDocumentRow(row.mandate_id, "application/pdf", 6, content, NOW))
        found = store.find_document(over.mandate_id)
        assert found is not None
        assert found.sealed == b"second"
        assert store.purge(NOW + 4 * HOUR, 10) == 0
        assert store.purge(NOW + 6 * HOUR, 10) == 1
        assert store.find(over.mandate_id) is None
        assert store.find_document(over.mandate_id) is None
        assert store.find(endless.mandate_id) == endless

    def test_what_was_said_last_of_a_life_stands(self, engine: Engine) -> None:
        store = SqlMandates(engine)
        dead = LifeRow(ref(), LifeStatus.DEAD, date(2026, 11, 1), "desk 1", NOW)
        assert store.find_life(dead.holder_ref) is None
        assert store.record_life(dead) == dead
        earlier = replace(dead, life=LifeStatus.MISSING, recorded_at=NOW - HOUR)
        assert store.record_life(earlier) == dead
        later = replace(dead, life=LifeStatus.NORMAL, recorded_at=NOW + HOUR)
        assert store.record_life(later) == later
        assert store.find_life(dead.holder_ref) == later

    def test_a_batch_is_resumed_and_its_rows_are_made_once(self, engine: Engine) -> None:
        store, applications, mandates = SqlBatches(engine), SqlApplications(engine), SqlMandates(engine)
        batch = ref()
        people = [HolderRow(ref(), b"key", b"sealed") for _ in range(3)]
        assert store.enter(people) == tuple(people)
        rival = replace(people[0], wrapped_data_key=b"another key")
        assert store.enter([rival]) == (people[0],)
        accepted = [
            Accepted(
                number,
                f"mac {number}",
                application(holder_ref=person.holder_ref),
                mandate(holder_ref=person.holder_ref, agent_ref=None, agency="school", ground=Ground.AGENCY),
            )
            for number, person in enumerate(people, 1)
        ]
        applications.add(application(holder_ref=people[2].holder_ref))
        bad = OutcomeRow(batch, 4, "mac 4", "not_eligible", None, None, NOW)
        told = {row.row: row.outcome for row in store.record(batch, accepted, [bad], NOW)}
        assert told == {1: "accepted", 2: "accepted", 3: "application_open", 4: "not_eligible"}
        assert mandates.find(accepted[2].mandate.mandate_id) is None
        again = [replace(item, application=application(), mandate=mandate()) for item in accepted]
        assert {row.row: row.outcome for row in store.record(batch, again, [bad], NOW)} == told
        assert applications.find(again[0].application.application_id) is None
        assert set(store.known(batch, [1, 4, 9])) == {1, 4}
        assert store.counts(batch) == {"accepted": 2, "application_open": 1, "not_eligible": 1}
        assert [row.row for row in store.outcomes(batch, 1, 2)] == [2, 3]

    def test_somebody_who_stands_twice_in_a_piece_is_taken_once(self, engine: Engine) -> None:
        store, batch, person = SqlBatches(engine), ref(), ref()
        twice = [
            Accepted(number, "mac", application(holder_ref=person), mandate(holder_ref=person)) for number in (1, 2)
        ]
        told = store.record(batch, twice, [], NOW)
        assert sorted(row.outcome for row in told) == ["accepted", "application_open"]
        assert len(SqlApplications(engine).of_holder(person)) == 1
        assert len(SqlMandates(engine).of_holder(person)) == 1

    def test_a_piece_sent_twice_at_once_is_taken_once(self, engine: Engine) -> None:
        store, batch = SqlBatches(engine), ref()
        people = [ref() for _ in range(20)]

        def send(_: int) -> dict[int, str]:
            piece = [
                Accepted(number, "mac", application(holder_ref=person), mandate(holder_ref=person))
                for number, person in enumerate(people)
            ]
            return {row.row: row.outcome for row in store.record(batch, piece, [], NOW)}

        with ThreadPoolExecutor(4) as pool:
            told = list(pool.map(send, range(4)))
        assert all(one == told[0] for one in told)
        assert store.counts(batch) == {"accepted": 20}
        assert all(len(SqlApplications(engine).of_holder(person)) == 1 for person in people)

    def test_a_persons_data_are_corrected_under_their_own_key(self, engine: Engine) -> None:
        register = SqlRegister(engine)
        person = register.add_holder(HolderRow(ref(), b"key", b"sealed"))
        register.correct_holder(replace(person, sealed=b"corrected"))
        assert register.find_holder(person.holder_ref) == replace(person, sealed=b"corrected")
        with refused(Conflict, "holder_differs"):
            register.correct_holder(replace(person, wrapped_data_key=b"another"))
        with refused(Conflict, "holder_differs"):
            register.correct_holder(replace(person, holder_ref=ref()))
