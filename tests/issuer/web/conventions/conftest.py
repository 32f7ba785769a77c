"""One service for a whole folder of tests, and an application with routes that use the conventions, made for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from threading import Event

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.testclient import TestClient

from ecard_card.errors import Conflict, InvalidInput, NotAllowed, RuleViolation, Unavailable
from ecard_issuer.web.app import authenticator, create_app
from ecard_issuer.web.conventions.idempotency import idempotent
from ecard_issuer.web.conventions.pages import Page, paged
from ecard_issuer.web.conventions.rates import count_channel
from ecard_issuer.web.conventions.versions import deprecated
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import require_role
from ecard_verifier.web.base import needs
from tests.issuer.service import Service, open_service

SECRET = "SECRET-CREDENTIAL-4711"
QUOTA = 5


class Act(BaseModel):
    """What the test's route is asked for. `then` names how it ends."""

    say: str = "hello"
    then: str = "done"


@dataclass
class Acts:
    """What the test's routes did, and what they wait for."""

    done: list[str] = field(default_factory=list)
    begun: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)
    rows: list[str] = field(default_factory=list)


FAULTS = {
    "conflict": Conflict("card_exists"),
    "rule": RuleViolation("ecard_ended"),
    "input": InvalidInput("bad_region"),
    "refused": RuleViolation("invalid_request"),
    "forbidden": NotAllowed("not_allowed"),
    "down": Unavailable("register_unavailable"),
    "bug": ValueError("a fault"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("conventions"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def all_acts() -> Acts:
    return Acts()


@pytest.fixture
def acts(all_acts: Acts) -> Acts:
    """Nothing done yet."""
    fresh = Acts()
    for each in fields(fresh):
        setattr(all_acts, each.name, getattr(fresh, each.name))
    return all_acts


@pytest.fixture(scope="module")
def app(service: Service, all_acts: Acts) -> FastAPI:
    app = create_app(service.issuer)
    app.include_router(_router(service, all_acts))
    return app


@pytest.fixture(scope="module")
def anybody(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def token(service: Service) -> str:
    return service.token(Role.CHANNEL)


@pytest.fixture(scope="module")
def channel(app: FastAPI, token: str) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        yield client


def _router(service: Service, acts: Acts) -> APIRouter:
    issuer, router = service.issuer, APIRouter()
    known = require_role(authenticator(issuer.operators), Role.CHANNEL)
    once, maybe = idempotent(issuer, known), idempotent(issuer, known, required=False)

    def act(body: Act, place: str = "") -> JSONResponse:
        acts.done.append(body.say)
        if body.then == "wait":
            acts.begun.set()
            assert acts.go_on.wait(10)
        if body.then in FAULTS:
            raise FAULTS[body.then]
        headers = {"Location": f"/test/{len(acts.done)}", "X-Other": "not kept"}
        return JSONResponse({"number": len(acts.done), "credential": SECRET, "place": place}, 201, headers=headers)

    @router.post("/test/acts", dependencies=[Depends(once)], openapi_extra=needs(Role.CHANNEL))
    def create(body: Act) -> JSONResponse:
        return act(body)

    @router.post("/test/acts/{place}", dependencies=[Depends(once)], openapi_extra=needs(Role.CHANNEL))
    def create_there(place: str, body: Act) -> JSONResponse:
        return act(body, place)

    @router.post("/test/others", dependencies=[Depends(once)], openapi_extra=needs(Role.CHANNEL))
    def other(body: Act) -> JSONResponse:
        return act(body)

    @router.post("/test/maybe", dependencies=[Depends(maybe)], openapi_extra=needs(Role.CHANNEL))
    def maybe_once(body: Act) -> JSONResponse:
        return act(body)

    @router.get("/test/rows", openapi_extra=needs(Role.CHANNEL))
    def rows(page: Page = Depends(paged(issuer, known))) -> JSONResponse:  # noqa: B008 - how FastAPI is told
        after = "" if page.after is None else page.after[0]
        found = sorted(row for row in acts.rows if row > after)[: page.limit + 1]
        return page.answer(found, lambda row: {"row": row}, lambda row: (row,))

    @router.get("/test/more-rows", openapi_extra=needs(Role.CHANNEL))
    def more_rows(page: Page = Depends(paged(issuer, known))) -> JSONResponse:  # noqa: B008
        return page.answer(list[str](), lambda row: {"row": row}, lambda row: (row,))

    @router.get("/test/counted", openapi_extra=needs(Role.CHANNEL))
    def counted(request: Request, caller: Caller = Depends(known)) -> JSONResponse:  # noqa: B008
        count_channel(issuer, request, caller.name, QUOTA)
        return JSONResponse({})

    @router.get("/test/open")
    def opened() -> JSONResponse:
        return JSONResponse({})

    @router.get("/test/open-and-cached")
    def cached() -> JSONResponse:
        return JSONResponse({}, headers={"Cache-Control": "public, max-age=60"})

    going = deprecated(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC), about="https://issuer.example/docs#new"
    )

    @router.get("/test/going", operation_id="going", **going)
    def old(fail: bool = False) -> JSONResponse:
        if fail:
            raise RuleViolation("ended")
        return JSONResponse({})

    return router
