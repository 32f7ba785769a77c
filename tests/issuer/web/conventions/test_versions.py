"""A route that will go says so in every answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.web.conventions.versions import deprecated


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?fail=true", 422)])
def test_a_deprecated_route_says_since_when_until_when_and_where_to_read(
    anybody: TestClient, query: str, status: int
) -> None:
    answer = anybody.get(f"/test/going{query}")
    assert answer.status_code == status
    assert answer.headers["deprecation"] == "@1793491200"
    assert answer.headers["sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
    links = answer.headers.get_list("link")
    assert '<https://issuer.example/docs#new>; rel="deprecation"; type="text/html"' in links
    assert any('rel="sunset"' in link for link in links)


def test_the_description_says_so_too_and_nothing_else_is_deprecated(app: FastAPI) -> None:
    going = [
        operation["operationId"]
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        if operation.get("deprecated")
    ]
    assert going == ["going"]


def test_a_sunset_before_the_deprecation_is_a_mistake_of_ours() -> None:
    since = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="before it goes"):
        deprecated(since, datetime(2026, 1, 1, tzinfo=UTC), about="https://issuer.example/docs")
