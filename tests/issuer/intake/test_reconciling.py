"""Register against snapshot: every difference, nothing personal on disk, repaired only as was agreed."""

from __future__ import annotations

import json
import random
import stat
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import ApprovalNeeded, InvalidInput, NotFound
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.intake.files.importing import import_file
from ecard_issuer.intake.files.layout import FileKind
from ecard_issuer.intake.reconciling import snapshot as snapshots
from ecard_issuer.intake.reconciling.compare import Kind, Tally, differences
from ecard_issuer.intake.reconciling.desk import way
from ecard_issuer.intake.reconciling.snapshot import Seen
from ecard_verifier.callers import Role
from tests.contracts.register_world import refused
from tests.issuer.intake.files import CODE, HEADER, card_row, card_rows, write
from tests.issuer.intake.test_importing import card_ref
from tests.issuer.service import Service, open_service


@pytest.fixture
def seeded(service: Service, tmp_path: Path) -> Service:
    return seed(service, tmp_path)


def seed(service: Service, folder: Path, count: int = 12) -> Service:
    office = service.issuer.intake
    path = write(folder / "seed.csv", HEADER, card_rows(count))
    import_file(path, FileKind.CARDS, "file", office.rows(FileKind.CARDS, profile="x"), office.store, service.clock)
    return service


def compare(service: Service, snapshot: Path, **options: Any) -> tuple[Path, Any]:
    report = snapshot.with_suffix(".report")
    desk = service.issuer.intake.reconciliation
    options = {"as_of": service.clock(), **options}
    return report, desk.compare(snapshot, report, snapshot.parent, service.clock(), **options)


def lines(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_a_register_that_agrees_has_no_difference(seeded: Service, tmp_path: Path) -> None:
    rows = list(card_rows(12))
    random.Random(1).shuffle(rows)  # noqa: S311 - an order, not a secret
    _, row = compare(seeded, write(tmp_path / "there.csv", HEADER, rows, encoding="gb18030"))
    assert (row.compared, row.counts) == (12, {})


def test_every_kind_of_difference_is_found_and_nobody_is_named(
    seeded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    close = snapshots.Snapshot.__exit__

    def look(self: snapshots.Snapshot, *exception: object) -> None:
        kept.extend(path.read_bytes() for path in tmp_path.glob("snapshot-*"))
        close(self, *exception)

    monkeypatch.setattr(snapshots.Snapshot, "__exit__", look)
    rows = {n: card_row(n) for n in range(12)}
    del rows[0]
    rows[1] = card_row(1, status="2")
    rows[2] = rows[2].replace("2034-01-02", "2035-01-02")
    rows[3] = ",".join([*card_row(3).split(",")[:2], *card_row(700).split(",")[2:]])
    rows[4] = ",".join([card_row(4).split(",")[0], card_row(701).split(",")[1], *card_row(4).split(",")[2:]])
    rows[50] = card_row(50)
    rows[51] = card_row(5)
    rows[52] = "x"
    snapshot = write(tmp_path / "there.csv", HEADER, rows.values())
    report, row = compare(seeded, snapshot)
    assert row.counts == {
        kind.value: 1
        for kind in (
            Kind.MISSING_HERE, Kind.MISSING_THERE, Kind.STATUS, Kind.EXPIRY, Kind.HOLDER, Kind.NUMBER, Kind.TWICE,
            Kind.UNREADABLE,
        )
    }  # fmt: skip
    assert row.compared == 11
    found = {line["kind"]: line for line in lines(report)[1:-1]}
    ref = card_ref(seeded, 1)
    assert found["status_differs"] == {
        "kind": "status_differs", "card_ref": ref, "here": 1, "there": 2, "sequence": 0, "row": 1,
    }  # fmt: skip
    assert found["expiry_differs"]["there"] == "2035-01-02"
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert kept
    assert not list(tmp_path.glob("snapshot-*"))
    for secret in ("测试", card_row(3).split(",")[2], CODE.format(3), card_row(3).split(",")[1]):
        assert all(secret.encode() not in data for data in [*kept, report.read_bytes()])


def test_a_region_is_compared_by_itself(seeded: Service, tmp_path: Path) -> None:
    other = card_row(60).replace("000000D15", "330100D15", 1)
    report, row = compare(seeded, write(tmp_path / "there.csv", HEADER, [card_row(1), other]), region="330000")
    assert row.counts == {"missing_here": 1, "other_region": 1}
    assert lines(report)[0]["region"] == "330000"
    with refused(InvalidInput, "bad_region"):
        compare(seeded, tmp_path / "there.csv", region="33")


def test_a_snapshot_that_is_cut_is_refused_and_leaves_nothing(seeded: Service, tmp_path: Path) -> None:
    snapshot = write(tmp_path / "there.csv", HEADER, card_rows(5))
    snapshot.write_bytes(snapshot.read_bytes()[:-4])
    before = set(tmp_path.iterdir())
    with refused(InvalidInput, "snapshot_cut"):
        compare(seeded, snapshot)
    assert set(tmp_path.iterdir()) == before
    assert seeded.issuer.intake.store.reconciliations() == ()


def test_statuses_are_repaired_as_events_of_their_own_and_only_once(seeded: Service, tmp_path: Path) -> None:
    there = {1: "2", 2: "9", 3: "4", 4: "0"}
    rows = [card_row(n, status=there.get(n, "1")) for n in range(12)]
    report, _ = compare(seeded, write(tmp_path / "there.csv", HEADER, rows))
    moved = card_ref(seeded, 3)
    seeded.issuer.lifecycle.change(moved, CardChange.LOCK, seeded.clock())
    desk = seeded.issuer.intake.reconciliation
    row = desk.repair(report, "admin", seeded.clock())
    assert row.repairs == {"repaired": 2, "moved_since": 1, "not_possible": 1}
    register = seeded.issuer.register
    statuses = [int(register.get_card(card_ref(seeded, n)).status) for n in (1, 2, 3, 4)]
    assert statuses == [2, 9, 3, 1]
    (event,) = register.events_of(card_ref(seeded, 1))
    assert (event.source, event.change) == ("reconciliation", CardChange.REPORT_LOSS)
    assert desk.repair(report, "admin", seeded.clock()).repairs == row.repairs
    assert len(register.events_of(card_ref(seeded, 1))) == 1
    seeded.issuer.lifecycle.change(card_ref(seeded, 1), CardChange.RELEASE, seeded.clock())
    assert desk.repair(report, "admin", seeded.clock()).repairs["moved_since"] == 2
    assert register.get_card(card_ref(seeded, 1)).status is CardStatus.NORMAL


def test_a_repair_takes_another_persons_agreement_to_this_very_report(tmp_path: Path) -> None:
    service = seed(open_service(tmp_path / "data", approvals_needed=1), tmp_path)
    for name in ("first", "second"):
        service.issuer.operators.add(name, Role.OPERATOR, service.clock(), actor="first")
    snapshot = write(tmp_path / "there.csv", HEADER, [card_row(n, status="2") for n in range(12)])
    report, row = compare(service, snapshot)
    desk, now = service.issuer.intake.reconciliation, service.clock()
    with pytest.raises(ApprovalNeeded) as waiting:
        desk.repair(report, "first", now)
    request = waiting.value.request_id
    shown = service.issuer.approvals.get(request)
    assert (shown.subject, shown.facts["counts"]) == (row.report_digest, {"status_differs": 12})
    service.issuer.approvals.decide(request, "second", approve=True, now=now)
    other, _ = compare(service, write(tmp_path / "other.csv", HEADER, [card_row(0, status="9")]))
    with pytest.raises(ApprovalNeeded):
        desk.repair(other, "first", now, approved=request)
    altered = tmp_path / "altered.jsonl"
    altered.write_bytes(report.read_bytes().replace(b'"there":2', b'"there":9'))
    with refused(NotFound, "report_unknown"):
        desk.repair(altered, "first", now, approved=request)
    with refused(InvalidInput, "bad_report"):
        desk.repair(report, "first", now, approved="00" * 8)
    done = desk.repair(report, "first", now, approved=request)
    assert (done.repairs, done.repaired_by) == ({"repaired": 12}, "first")
    service.issuer.close()


def test_the_way_from_one_status_to_another() -> None:
    assert way(CardStatus.NORMAL, CardStatus.LOST) == (CardChange.REPORT_LOSS,)
    assert way(CardStatus.LOCKED, CardStatus.LOST) == (CardChange.UNLOCK, CardChange.REPORT_LOSS)
    assert way(CardStatus.CANCELLED, CardStatus.NORMAL) is None
    assert way(CardStatus.NORMAL, CardStatus.SEALED) is None


_REFS = [f"{n:032x}" for n in range(8)]
_SIDE = st.dictionaries(st.sampled_from(_REFS), st.sampled_from([1, 2, 9]))


@settings(max_examples=200, deadline=None)
@given(_SIDE, _SIDE)
def test_comparing_two_streams_says_what_comparing_two_sets_says(here: dict[str, int], there: dict[str, int]) -> None:
    cards = iter([_card(ref, here[ref]) for ref in sorted(here)])
    seen = iter([Seen(ref, "000000", "n", "h", there[ref], date(2034, 1, 1), 1) for ref in sorted(there)])
    tally = Tally()
    found = {(item.kind, item.card_ref) for item in differences(cards, seen, "000000", tally)}
    both = here.keys() & there.keys()
    assert tally.compared == len(both)
    assert found == (
        {(Kind.MISSING_HERE, ref) for ref in there.keys() - here.keys()}
        | {(Kind.MISSING_THERE, ref) for ref in here.keys() - there.keys()}
        | {(Kind.STATUS, ref) for ref in both if here[ref] != there[ref]}
    )


def _card(ref: str, status: int) -> Any:
    return replace(_TEMPLATE, card_ref=ref, status=CardStatus(status))


def _template() -> Any:
    from ecard_issuer.rows import CardRow
    from tests.contracts.register_world import NOW

    issued, expires = date(2024, 1, 1), date(2034, 1, 1)
    return CardRow("", "000000", "n", "h", "x", b"", CardStatus.NORMAL, issued, expires, NOW, NOW)


_TEMPLATE = _template()


def test_a_snapshot_that_is_older_than_a_loss_does_not_undo_it(seeded: Service, tmp_path: Path) -> None:
    taken = seeded.clock()
    lost, found = card_ref(seeded, 1), card_ref(seeded, 2)
    seeded.issuer.lifecycle.change(found, CardChange.REPORT_LOSS, taken)
    seeded.clock.advance(60)
    seeded.issuer.lifecycle.change(lost, CardChange.REPORT_LOSS, seeded.clock())
    there = write(tmp_path / "there.csv", HEADER, card_rows(12))
    report, row = compare(seeded, there, as_of=taken)
    assert row.counts == {"status_differs": 2}
    desk = seeded.issuer.intake.reconciliation
    assert desk.repair(report, "admin", seeded.clock()).repairs == {"card_change_superseded": 1, "repaired": 1}
    statuses = [seeded.issuer.register.get_card(ref).status for ref in (lost, found)]
    assert statuses == [CardStatus.LOST, CardStatus.NORMAL]
    for wrong in (seeded.clock.advance(1).replace(tzinfo=None), seeded.clock() + timedelta(seconds=1)):
        with refused(InvalidInput, "bad_snapshot_time"):
            compare(seeded, there, as_of=wrong)
