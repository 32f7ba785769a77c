"""Events of the physical card system over HTTP: taken once, in order, for the source's regions, or shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from ecard_card.errors import NotAllowed
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.intake.set_token import STATUS_CHANGED, SUBJECT_FORMAT
from ecard_issuer.intake.subject_data import WaitingEvents
from ecard_issuer.web.app import create_app
from ecard_issuer.web.metrics import metrics_of
from ecard_verifier.callers import Role
from tests.issuer.intake.kit import CardSystem, add_card
from tests.issuer.service import ORIGIN, Service, open_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path)
    yield opened
    opened.issuer.close()


@pytest.fixture
def system(service: Service) -> CardSystem:
    """Registered, for every region."""
    system = CardSystem()
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    return system


@pytest.fixture
def source(service: Service, system: CardSystem) -> Iterator[TestClient]:
    token = service.issuer.operators.add(system.name, Role.SOURCE, service.clock()).token
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def operator(service: Service, source: TestClient) -> TestClient:
    client = TestClient(source.app, raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {service.token(Role.OPERATOR)}"
    return client


def push(client: TestClient, token: str, **headers: str) -> Any:
    return client.post("/v1/card-events", content=token, headers={"Content-Type": "application/secevent+jwt"} | headers)


def shown(operator: TestClient) -> list[dict[str, Any]]:
    answer = operator.get("/v1/intake/exceptions").json()
    return [row for row in answer["exceptions"] if row["state"] == "open"]


def status(service: Service, card_ref: str) -> int:
    return int(service.issuer.register.get_card(card_ref).status)


def test_a_card_is_registered_lost_and_found_by_pushed_events(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    now = service.clock()
    assert push(source, system.registered(now, 1)).status_code == 202
    found = operator.post("/v1/cards/find", json={"card_number": synthetic(1).card_number}).json()["cards"]
    (card_ref,) = [card["card_ref"] for card in found]
    lost = system.changed(now, 1, "report_loss", 1)
    for _ in range(3):  # at least once, processed once
        answer = push(source, lost)
        assert (answer.status_code, answer.content) == (202, b"")
    assert status(service, card_ref) == 2
    assert len(service.issuer.register.events_of(card_ref)) == 1
    assert push(source, system.changed(now, 1, "release", 2)).status_code == 202
    assert status(service, card_ref) == 1
    assert push(source, system.registered(now, 1)).status_code == 202
    assert shown(operator) == []


def test_an_event_for_a_card_that_comes_later_waits_for_it(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    now = service.clock()
    assert push(source, system.changed(now, 3, "report_loss", 1)).status_code == 202
    (row,) = shown(operator)
    assert (row["code"], row["change"], row["sequence"]) == ("card_unknown", "report_loss", 1)
    made = operator.post("/v1/cards", json=service.card_body(3))
    assert made.status_code == 201
    assert status(service, made.json()["card_ref"]) == 2
    assert shown(operator) == []
    settled = operator.get(f"/v1/intake/exceptions/{row['exception_ref']}").json()
    assert settled["state"] == "resolved"


def test_reordered_events_end_as_they_would_have_in_order(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    card_ref, now = add_card(service, 4), service.clock()
    lost, locked = system.changed(now, 4, "report_loss", 1), system.changed(now, 4, "unlock", 3)
    between = system.changed(now, 4, "release", 2)
    assert [push(source, token).status_code for token in (lost, locked, between)] == [202] * 3
    assert status(service, card_ref) == 1
    assert [row["code"] for row in shown(operator)] == []


def test_a_gap_is_listed_and_a_late_arrival_closes_it_and_undoes_nothing(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    card_ref, now = add_card(service, 5), service.clock()
    push(source, system.changed(now, 5, "report_loss", 4))
    (gap,) = operator.get("/v1/intake/gaps").json()["gaps"]
    assert (gap["first"], gap["last"], gap["card_ref"]) == (1, 3, card_ref)
    push(source, system.changed(now, 5, "release", 2))
    assert status(service, card_ref) == 2
    rows = operator.get("/v1/intake/gaps", params={"source": system.name}).json()["gaps"]
    assert sorted((row["first"], row["last"]) for row in rows) == [(1, 1), (3, 3)]
    (late,) = shown(operator)
    assert late["code"] == "card_change_superseded"
    for sequence in (1, 3):
        push(source, system.changed(now, 5, "lock", sequence))
    assert operator.get("/v1/intake/gaps").json()["gaps"] == []


def test_an_impossible_event_is_shown_in_both_languages_and_settled_by_a_person(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    card_ref, now = add_card(service, 6), service.clock()
    push(source, system.changed(now, 6, "cancel", 1))
    impossible = system.changed(now, 6, "release", 2)
    assert push(source, impossible).status_code == 202
    (row,) = shown(operator)
    assert row["code"] == "card_change_impossible"
    chinese = operator.get("/v1/intake/exceptions", headers={"Accept-Language": "zh"}).json()
    assert chinese["exceptions"][0]["meaning"] != row["meaning"]
    assert chinese["counts"] == {"card_change_impossible": 1}
    path = f"/v1/intake/exceptions/{row['exception_ref']}"
    assert operator.post(f"{path}/retry").json()["code"] == "card_change_impossible"
    assert operator.post(f"{path}/dismiss", json={"reason": "\n"}).status_code == 400
    settled = operator.post(f"{path}/dismiss", json={"reason": "the card is at the archive"})
    assert settled.json()["state"] == "dismissed"
    assert operator.post(f"{path}/dismiss", json={"reason": "again"}).json()["code"] == "exception_settled"
    assert push(source, impossible).status_code == 202
    assert shown(operator) == []
    assert operator.get(path).json()["count"] == 2
    assert status(service, card_ref) == 9


def test_what_waits_is_counted_for_monitoring_and_told_to_the_holder(
    service: Service, system: CardSystem, source: TestClient
) -> None:
    card_ref, now = add_card(service, 7), service.clock()
    push(source, system.changed(now, 7, "cancel", 1))
    push(source, system.changed(now, 7, "release", 2))
    text = generate_latest(metrics_of([service.issuer])).decode()
    assert f'ecard_intake_exceptions{{code="card_change_impossible",issuer="{ORIGIN}"}} 1.0' in text
    card = service.issuer.register.get_card(card_ref)
    holder = service.issuer.people.get(card.holder_ref)
    kept = WaitingEvents(service.issuer.register, service.issuer.intake.store)
    (row,) = kept.of_holder(holder, service.issuer.people.seal_of(holder))
    assert (row["code"], row["change"], row["card_ref"]) == ("card_change_impossible", "release", card_ref)


def test_a_source_speaks_for_its_own_regions_only(service: Service, operator: TestClient) -> None:
    system = CardSystem("county", regions=("330100",))
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    card_ref = add_card(service, 8)
    token = service.issuer.operators.add(system.name, Role.SOURCE, service.clock()).token
    client = TestClient(operator.app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"})
    for foreign in (system.changed(service.clock(), 8, "report_loss", 1), system.registered(service.clock(), 9)):
        answer = push(client, foreign)
        assert answer.status_code == 400
        assert (answer.json()["err"], answer.json()["code"]) == ("access_denied", "region_not_of_source")
    assert status(service, card_ref) == 1
    assert {row["code"] for row in shown(operator)} == {"region_not_of_source"}
    claims = system.claims(service.clock(), STATUS_CHANGED, {}, {"change": "report_loss", "sequence": 1})
    claims["sub_id"] = {"format": SUBJECT_FORMAT, "card_number": synthetic(8).card_number, "region": "330100"}
    assert push(client, system.sign(claims)).status_code == 202  # such a card of theirs is not known
    assert status(service, card_ref) == 1


def test_what_a_source_said_counts_no_more_once_it_is_ended(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    push(source, system.changed(service.clock(), 11, "report_loss", 1))
    assert operator.delete(f"/v1/card-sources/{system.name}").status_code == 204
    made = operator.post("/v1/cards", json=service.card_body(11)).json()
    assert status(service, made["card_ref"]) == 1
    (row,) = shown(operator)
    assert row["code"] == "source_unknown"
    assert operator.post(f"/v1/intake/exceptions/{row['exception_ref']}/retry").json()["code"] == "source_unknown"


def test_a_foreign_event_is_not_applied_by_trying_it_again(service: Service, operator: TestClient) -> None:
    system = CardSystem("county", regions=("330100",))
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    card_ref = add_card(service, 12)
    with pytest.raises(NotAllowed):
        service.issuer.intake.events.receive(
            system.source(), system.changed(service.clock(), 12, "cancel", 1), service.clock()
        )
    (row,) = shown(operator)
    again = operator.post(f"/v1/intake/exceptions/{row['exception_ref']}/retry")
    assert (again.status_code, again.json()["code"]) == (403, "region_not_of_source")
    assert status(service, card_ref) == 1


def test_an_event_from_the_future_waits_for_its_time(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    card_ref, now = add_card(service, 15), service.clock()
    ahead = int(now.timestamp()) + 3600
    assert push(source, system.changed(now, 15, "report_loss", 1, toe=ahead)).status_code == 202
    (row,) = shown(operator)
    assert row["code"] == "card_event_from_future"
    service.issuer.intake.upkeep(service.clock.advance(120))
    assert status(service, card_ref) == 1
    (again,) = shown(operator)
    assert (again["tries"], again["next_try_at"] > row["next_try_at"]) == (1, True)
    service.issuer.intake.upkeep(service.clock.advance(3600))
    assert (status(service, card_ref), shown(operator)) == (2, [])


def test_a_replacement_waits_for_the_new_card_and_moves_the_ecard_when_it_comes(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    old, now = add_card(service, 13), service.clock()
    subject = {"format": SUBJECT_FORMAT, "identification_code": synthetic(14).identification_code}
    claims = system.claims(now, STATUS_CHANGED, {"identification_code": synthetic(13).identification_code}, {})
    claims["events"][STATUS_CHANGED] = {"change": "replace", "sequence": 1, "successor": subject}
    assert push(source, system.sign(claims)).status_code == 202
    assert [row["code"] for row in shown(operator)] == ["card_unknown"]
    holder = {"id_number": synthetic(13).id_number, "name": synthetic(13).name}
    assert push(source, system.registered(now, 14, **holder)).status_code == 202
    assert shown(operator) == []
    (event,) = service.issuer.register.events_of(old)
    assert (status(service, old), event.change.value) == (9, "replace")


def test_a_token_that_cannot_be_taken_says_why_as_the_standard_wants(
    service: Service, system: CardSystem, source: TestClient, operator: TestClient
) -> None:
    add_card(service, 10)
    now = service.clock()
    good = system.claims(now, STATUS_CHANGED, {"identification_code": synthetic(10).identification_code}, {})
    cases = {
        "x": "invalid_request",
        CardSystem().changed(now, 10, "lock", 1): "invalid_key",
        system.sign(good | {"iss": "https://other.example"}): "invalid_issuer",
        system.sign(good | {"aud": "https://other.example"}): "invalid_audience",
        system.sign(good | {"iat": int(now.timestamp()) + 3600}): "invalid_request",
        "é": "invalid_request",
        "a" * 20000: "invalid_request",
    }
    for token, err in cases.items():
        answer = push(source, token, **{"Accept-Language": "zh"})
        assert (answer.status_code, answer.json()["err"]) == (400, err)
        assert answer.headers["content-language"] == "zh"
    assert source.post("/v1/card-events", json={}).json()["err"] == "invalid_request"
    rows = shown(operator)
    assert all(row["change"] is None for row in rows)
    assert sum(row["count"] for row in rows) == 5  # those that named a source's key or none
    unreadable = next(row for row in rows if row["code"] == "bad_signature")
    retried = operator.post(f"/v1/intake/exceptions/{unreadable['exception_ref']}/retry")
    assert retried.json()["code"] == "exception_not_repeatable"


def test_a_caller_without_a_source_of_that_name_is_refused(service: Service, source: TestClient) -> None:
    source.headers["Authorization"] = f"Bearer {service.token(Role.SOURCE)}"
    answer = push(source, CardSystem().changed(service.clock(), 1, "lock", 1))
    assert (answer.status_code, answer.json()["err"], answer.json()["code"]) == (400, "access_denied", "source_unknown")


def test_sources_are_registered_by_four_eyes_and_ended_by_one(tmp_path: Path) -> None:
    service = open_service(tmp_path, approvals_needed=1)
    system = CardSystem()
    first, second = (
        service.issuer.operators.add(name, Role.OPERATOR, service.clock(), actor="x").token for name in "ab"
    )
    client = TestClient(create_app(service.issuer), raise_server_exceptions=False)
    body = {
        "issuer": "https://cards.example",
        "keys": [system.jwk()],
        "regions": ["330100"],
        "audience": ORIGIN,
        "delivery": "poll",
        "poll_url": "https://cards.example/poll",
        "poll_token": "secret of the poll",
    }

    def put(token: str) -> Any:
        return client.put("/v1/card-sources/card system", json=body, headers={"Authorization": f"Bearer {token}"})

    waiting = put(first)
    assert waiting.status_code == 202
    request = waiting.json()["approval"]["id"]
    assert "secret" not in waiting.text
    agreed = client.post(f"/v1/approvals/{request}/approve", json={}, headers={"Authorization": f"Bearer {second}"})
    assert agreed.status_code == 200, agreed.text
    made = put(first)
    assert made.status_code == 200
    assert made.json()["has_poll_token"] is True
    assert "secret" not in made.text
    headers = {"Authorization": f"Bearer {second}"}
    (listed,) = client.get("/v1/card-sources", headers=headers).json()["sources"]
    assert listed == made.json()
    (row,) = service.issuer.intake.sources.all()
    assert service.issuer.intake.sources.poll_token(row) == "secret of the poll"
    assert client.delete("/v1/card-sources/card system", headers=headers).status_code == 204
    assert client.delete("/v1/card-sources/card system", headers=headers).json()["code"] == "source_unknown"
    assert client.get("/v1/card-sources", headers=headers).json() == {"sources": []}
    service.issuer.close()
