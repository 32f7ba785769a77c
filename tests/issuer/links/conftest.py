"""One service for a module's tests, each with people of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.issuer.service import Service, open_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("service"))
    yield opened
    opened.issuer.close()
