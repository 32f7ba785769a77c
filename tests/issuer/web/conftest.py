"""The issuer's application over a fresh service, asked in-process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An operator's client over one service for a whole module: for requests that are all refused."""
    service = open_service(tmp_path_factory.mktemp("shared"))
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    with TestClient(create_app(service.issuer), raise_server_exceptions=False, headers=headers) as client:
        yield client
    service.issuer.close()


@pytest.fixture
def app(service: Service) -> FastAPI:
    return create_app(service.issuer)


@pytest.fixture
def anybody(app: FastAPI) -> Iterator[TestClient]:
    """A client without a token. A fault of ours would be an answer with status 500, not an exception."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def operator(app: FastAPI, service: Service) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        yield client
