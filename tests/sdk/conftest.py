"""Both clients of a fake authority whose clock stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing import FakeECard
from tests.issuer.service import Clock
from tests.sdk.twin import blocking

ID_NUMBER, NAME, PIN = "00009919900101001X", "测试一", "158369"
Make = Callable[..., ECardClient]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> FakeECard:
    return FakeECard(clock=clock)


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, fake: FakeECard) -> Iterator[Make]:
    """Makes a client of the fake with any options; the asynchronous one has the synchronous one's verbs here."""
    with ExitStack() as stack:

        def made(*arguments: Any, **options: Any) -> Any:
            if request.param == "sync":
                return stack.enter_context(fake.client(*arguments, **options))
            return stack.enter_context(blocking(fake.async_client(*arguments, **options)))

        yield made


@pytest.fixture
def client(make: Make) -> ECardClient:
    return make()


def linked(client: ECardClient) -> str:
    """A link of the fake's first person."""
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    claim = client.claims.begin(person, person.cards[0], "pin", consent="terms-1")
    return client.claims.evidence(claim, pin=PIN).link_id
