"""One service for a module's tests, with a channel that has one link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from ecard_issuer.web.app import create_app
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.service import Service, open_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("service"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    """A browser, as far as a session can tell."""
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def channel(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)
