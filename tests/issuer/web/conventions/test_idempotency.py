"""The same request under the same key is done once, whoever asks how often and when."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from ecard_issuer.idempotency.requests import KEPT, LEASE
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_verifier.callers import Role
from tests.issuer.service import Service
from tests.issuer.web.conventions.conftest import SECRET, Acts

REPLAYED = "idempotency-replayed"


def post(client: TestClient, key: str | None, path: str = "/test/acts", **body: str) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, json=body, headers=headers)


def new_key() -> str:
    return str(uuid4())


def code_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_repetition_gets_the_first_answer_and_does_nothing(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    first, again = post(channel, key), post(channel, key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["location"] == first.headers["location"]
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert "x-other" not in again.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert again.headers["cache-control"] == "no-store"
    assert acts.done == ["hello"]


def test_the_quoted_form_of_the_draft_is_the_same_key(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    assert post(channel, key).status_code == 201
    assert post(channel, f'"{key}"').headers[REPLAYED] == "true"
    assert len(acts.done) == 1


def test_another_request_under_the_same_key_is_refused(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    assert post(channel, key).status_code == 201
    assert code_of(post(channel, key, say="other")) == (422, "idempotency_key_reused")
    assert code_of(post(channel, key, path="/test/acts?x=1")) == (422, "idempotency_key_reused")
    assert post(channel, key).headers[REPLAYED] == "true"
    assert acts.done == ["hello"]


def test_a_key_used_for_another_thing_of_the_same_route_is_refused(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    assert post(channel, key, "/test/acts/a").json()["place"] == "a"
    assert code_of(post(channel, key, "/test/acts/b")) == (422, "idempotency_key_reused")
    assert len(acts.done) == 1


def test_a_key_of_another_route_or_caller_is_another_key(
    service: Service, app: FastAPI, channel: TestClient, acts: Acts
) -> None:
    key = new_key()
    assert post(channel, key).status_code == 201
    elsewhere = post(channel, key, "/test/others")
    assert (elsewhere.status_code, REPLAYED in elsewhere.headers) == (201, False)
    headers = {"Authorization": f"Bearer {service.token(Role.CHANNEL)}"}
    stranger = TestClient(app, headers=headers)
    theirs = post(stranger, key, say="theirs")
    assert (theirs.status_code, REPLAYED in theirs.headers) == (201, False), "no collision, and nothing leaks"
    assert post(channel, key).json()["number"] == 1
    assert acts.done == ["hello", "hello", "theirs"]


def test_who_is_not_known_learns_nothing_by_a_key(anybody: TestClient, channel: TestClient, acts: Acts) -> None:
    key = new_key()
    assert post(channel, key).status_code == 201
    assert code_of(post(anybody, key)) == (401, "not_authenticated")
    assert len(acts.done) == 1


def test_a_key_is_needed(channel: TestClient, acts: Acts) -> None:
    assert code_of(post(channel, None)) == (400, "idempotency_key_missing")
    assert post(channel, None, "/test/maybe").status_code == 201
    key = new_key()
    assert post(channel, key, "/test/maybe").status_code == 201
    assert post(channel, key, "/test/maybe").headers[REPLAYED] == "true"
    assert len(acts.done) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "a,b", 'a"b', '"a', "a\\b", "k" * 256, "k" * 60_000, "\x7f", '""'])
def test_a_bad_key_is_refused(channel: TestClient, acts: Acts, key: str) -> None:
    response = post(channel, key)
    assert response.status_code in (400, 422)
    assert response.json()["code"] in ("bad_idempotency_key", "invalid_request")
    assert acts.done == []


def test_two_keys_at_once_are_refused(channel: TestClient, acts: Acts) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    response = channel.post("/test/acts", json={}, headers=headers)
    assert code_of(response) == (400, "bad_idempotency_key")
    assert channel.post("/test/acts", json={}, headers=[(b"Idempotency-Key", "é".encode())]).status_code == 400
    assert acts.done == []


def test_while_it_runs_a_repetition_is_told_to_wait(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, channel, key, then="wait")
        assert acts.begun.wait(10)
        meanwhile = post(channel, key, then="wait")
        assert code_of(meanwhile) == (409, "idempotency_in_flight")
        assert meanwhile.headers["retry-after"] == "1"
        assert code_of(post(channel, key, say="other")) == (422, "idempotency_key_reused")
        acts.go_on.set()
        assert first.result().status_code == 201
    assert post(channel, key, then="wait").content == first.result().content
    assert len(acts.done) == 1


def test_of_twenty_at_once_one_is_done(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(channel, key), range(20)))
    assert len(acts.done) == 1
    told = {answer.status_code for answer in answers}
    assert told <= {201, 409}
    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    assert sum(answer.status_code == 201 and REPLAYED not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize(
    ("then", "status", "kept"),
    [
        ("conflict", 409, True),
        ("rule", 422, True),
        ("input", 400, True),
        ("refused", 422, False),
        ("forbidden", 403, False),
        ("down", 503, False),
        ("bug", 500, False),
    ],
)
def test_what_may_be_another_answer_next_time_is_not_kept(
    channel: TestClient, acts: Acts, then: str, status: int, kept: bool
) -> None:
    key = new_key()
    first, again = post(channel, key, then=then), post(channel, key, then=then)
    assert first.status_code == again.status_code == status
    assert (REPLAYED in again.headers) is kept
    assert (first.content == again.content) is kept
    assert len(acts.done) == (1 if kept else 2)


def test_a_request_that_was_wrong_may_be_corrected_under_its_key(channel: TestClient, acts: Acts) -> None:
    key = new_key()
    wrong = channel.post("/test/acts", json={"say": 1}, headers={"Idempotency-Key": key})
    assert code_of(wrong) == (422, "invalid_request")
    assert post(channel, key).status_code == 201
    assert acts.done == ["hello"]


def test_after_a_crash_the_key_is_free_again_when_its_lease_ends(
    service: Service, channel: TestClient, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work was done and its answer never stored."""
    key, requests = new_key(), service.issuer.conventions.idempotency
    with monkeypatch.context() as crashing:
        crashing.setattr("ecard_issuer.idempotency.sql.SqlAnswers.finish", lambda *_: False)
        assert post(channel, key).status_code == 201
    assert code_of(post(channel, key)) == (409, "idempotency_in_flight")
    service.clock.advance(LEASE.total_seconds())
    assert code_of(post(channel, key, say="other")) == (422, "idempotency_key_reused")
    again = post(channel, key)
    assert (again.status_code, REPLAYED in again.headers) == (201, False)
    assert post(channel, key).headers[REPLAYED] == "true"
    assert len(acts.done) == 2
    requests.upkeep(service.clock())


def test_an_answer_is_kept_for_a_day(service: Service, channel: TestClient, acts: Acts) -> None:
    key, requests = new_key(), service.issuer.conventions.idempotency
    assert post(channel, key).status_code == 201
    service.clock.advance(KEPT.total_seconds() - 1)
    requests.upkeep(service.clock())
    assert post(channel, key).headers[REPLAYED] == "true"
    service.clock.advance(1)
    assert REPLAYED not in post(channel, key, say="new").headers, "over, although nobody has swept yet"
    service.clock.advance(KEPT.total_seconds())
    requests.upkeep(service.clock())
    with reading(service.issuer.engine) as connection:
        assert connection.execute(select(tables.idempotent_answer)).all() == []
    assert acts.done == ["hello", "new"]


def test_nothing_that_was_answered_or_asked_can_be_read_at_rest(
    service: Service, channel: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_key()
    with caplog.at_level(logging.DEBUG):
        assert SECRET in post(channel, key, say="PERSONAL-123").text
    with reading(service.issuer.engine) as connection:
        rows = connection.execute(select(tables.idempotent_answer)).all()
    assert rows
    for place in (*map(str, rows), caplog.text):
        assert not any(secret in place for secret in (SECRET, "PERSONAL-123", key))


def test_an_answer_altered_at_rest_is_not_given(service: Service, channel: TestClient, acts: Acts) -> None:
    one, two = new_key(), new_key()
    assert post(channel, one).status_code == post(channel, two).status_code == 201
    answer = tables.idempotent_answer
    with service.issuer.engine.begin() as connection:
        first, *_ = connection.execute(select(answer)).all()
        connection.execute(answer.update().values(sealed_answer=first.sealed_answer, wrapped_key=first.wrapped_key))
    told = sorted(code for code in (post(channel, one).status_code, post(channel, two).status_code))
    assert told[0] in (201, 422)
    assert told[1] == 422, "an answer of another key does not open under this one"
    assert len(acts.done) == 2


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    channel: TestClient, acts: Acts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ecard_card.errors import Unavailable

    def down(*_: object) -> bool:
        raise Unavailable("register_unavailable")

    monkeypatch.setattr("ecard_issuer.idempotency.sql.SqlAnswers.finish", down)
    assert post(channel, new_key()).status_code == 201
    assert "register_unavailable" in caplog.text


def test_the_api_description_shows_the_header(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    for path, required in (("/test/acts", True), ("/test/maybe", False)):
        (header,) = (item for item in paths[path]["post"]["parameters"] if item["name"] == "Idempotency-Key")
        assert (header["in"], header["required"]) == ("header", required)
        assert "x-required" not in header["schema"]
        assert header["schema"]["type"] == "string"
