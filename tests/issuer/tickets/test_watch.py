"""Who waits for news hears of their own card, and of everything where they could have missed it."""

from __future__ import annotations

import asyncio
import json

import pytest

from ecard_card import jose
from ecard_issuer.feed_hub import FeedHub
from ecard_issuer.rows import FeedRow
from ecard_issuer.tickets.watch import Watch
from tests.contracts.register_world import NOW

LIST = "https://issuer.example/status-lists/1"


def row(seq: int, token: str) -> FeedRow:
    return FeedRow("0", seq, f"{seq:04}", token, NOW)


def event(seq: int, about: object) -> FeedRow:
    body = jose.b64url_encode(json.dumps({"events": {"type": about}}).encode())
    return row(seq, f"e30.{body}.sig")


def changed(seq: int, index: int) -> FeedRow:
    return event(seq, {"status": 2, "status_list": {"uri": LIST, "idx": index}})


def test_a_page_hears_of_its_own_card_only() -> None:
    async def scene() -> None:
        hub = FeedHub(0)
        watch = Watch(hub)
        with watch.bell("a", (LIST, 7)) as own, watch.bell("b", (LIST, 8)) as other, watch.bell("c", None) as anything:
            hub.publish([changed(1, 9)])
            await asyncio.sleep(0)
            assert (own.is_set(), other.is_set(), anything.is_set()) == (False, False, True)
            hub.publish([changed(2, 7), event(3, {"version": 4})])
            await asyncio.sleep(0)
            assert (own.is_set(), other.is_set()) == (True, False)
            own.clear()
            watch.ended("b")
            await asyncio.sleep(0)
            assert (own.is_set(), other.is_set()) == (False, True)
            assert watch.waiting == 3
        assert watch.waiting == 0
        hub.publish([changed(4, 7)])

    asyncio.run(scene())


@pytest.mark.parametrize("token", ["", "x.y.z", "e30.e30.sig", "e30.W10.sig"])
def test_what_is_no_event_of_ours_wakes_nobody(token: str) -> None:
    async def scene() -> None:
        hub = FeedHub(0)
        with Watch(hub).bell("a", None) as anything:
            hub.publish([row(1, token)])
            await asyncio.sleep(0)
            assert not anything.is_set()

    asyncio.run(scene())


def test_a_feed_too_quick_to_follow_and_its_end_wake_everybody() -> None:
    async def scene() -> None:
        hub = FeedHub(0, tail=2)
        watch = Watch(hub)
        with watch.bell("a", (LIST, 7)) as own:
            hub.publish([changed(seq, 9) for seq in range(1, 6)])
            await asyncio.sleep(0)
            assert own.is_set()
            own.clear()
            hub.close()
            await asyncio.sleep(0)
            assert own.is_set()
            assert watch.closed

    asyncio.run(scene())
