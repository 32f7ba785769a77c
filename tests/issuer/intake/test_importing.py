"""Whole files: counted, refused rows named and not shown, killed runs that go on, files cut and come again."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecard_card.card import CardNumber
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_card.status import CardStatus
from ecard_issuer.cli.import_files import DeadLetters
from ecard_issuer.intake.files.importing import ImportReport, Verdict, import_file
from ecard_issuer.intake.files.layout import FileKind
from ecard_issuer.intake.files.rows import Row
from tests.contracts.register_world import refused
from tests.issuer.intake.files import CHANGES, HEADER, card_row, card_rows, change_row, write
from tests.issuer.intake.kit import CardSystem
from tests.issuer.reissuing import credentials, issue
from tests.issuer.service import Service
from tests.memory import forget_peak, peak_kib


@pytest.fixture
def take(service: Service) -> Callable[..., ImportReport]:
    """Import a file into the service; `dead` collects the verdicts of refused rows."""

    def run(path: Path, kind: FileKind = FileKind.CARDS, source: str = "file", **options: Any) -> ImportReport:
        office = service.issuer.intake
        profile = "test:piv-p256" if kind is FileKind.CARDS else None
        rows = office.rows(kind, source, profile=profile, dry_run=options.get("dry_run", False))
        return import_file(path, kind, source, rows, office.store, service.clock, **options)

    return run


def card_ref(service: Service, serial: int) -> str:
    cards = service.issuer.cards
    (card,) = cards.cards_numbered(CardNumber(card_row(serial).split(",")[1]))
    return card.card_ref


def test_cards_of_a_file_are_in_the_register_as_if_registered_one_by_one(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    path = write(tmp_path / "cards.csv", HEADER, [*card_rows(40), card_row(40, status="2")], encoding="gbk", end="\r\n")
    report = take(path, batch=7)
    assert report.counts == {"registered": 41}
    cards = service.issuer.cards
    row = service.issuer.register.get_card(card_ref(service, 40))
    assert (row.status, row.region, row.chip_profile) == (CardStatus.LOST, "000000", "test:piv-p256")
    assert cards.identity(row).holder.name == "测试40"
    assert cards.identity(row).code.text == card_row(40).split(",")[0]


def test_the_same_file_again_changes_nothing(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    path = write(tmp_path / "cards.csv", HEADER, card_rows(20))
    assert take(path).counts == {"registered": 20}
    again = take(path)
    assert (again.resumed_at, again.rows, again.counts) == (20, 20, {"registered": 20})
    assert take(path, again=True).counts == {"card_exists": 20}
    copy = write(tmp_path / "another name.csv", HEADER, card_rows(20))
    assert take(copy).resumed_at == 20


def test_a_person_with_several_cards_has_one_data_key(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    person = card_row(1).split(",")
    second = card_row(2).split(",")[:2] + person[2:]
    path = write(tmp_path / "cards.csv", HEADER, [card_row(1), ",".join(second), card_row(1)])
    report = take(path)
    assert report.counts == {"registered": 2, "card_exists": 1}
    first, other = (service.issuer.register.get_card(card_ref(service, n)) for n in (1, 2))
    assert first.holder_ref == other.holder_ref
    assert service.issuer.cards.identity(first).holder == service.issuer.cards.identity(other).holder


def test_a_file_cut_in_the_middle_says_so_and_the_whole_file_goes_on(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    whole = write(tmp_path / "whole.csv", HEADER, card_rows(50)).read_bytes()
    path = tmp_path / "part.csv"
    path.write_bytes(whole[: len(whole) * 3 // 5])
    first = take(path, batch=8)
    assert first.cut
    assert 0 < first.rows < 50
    path.write_bytes(whole)
    second = take(path, batch=8)
    assert (second.cut, second.resumed_at, second.rows) == (False, first.rows, 50)
    assert second.counts == {"registered": 50}


def test_another_file_with_the_same_beginning_goes_on_and_one_without_it_begins_anew(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    take(write(tmp_path / "a.csv", HEADER, card_rows(10)))
    assert take(write(tmp_path / "b.csv", HEADER, card_rows(15))).resumed_at == 10
    changed = write(tmp_path / "c.csv", HEADER, [card_row(99), *card_rows(14)])
    assert take(changed).counts == {"registered": 1, "card_exists": 14}


@pytest.mark.parametrize("kind", list(FileKind))
def test_a_run_that_breaks_off_anywhere_goes_on_and_nothing_is_done_twice(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path, kind: FileKind
) -> None:
    take(write(tmp_path / "seed.csv", HEADER, card_rows(30)))
    if kind is FileKind.CARDS:
        path = write(tmp_path / "cards.csv", HEADER, card_rows(30, start=100))
    else:
        path = write(tmp_path / "changes.csv", CHANGES, [change_row(n, "lock", 1) for n in range(30)])
    left = [4]

    def break_off(row: int, offset: int, size: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            left[0] = 3
            raise Unavailable("register_unavailable", "killed by a test")

    runs = 0
    while True:
        runs += 1
        try:
            report = take(path, kind, batch=3, progress=break_off)
            break
        except Unavailable:
            continue
    assert runs > 2
    done = "registered" if kind is FileKind.CARDS else "applied"
    assert (report.rows, report.counts) == (30, {done: 30})
    if kind is FileKind.CHANGES:
        assert all(len(service.issuer.register.events_of(card_ref(service, n))) == 1 for n in range(30))


def test_a_dry_run_stores_nothing(service: Service, take: Callable[..., ImportReport], tmp_path: Path) -> None:
    path = write(tmp_path / "cards.csv", HEADER, [*card_rows(5), "x"])
    assert take(path, dry_run=True).counts == {"registered": 5, "bad_row": 1}
    assert service.issuer.intake.store.runs_of("cards", "file") == ()
    assert take(path).counts == {"registered": 5, "bad_row": 1}
    changes = write(tmp_path / "changes.csv", CHANGES, [change_row(1, "lock", 1), change_row(77, "lock", 1)])
    report = take(changes, FileKind.CHANGES, dry_run=True)
    assert report.counts == {"readable": 1, "card_unknown": 1}
    assert service.issuer.register.get_card(card_ref(service, 1)).status is CardStatus.NORMAL


def test_changes_are_applied_in_each_cards_order_and_the_rest_is_shown(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    take(write(tmp_path / "cards.csv", HEADER, card_rows(4)))
    rows = [
        change_row(0, "临时挂失", 1),
        change_row(1, "report_loss", 3),
        change_row(0, "正式挂失", 2),
        change_row(2, "解挂", 1),  # already normal: recorded, and nothing to do
        change_row(0, "解挂", 3),
        change_row(1, "lock", 2),  # late
        change_row(3, "注销", 1),
        change_row(3, "解挂", 2),  # impossible
        change_row(99, "挂失", 1),  # no such change
        change_row(98, "lock", 1),  # no such card
        change_row(1, "report_loss", 3),
    ]
    dead: list[tuple[int, str]] = []
    path = write(tmp_path / "changes.csv", CHANGES, rows)
    report = take(path, FileKind.CHANGES, dead=lambda row, verdict: dead.append((row.number, verdict.code)))
    assert report.counts == {
        "applied": 6, "repeated": 1, "card_change_superseded": 1, "card_change_impossible": 1,
        "unknown_card_change": 1, "card_unknown": 1,
    }  # fmt: skip
    assert sorted(dead) == [
        (6, "card_change_superseded"),
        (8, "card_change_impossible"),
        (9, "unknown_card_change"),
        (10, "card_unknown"),
    ]
    statuses = [int(service.issuer.register.get_card(card_ref(service, n)).status) for n in range(4)]
    assert statuses == [1, 2, 1, 9]
    store = service.issuer.intake.store
    assert store.counts() == {"card_change_superseded": 1, "card_change_impossible": 1, "card_unknown": 1}
    assert [(gap.first, gap.last) for gap in store.gaps()] == [(1, 1)]
    take(write(tmp_path / "more.csv", HEADER, [card_row(98)]))
    assert service.issuer.intake.events.retry_unknown(service.clock()) == 1
    assert service.issuer.register.get_card(card_ref(service, 98)).status is CardStatus.LOCKED


def test_a_card_with_an_ecard_has_its_lists_reached_by_a_file_too(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    (holding,) = issue(service, 1)
    credential = credentials(service, holding)[0]
    code = service.issuer.cards.identity(service.issuer.register.get_card(credential.card_ref)).code.text
    rows = [f"{code},report_loss,1,2026-11-23 17:00:00", f"{code},release,2,2026-11-23 17:00:01"]
    assert take(write(tmp_path / "a.csv", CHANGES, rows[:1]), FileKind.CHANGES).counts == {"applied": 1}
    register = service.issuer.register
    assert register.status_snapshot(credential.list_id).entries == ((credential.index, 2),)
    assert take(write(tmp_path / "b.csv", CHANGES, rows), FileKind.CHANGES).counts["applied"] == 2
    assert register.status_snapshot(credential.list_id).entries == ()


def test_a_row_with_a_sequence_shuts_out_older_events_of_its_source(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    system = CardSystem("county", regions=("000000",))
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    take(write(tmp_path / "cards.csv", f"{HEADER},序号", [f"{card_row(1)},7"]), source="county")
    intake, now = service.issuer.intake.events, service.clock()

    def event(change: str, sequence: int) -> str:
        claims = system.claims(now, "urn:ecard:secevent:event-type:card-status-changed", {}, {})
        claims["events"] = {next(iter(claims["events"])): {"change": change, "sequence": sequence}}
        claims["sub_id"]["identification_code"] = card_row(1).split(",")[0]
        return system.sign(claims)

    source = system.source()
    assert intake.receive(source, event("report_loss", 5), now).code == "card_change_superseded"
    assert intake.receive(source, event("report_loss", 8), now).code == ""
    assert service.issuer.intake.store.gaps() == ()
    assert service.issuer.register.get_card(card_ref(service, 1)).status is CardStatus.LOST


def test_a_source_must_be_registered_and_speaks_for_its_regions(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    path = write(tmp_path / "cards.csv", HEADER, card_rows(2))
    with refused(NotFound, "source_unknown"):
        take(path, source="nobody")
    system = CardSystem("county", regions=("330100",))
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    assert take(path, source="county").counts == {"region_not_of_source": 2}


def test_dead_letters_name_rows_and_never_show_them(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    path = write(tmp_path / "cards.csv", HEADER, [card_row(1, name="张三\u202e"), card_row(2)[:-3] + "x", "李四"])
    letters = DeadLetters(tmp_path / "dead.jsonl")
    report = take(path, dead=letters.put)
    letters.close()
    assert report.refused == 3
    text = (tmp_path / "dead.jsonl").read_text(encoding="utf-8")
    assert stat.S_IMODE((tmp_path / "dead.jsonl").stat().st_mode) == 0o600
    assert not any(secret in text for secret in ("张三", "李四", card_row(1).split(",")[2]))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["code"] for line in lines] == ["bad_name", "bad_row_field", "bad_row"]
    place = lines[1]
    data = path.read_bytes()[place["offset"] : place["offset"] + place["length"]]
    assert data.decode().startswith(card_row(2)[:20])


def test_dead_letters_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    with refused(InvalidInput, "file_unreadable"):
        DeadLetters(tmp_path / "no" / "where")
    DeadLetters(None).put(Row(1, 0, 1, {}), Verdict("bad_row", dead=True))


def test_a_hundred_thousand_rows_take_no_more_memory_than_a_thousand(
    service: Service, take: Callable[..., ImportReport], tmp_path: Path
) -> None:
    """Judged without storing: what is stored is measured by the benchmark."""
    take(write(tmp_path / "few.csv", HEADER, card_rows(2_000)), dry_run=True)
    forget_peak()  # of a worker that has held more before
    before = peak_kib()
    assert take(write(tmp_path / "many.csv", HEADER, card_rows(100_000)), dry_run=True).rows == 100_000
    assert peak_kib() - before < 16 << 10
