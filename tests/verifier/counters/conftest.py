"""One house for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.verifier.counters.kit import House, Json, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = open_house(tmp_path_factory.mktemp("counters"))
    yield opened
    opened.counters.close()


@pytest.fixture(scope="module")
def hospital(house: House) -> Json:
    return house.group("hospital")


@pytest.fixture(scope="module")
def shop(house: House) -> Json:
    return house.group("shop", "basic")
