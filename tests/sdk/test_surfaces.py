"""The synchronous client is the asynchronous one, translated; nothing of it was written by hand."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ecard_sdk.aio.client import AsyncECardClient
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing import FakeECard
from tests.sdk.make_sync import SDK, modules, translated


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.name)
def test_the_translation_is_up_to_date(module: Path) -> None:
    made = SDK / "sync" / module.name
    assert made.read_text("utf-8") == translated(module.read_text("utf-8"))


def test_nothing_else_is_in_the_translation() -> None:
    assert sorted(path.name for path in (SDK / "sync").glob("*.py")) == [
        "__init__.py",
        *(path.name for path in modules()),
    ]
    for path in (SDK / "sync").glob("*.py"):
        if path.name != "__init__.py":
            code = re.sub(r'""".*?"""|#.*', "", path.read_text("utf-8"), flags=re.DOTALL)
            assert not re.search(r"\b(async|await|anyio|Async\w+|aclose)\b", code)


def test_both_have_the_same_verbs_with_the_same_parameters() -> None:
    fake = FakeECard()
    one, other = fake.client(), fake.async_client()
    places = ["", "claims", "links", "links.relatives", "tickets", "events", "webhooks"]
    compared = 0
    for place in places:
        mine, theirs = (_at(client, place) for client in (one, other))
        names = {{"aclose": "close"}.get(name, name) for name in dir(theirs) if not name.startswith("_")}
        assert names == {name for name in dir(mine) if not name.startswith("_")}
        for name in names:
            found, match = getattr(mine, name), getattr(theirs, {"close": "aclose"}.get(name, name))
            if inspect.ismethod(found):
                signature, same = inspect.signature(found), inspect.signature(match)
                assert list(signature.parameters) == list(same.parameters), name
                compared += 1
    assert compared > 15
    assert isinstance(one, ECardClient)
    assert isinstance(other, AsyncECardClient)


def _at(client: object, place: str) -> object:
    for name in filter(None, place.split(".")):
        client = getattr(client, name)
    return client
