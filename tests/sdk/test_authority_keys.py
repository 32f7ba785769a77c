"""Keys through the client: another operator's agreement is an error of its own, and an answer that is none is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx2
import pytest

from ecard_card.errors import ApprovalNeeded
from ecard_sdk import errors
from tests.sdk.test_authority_exchange import Script, ok

KEY = {
    "kid": "0123abcd",
    "purpose": "credential",
    "state": "active",
    "not_before": "2026-11-24T10:00:00.000Z",
    "next_change_from": None,
}


def test_a_change_that_waits_is_an_error_that_names_the_request() -> None:
    waiting = httpx2.Response(202, json={"approval": {"id": "ab" * 8, "state": "pending"}})
    script = Script([waiting, ok({"id": "ab" * 8}), ok(KEY)])
    client = script.client()
    with pytest.raises(errors.ApprovalNeededError) as asked:
        client.promote_key("0123abcd", despite_lead=True)
    assert isinstance(asked.value, ApprovalNeeded)
    assert isinstance(asked.value, errors.ECardError)
    assert (asked.value.request_id, asked.value.http_status, asked.value.retryable) == ("ab" * 8, 202, False)
    client.approve(asked.value.request_id)
    assert client.promote_key("0123abcd", despite_lead=True).state == "active"
    assert [request.url.path for request in script.requests] == [
        "/v1/keys/0123abcd/promote",
        f"/v1/approvals/{'ab' * 8}/approve",
        "/v1/keys/0123abcd/promote",
    ]
    assert json.loads(script.requests[2].content) == {"despite_lead": True}


def test_a_cut_off_travels_with_its_zone_and_none_travels_as_null() -> None:
    script = Script([ok(KEY)])
    script.client().compromise_key("0123abcd", datetime(2026, 11, 24, 10, tzinfo=UTC))
    script.client().compromise_key("0123abcd", None)
    sent = [json.loads(request.content)["cut_off"] for request in script.requests]
    assert sent == ["2026-11-24T10:00:00+00:00", None]


@pytest.mark.parametrize("answer", [{}, {"approval": {}}, {"approval": {"id": 7}}, {"approval": None}, []])
def test_an_answer_that_is_neither_a_key_nor_a_request_is_unreadable(answer: object) -> None:
    with pytest.raises(errors.UnavailableError, match="service_answer_unreadable"):
        Script([httpx2.Response(202, json=answer)]).client().promote_key("0123abcd")
