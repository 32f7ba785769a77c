"""pytest's plugin: `ecard_fake`, an authority in memory, and `ecard_client`, a client of it.

It comes with the installation, so it costs other projects nothing: the client is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ecard_sdk import ECardClient
    from ecard_sdk.testing import FakeECard


@pytest.fixture
def ecard_fake() -> FakeECard:
    """An authority in memory for one test."""
    from ecard_sdk.testing import FakeECard

    return FakeECard()


@pytest.fixture
def ecard_client(ecard_fake: FakeECard) -> Iterator[ECardClient]:
    """A client of `ecard_fake`, admitted with every scope."""
    with ecard_fake.client() as client:
        yield client
