"""The OpenAPI document as a promise: operations keep their names, and each says all that it may answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service

#: One operation a line: its id, method and path. Ids are promises like codes: a line may be added, never taken away.
PROMISED = Path(__file__).parents[3] / "docs/openapi-operations.txt"
OPERATION = re.compile(r"[a-z][a-z0-9_]{2,60}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("openapi"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    embedded = embed(service.issuer)
    service.issuer.hub.close()
    embedded.app.router.lifespan_context = FastAPI().router.lifespan_context
    return embedded.app


def operations(app: FastAPI) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """By id: method, path and the operation."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_an_operation_keeps_its_name_and_a_new_one_is_written_down(app: FastAPI) -> None:
    now = {f"{name} {method} {path}" for name, (method, path, _) in operations(app).items()}
    promised = PROMISED.read_text(encoding="utf-8").splitlines()
    assert promised == sorted(set(promised)), f"{PROMISED.name} is sorted"
    assert set(promised) - now == set(), "gone or renamed: clients were generated from these names"
    assert now - set(promised) == set(), f"new: add these lines to {PROMISED}"


def test_every_operation_is_named_and_explained(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    routed = sum(len(methods) for methods in document["paths"].values())
    assert len(operations(app)) == routed, "no id twice"
    for name, (_, path, operation) in operations(app).items():
        assert OPERATION.fullmatch(name), name
        assert operation["summary"], path
        assert operation["tags"], path
        for parameter in operation.get("parameters", ()):
            assert "anyOf" not in parameter["schema"], "a parameter is there or not: no null"


def test_every_operation_says_what_it_may_answer(app: FastAPI) -> None:
    for name, (_, _, operation) in operations(app).items():
        said = operation["responses"].keys()
        assert {"500", "503"} <= said, name
        assert {"401", "403"} <= said or not operation.get("security"), name
        assert {"400", "408", "413", "415", "422"} <= said or "requestBody" not in operation, name
        assert "429" in said or (operation.get("security") and "x-ecard-scope" not in operation), name
        for status, response in operation["responses"].items():
            assert response["description"] not in ("", "Successful Response"), f"{name} {status}"
            if status >= "400" and status != "503":
                assert response.get("content"), f"{name} {status}"


def test_the_ways_of_showing_who_calls_are_described(app: FastAPI) -> None:
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    used = {
        name for _, _, operation in operations(app).values() for way in operation.get("security", ()) for name in way
    }
    assert used == schemes.keys()
    for name, (_, _, operation) in operations(app).items():
        if "x-ecard-scope" in operation:
            ways = [way.keys() for way in operation["security"]]
            assert any("dpop" in way for way in ways), name
            assert any("mtls" in way for way in ways), name


@pytest.fixture(scope="module")
def operator(app: FastAPI, service: Service) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 30_000 + b"]" * 30_000, "application/json", 400),
        (b'{"a": 1, "a": 2}', "application/json", 422),
        (b'"' + b"x" * (17 << 20) + b'"', "application/json", 413),
    ],
    ids=["foreign", "cut short", "no text", "deep", "twice", "huge"],
)
def test_whatever_is_sent_the_answer_is_a_described_one(
    app: FastAPI, operator: TestClient, content: bytes, media_type: str, status: int
) -> None:
    """Every route with a body, at once: what cannot be read is refused before anybody looks at it."""
    for name, (method, path, operation) in operations(app).items():
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        filled = re.sub(r"\{\w+\}", "ab", path)
        response = operator.request(method, filled, content=content, headers={"Content-Type": media_type})
        oauth = path.startswith("/wallets/")  # OpenID4VCI has an error form of its own
        assert response.status_code in {status, 422, *((400, 401) if oauth else ())}, name
        assert str(response.status_code) in operation["responses"], name
        kinds = {"application/problem+json", *(("application/json",) if oauth else ())}
        assert response.headers["content-type"] in kinds, name


def test_another_method_is_refused_everywhere(app: FastAPI, operator: TestClient) -> None:
    for path, methods in app.openapi()["paths"].items():
        if "patch" not in methods and "{" not in path:
            response = operator.request("PATCH", path)
            assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed"), path
            assert response.headers["allow"], path
