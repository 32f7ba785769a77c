"""`ecard status rebuild`: the lists are what the register says, bit for bit; damage is found, named and repaired."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from ecard_card.status import CardChange, EcardStatus
from ecard_card.status_list import StatusList
from ecard_card.status_token import parse_jwt
from ecard_issuer.publishing.publisher import Form
from ecard_issuer.publishing.rebuild import Report, Where
from ecard_issuer.publishing.sql import SqlDecoys
from ecard_issuer.register.engine import writing
from ecard_issuer.register.tables import credential, plan, status_entry, status_list
from ecard_issuer.states import CredentialState
from ecard_sdk.cli import main
from ecard_verifier.feed import STREAM, StatusChanged, parse_event
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.test_dispatch import drain, issue
from tests.postgres import PostgresServer

VALID, INVALID, SUSPENDED = EcardStatus.VALID, EcardStatus.INVALID, EcardStatus.SUSPENDED


def run(service: Service, *, repair: bool = False, **about: object) -> Report:
    return service.issuer.publishing.rebuild.run(service.clock, repair=repair, **about)  # type: ignore[arg-type]


def found(report: Report) -> list[tuple[str, int, int | None, bool]]:
    return [(item.where.value, item.expected, item.found, item.repaired) for item in report.named]


def place(service: Service, card_ref: str) -> tuple[int, int]:
    row = service.issuer.register.credentials_of(card_ref)[0]
    return row.list_id, row.index


def damage(service: Service, where: tuple[int, int], value: EcardStatus) -> None:
    """Behind everybody's back: no version, no outbox."""
    with writing(service.issuer.engine) as connection:
        connection.execute(
            update(status_entry)
            .where(status_entry.c.list_id == where[0], status_entry.c.index == where[1])
            .values(value=value)
        )


def stored(service: Service, where: tuple[int, int]) -> int:
    return dict(service.issuer.register.status_snapshot(where[0]).entries).get(where[1], VALID)


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_after_any_history_the_lists_are_what_the_register_says(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_register()
    service = open_service(tmp_path, database_url=url)
    drawn = random.Random(3)  # noqa: S311 - a history of a test
    cards = [issue(service, serial)[0] for serial in range(1, 7)]
    decoys = SqlDecoys(service.issuer.engine)
    for _ in range(30):
        card = drawn.choice(cards)
        change = drawn.choice([CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.LOCK, CardChange.UNLOCK])
        if drawn.randrange(12) == 0:
            change = CardChange.CANCEL
        try:
            service.issuer.lifecycle.change(card, change, service.clock.advance(1))
        except Exception as error:  # noqa: BLE001 - impossible changes are part of a history
            assert "card_change_impossible" in str(error)  # noqa: PT017
        decoys.new_decoy(
            drawn.randrange(1, 5), drawn.randrange(1 << 20), 1 + drawn.randrange(2), "lock", 1, service.clock()
        )
    report = run(service)
    assert (report.equal, report.differences, report.lists) == (True, 0, 4)
    assert report.entries == 6 + 30
    damage(service, place(service, cards[0]), SUSPENDED if stored(service, place(service, cards[0])) == 0 else VALID)
    assert not run(service).equal
    service.issuer.close()


def test_a_lost_card_that_reads_valid_is_found_and_repaired_and_verifiers_hear_of_it(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    where = place(service, card_ref)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    damage(service, where, VALID)
    drain(service)
    head = service.issuer.register.feed_head(STREAM)
    check = run(service)
    assert found(check) == [("stored", 2, 0, False)]
    assert stored(service, where) == VALID  # a check changes nothing
    assert found(run(service, repair=True)) == [("stored", 2, 0, True)]
    assert stored(service, where) == SUSPENDED
    drain(service)
    (event,) = service.issuer.register.read_feed(STREAM, head)
    body = parse_event(event.token).body
    assert isinstance(body, StatusChanged)
    assert (body.status, body.uri, body.index) == (SUSPENDED, f"{ORIGIN}/status-lists/{where[0]}", where[1])
    token = service.issuer.publisher.status_list(where[0], Form.JWT, service.clock()).body.decode()
    assert parse_jwt(token).statuses.get(where[1]) == SUSPENDED
    assert run(service).equal


def test_an_entry_whose_row_is_gone_is_found_from_the_plans_and_made_again(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    where = place(service, card_ref)
    service.issuer.lifecycle.change(card_ref, CardChange.CANCEL, service.clock())
    with writing(service.issuer.engine) as connection:
        connection.execute(delete(status_entry))
    assert found(run(service)) == [("lost", 1, None, False)]
    assert found(run(service, repair=True)) == [("lost", 1, None, True)]
    assert stored(service, where) == INVALID
    assert run(service).equal


def test_what_is_invalid_stays_so_and_the_report_goes_on_saying_it(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    damage(service, place(service, card_ref), INVALID)
    for repair in (False, True, True):
        assert found(run(service, repair=repair)) == [("stored", 0, 1, False)]
    assert stored(service, place(service, card_ref)) == INVALID


def test_a_place_of_nobody_is_invalid(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    with writing(service.issuer.engine) as connection:
        row = connection.execute(status_entry.select()).mappings().one()
        connection.execute(
            status_entry.insert().values({**row, "index": (row["index"] + 1) % 1000, "card_ref": "gone"})
        )
        connection.execute(status_entry.insert().values({**row, "index": (row["index"] + 2) % 1000, "plan_id": "gone"}))
    assert sorted(found(run(service))) == [("stored", 1, 0, False)] * 2
    assert sorted(found(run(service, repair=True))) == [("stored", 1, 0, True)] * 2
    assert run(service).equal
    assert stored(service, place(service, card_ref)) == VALID


def test_an_ended_or_lost_credential_is_invalid_whatever_its_card_says(service: Service) -> None:
    first, _ = issue(service, 1)
    second, _ = issue(service, 2)
    with writing(service.issuer.engine) as connection:
        connection.execute(update(credential).where(credential.c.card_ref == first).values(state=CredentialState.ENDED))
        connection.execute(delete(credential).where(credential.c.card_ref == second))
    assert found(run(service, repair=True)) == [("stored", 1, 0, True)] * 2


def test_a_place_that_became_anothers_is_named_and_left_alone(service: Service) -> None:
    first, _ = issue(service, 1)
    second, _ = issue(service, 2)
    with writing(service.issuer.engine) as connection:
        list_id, index = place(service, first)
        connection.execute(update(plan).where(plan.c.card_ref == second).values(list_id=list_id, index=index))
    report = run(service, repair=True)
    assert {item.where for item in report.named} == {Where.LOST, Where.STORED}
    assert stored(service, place(service, first)) == VALID


def test_published_bits_that_differ_are_named(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    where = place(service, card_ref)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())

    def yesterday(number: int) -> StatusList:
        return StatusList(1 << 20)

    report = run(service, published=yesterday)
    assert found(report) == [("published", 2, 0, False)]
    assert (report.named[0].list_id, report.named[0].index) == where
    assert found(run(service, published=lambda number: StatusList(64)))[0][:2] == ("published", 1 << 20)


def test_what_changes_while_it_looks_is_no_difference(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    where = place(service, card_ref)
    issuer = service.issuer

    def late(number: int) -> StatusList:
        if number == where[0] and issuer.register.get_card(card_ref).sequence == 0:
            issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
        token = issuer.publisher.status_list(number, Form.JWT, service.clock()).body.decode()
        return parse_jwt(token).statuses

    assert run(service, published=late).equal


def test_the_command_reports_differences_as_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"ECARD_DATA_DIR": str(tmp_path), "ECARD_APPROVALS_NEEDED": "0"}.items():
        monkeypatch.setenv(name, value)
    service = open_service(tmp_path)
    card_ref, _ = issue(service, 1)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    where = place(service, card_ref)
    damage(service, where, VALID)
    service.issuer.close()
    assert main(["status", "rebuild", "--check", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["named"] == [
        {"where": "stored", "list_id": where[0], "index": where[1], "expected": 2, "found": 0, "repaired": False}
    ]
    assert main(["status", "rebuild"]) == 1
    assert "repaired" in capsys.readouterr().out
    assert main(["status", "rebuild", "--check"]) == 0
    assert "equal, bit for bit" in capsys.readouterr().out
    assert main(["status", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert sum(row["suspended"] for row in shown["lists"]) == 1
    assert len(shown["lists"]) == 4


def test_it_reads_page_by_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many entries, few at a time: whatever the number of cards, so much is in memory."""
    issue(service, 1)
    monkeypatch.setattr("ecard_issuer.publishing.rebuild.PAGE", 50)
    pages: list[int] = []
    truth = service.issuer.publishing.rebuild._truth
    with writing(service.issuer.engine) as connection:
        connection.execute(
            status_entry.insert(),
            [
                {"list_id": 1, "index": at * 1000, "card_ref": "", "plan_id": "", "value": SUSPENDED}
                for at in range(1, 400)
            ],
        )
        connection.execute(update(status_list).values(version=status_list.c.version + 1))
    original = type(truth).worth_of

    def worth_of(self: object, entries: list[object], now: object) -> object:
        pages.append(len(entries))
        return original(self, entries, now)  # type: ignore[arg-type]

    monkeypatch.setattr(type(truth), "worth_of", worth_of)
    assert run(service).equal
    assert max(pages) <= 50
    assert sum(pages) == 400
