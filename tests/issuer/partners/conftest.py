"""An issuer with partners, made once for all tests of a module; each test brings its own streams and cards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.issuer.partners.support import Bureau, open_bureau


@pytest.fixture(scope="module")
def opened_bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    opened = open_bureau(tmp_path_factory.mktemp("bureau"))
    yield opened
    opened.service.issuer.close()


@pytest.fixture
def bureau(opened_bureau: Bureau) -> Iterator[Bureau]:
    opened_bureau.forget()
    yield opened_bureau
    opened_bureau.forget()
