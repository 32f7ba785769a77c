"""Pages follow each other without a gap or a repetition, and a cursor is good for one list of one caller."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ecard_card.errors import InvalidInput
from ecard_issuer.web.conventions.pages import read_cursor, sign_cursor
from ecard_verifier.callers import Role
from tests.issuer.service import ORIGIN, Service
from tests.issuer.web.conventions.conftest import Acts


def refused(client: TestClient, cursor: str, path: str = "/test/rows", **more: str) -> None:
    response = client.get(path, params={"cursor": cursor, **more})
    assert (response.status_code, response.json()["code"]) == (400, "bad_cursor")


def test_pages_are_walked_to_the_end_while_rows_are_added(channel: TestClient, acts: Acts) -> None:
    acts.rows = [f"r{number:03}" for number in range(0, 100, 2)]
    expected, seen, cursor = list(acts.rows), list[str](), None
    while True:
        answer = channel.get("/test/rows", params={"limit": 7, **({"cursor": cursor} if cursor else {})})
        page = answer.json()
        seen += [item["row"] for item in page["data"]]
        if page["next_cursor"] is None:
            assert "link" not in answer.headers
            break
        (link,) = re.findall(r'<([^>]+)>; rel="next"', answer.headers["link"])
        assert link.startswith(f"{ORIGIN}/test/rows?limit=7&cursor=")
        assert channel.get(link.removeprefix(ORIGIN)).status_code == 200
        acts.rows.insert(0, "a-before")  # what comes before the place that was reached shifts nothing
        cursor = page["next_cursor"]
    assert seen == expected


def test_the_last_full_page_says_that_it_is_the_last(channel: TestClient, acts: Acts) -> None:
    acts.rows = ["a", "b"]
    assert channel.get("/test/rows?limit=2").json() == {"data": [{"row": "a"}, {"row": "b"}], "next_cursor": None}
    acts.rows = []
    assert channel.get("/test/rows").json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "9" * 400])
def test_a_page_is_bounded(channel: TestClient, limit: str) -> None:
    assert channel.get("/test/rows", params={"limit": limit}).status_code == 422


def test_a_cursor_is_good_for_its_own_list_only(
    service: Service, app: FastAPI, channel: TestClient, acts: Acts
) -> None:
    acts.rows = ["a", "b"]
    cursor = channel.get("/test/rows?limit=1&kind=x").json()["next_cursor"]
    assert channel.get("/test/rows", params={"cursor": cursor, "kind": "x"}).json()["data"] == [{"row": "b"}]
    refused(channel, cursor)
    refused(channel, cursor, kind="y")
    refused(channel, cursor, "/test/more-rows", kind="x")
    stranger = TestClient(app, headers={"Authorization": f"Bearer {service.token(Role.CHANNEL)}"})
    refused(stranger, cursor, kind="x")


@pytest.mark.parametrize("cursor", ["", "x", "ä", "WyJhIl0", "A" * 1024, "=", "%00"])
def test_what_is_no_cursor_is_refused(channel: TestClient, cursor: str) -> None:
    refused(channel, cursor)


def mac(label: str, data: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.digest(b"key", label.encode() + data, hashlib.sha256)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=3), st.binary(max_size=40))
def test_a_cursor_reads_back_and_no_other_text_does(place: list[str], other: bytes) -> None:
    cursor = sign_cursor(mac, b"owner", tuple(place))
    assert read_cursor(mac, b"owner", cursor) == tuple(place)
    for owner, text in (
        (b"other", cursor),
        (b"owner", cursor[:-2]),
        (b"owner", cursor + "AA"),
        (b"owner", other.hex()),
    ):
        with pytest.raises(InvalidInput, match="bad_cursor"):
            read_cursor(mac, owner, text)
