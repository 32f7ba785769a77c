"""Every route × everybody: each cell follows from what the route itself says that it needs.

Rows come from the application, so a new route is in it at once. Columns are every role, every scope, and those who
should get nowhere: nobody, a token that was revoked, expired, stolen or is another one's. A caller is refused before
the body is looked at, so all bodies are empty.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.channels.scopes import Scope
from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from tests.conftest import COUNTS
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.service import START, Service, open_service
from tests.issuer.web.test_authorisation import COUNTER_ROWS, NAMED, SESSION_ROWS, hidden_routes, routed

IN, UNKNOWN, FORBIDDEN = "in", 401, 403
Headers = Callable[[str, str, bytes], dict[str, str]]


@dataclass(frozen=True)
class Need:
    """What a route says: nothing, some roles, some scopes of a channel's token, the token or cookie of a page."""

    roles: frozenset[str] | None
    scopes: frozenset[str] | None
    signed: bool
    session: bool


@dataclass(frozen=True)
class Column:
    """Somebody: how they call, and what becomes of it."""

    name: str
    headers: Headers
    expected: Callable[[Need], str | int]
    scope: bool = False


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("matrix"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    embedded = embed(service.issuer)
    service.issuer.hub.close()  # the feed's answer then ends at once
    embedded.app.router.lifespan_context = FastAPI().router.lifespan_context
    return embedded.app


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def channel(service: Service, client: TestClient) -> AdmittedChannel:
    """With a quota that the matrix does not use up: its clock stands still."""
    return admit(service, client=client, quotas={"calls_per_minute": 100_000, "claims_per_day": 10})


def rows(app: FastAPI) -> dict[tuple[str, str], tuple[Need, dict[str, Any]]]:
    """Every operation of the description with what it says that it needs, and what it may answer."""
    found = {}
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            roles, scopes = operation.get("x-ecard-role"), operation.get("x-ecard-scope")
            need = Need(
                None if roles is None else frozenset(roles),
                None if scopes is None else frozenset(scopes),
                bool(operation.get("x-ecard-signed")),
                (method.upper(), path) in SESSION_ROWS | COUNTER_ROWS,
            )
            found[method.upper(), path] = need, operation["responses"]
    return found


def bearer(token: str) -> Headers:
    return lambda method, path, body: {"Authorization": f"Bearer {token}"}


def columns(service: Service, channel: AdmittedChannel) -> Iterator[Column]:
    def nowhere(need: Need) -> str | int:
        return IN if need.roles is None and need.scopes is None and not need.session else UNKNOWN

    def with_role(role: Role) -> Callable[[Need], str | int]:
        def expected(need: Need) -> str | int:
            if need.roles is None:
                return nowhere(need)
            return IN if role in need.roles else FORBIDDEN

        return expected

    def with_scopes(scopes: frozenset[str]) -> Callable[[Need], str | int]:
        def expected(need: Need) -> str | int:
            if need.scopes is None:
                return nowhere(need)
            return IN if need.scopes <= scopes else FORBIDDEN

        return expected

    def proven(token: str, sign: bool = True) -> Headers:
        def headers(method: str, path: str, body: bytes) -> dict[str, str]:
            return channel.headers(method, path, body, token=token, sign=sign)

        return headers

    def unsigned(need: Need) -> str | int:
        return UNKNOWN if need.signed else with_scopes(frozenset(Scope))(need)

    service.clock.now = START
    expired = channel.token()
    service.clock.advance(301)
    whole, other = channel.token(), admit(service, client=channel.client)
    gone = service.issuer.operators.add("gone", Role.OPERATOR, START)
    service.issuer.operators.revoke("gone", START)

    yield Column("nobody", lambda method, path, body: {}, nowhere)
    yield Column("a token that nobody made", bearer("ecop_" + secrets.token_urlsafe(32)), nowhere)
    yield Column("an operator's token that was revoked", bearer(gone.token), nowhere)
    yield Column("a channel's token that expired", proven(expired), nowhere)
    yield Column("a channel's token without its key", bearer(whole), nowhere)
    yield Column(
        "a channel's token with another channel's key",
        lambda method, path, body: other.headers(method, path, body, token=whole),
        nowhere,
    )
    for role in Role:
        yield Column(f"role {role}", bearer(service.token(role)), with_role(role))
    for scope in Scope:
        token = channel.token(scope.value)
        yield Column(f"scope {scope}", proven(token), with_scopes(frozenset({scope.value})), scope=True)
    yield Column("every scope", proven(whole), with_scopes(frozenset(Scope)))
    yield Column("every scope, unsigned", proven(whole, sign=False), unsigned)


def test_every_cell_is_as_its_route_says(
    service: Service,
    app: FastAPI,
    channel: AdmittedChannel,
    client: TestClient,
    record_property: Callable[[str, object], None],
) -> None:
    wrong, cells = [], 0
    table = rows(app)
    for column in columns(service, channel):
        for (method, path), (need, responses) in table.items():
            if column.scope and need.scopes is None:
                continue  # a token that is refused whatever its scopes: the column of every scope has been here
            filled, body = path.format(**NAMED), b"" if method == "GET" else b"{}"
            headers = {"Content-Type": "application/json", **column.headers(method, filled, body)}
            response = client.request(method, filled, content=body or None, headers=headers)
            cells += 1
            if outcome(response, responses) != column.expected(need):
                told = f"{response.status_code} {response.text[:120]}"
                wrong.append(f"{method} {path} for {column.name}: {told}, want {column.expected(need)}")
    record_property(COUNTS, f"{cells} cells, {len(table)} routes")
    assert wrong == []


def outcome(response: Any, responses: dict[str, Any]) -> str | int:
    """Refused as unknown, refused for its role or scope, or let in, whatever came of it. A refusal of who is let in,
    for another reason, is one that the route describes."""
    status: int = response.status_code
    assert status < 500 or status == 503, response.text
    assert str(status) in responses, response.text
    if status not in (UNKNOWN, FORBIDDEN):
        return IN
    code = response.json().get("code")
    if code is None:
        return IN  # an OAuth error: a wallet's routes know other tokens than the house's
    if status == UNKNOWN or code in ("not_allowed", "scope_missing"):
        return status
    assert f"`{code}`" in responses[str(status)]["description"], code
    return IN


def test_no_route_is_missing(app: FastAPI) -> None:
    """What answers is described, but for pages that are for people; and it says what it needs, or that it is open."""
    assert routed(app) - rows(app).keys() == hidden_routes().keys()
    for (method, path), (need, responses) in rows(app).items():
        operation = app.openapi()["paths"][path][method.lower()]
        said = need.roles is not None or need.scopes is not None or need.session
        assert bool(operation.get("security")) is said, path
        assert ("401" in responses) or not said, path
        assert all(name in NAMED for name in re.findall(r"\{(\w+)\}", path)), (
            f"{path}: what stands there in the matrix?"
        )
