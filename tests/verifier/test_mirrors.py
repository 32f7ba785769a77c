"""Several feeds as one: each issuer's cards are as certain as its own feed, and never more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card import cwt
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import CredentialIssued, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.mirrors import Mirrors
from ecard_verifier.statuses import StatusReading
from tests.verifier.feed_kit import beat, believed, caught_up, change, signed
from tests.world import NOW, World, seconds

EAST = World(issuer="https://east.example", status_uri="https://east.example/status-lists/{list}")
WEST = World(issuer="https://west.example", status_uri="https://west.example/status-lists/{list}")


def uri(world: World) -> str:
    return world.status_uri.replace("{list}", "1")


class Lists:
    """Signed lists of anybody."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, uri: str, index: int) -> StatusReading:
        self.asked.append(uri)
        return StatusReading(0, 7, 8)


@pytest.fixture
def worlds() -> tuple[World, World]:
    """Two issuers whose feeds are still empty."""
    return replace(EAST), replace(WEST)


def test_each_reading_has_the_age_of_its_own_feed(worlds: tuple[World, World]) -> None:
    east, west = worlds
    both = Mirrors([caught_up(east), caught_up(west)])
    later = NOW + timedelta(seconds=30)
    (quiet, lively) = both
    lively.apply(verify_event(beat(west, 0, later), west.trust(), later))
    assert (both.read(uri(east), 7).as_of, both.read(uri(west), 7).as_of) == (seconds(NOW), seconds(later))
    assert both.as_of == quiet.as_of == seconds(NOW)


def test_a_loss_in_one_province_is_a_loss_there_only(worlds: tuple[World, World]) -> None:
    east, west = worlds
    both = Mirrors([caught_up(east), mirror := caught_up(west)])
    mirror.apply(believed(west, signed(west, change(west, EcardStatus.SUSPENDED), 1)))
    assert (both.read(uri(west), 7).value, both.read(uri(east), 7).value) == (EcardStatus.SUSPENDED, EcardStatus.VALID)


def test_lists_answer_for_who_is_not_followed_or_not_caught_up_and_for_nobody_else(worlds: tuple[World, World]) -> None:
    east, west = worlds
    lists, new = Lists(), Mirror(issuer=west.issuer)
    both = Mirrors([caught_up(east), new], lists)
    assert both.as_of is None, "one that was never heard"
    both.read(uri(east), 7)
    assert lists.asked == []
    assert both.read(uri(west), 7).as_of == 7
    both.read("https://third.example/status-lists/1", 7)
    assert lists.asked == [uri(west), "https://third.example/status-lists/1"]
    caught_up(west, new)
    both.read(uri(west), 7)
    assert len(lists.asked) == 2


def test_without_lists_an_unknown_issuer_is_unknown(worlds: tuple[World, World]) -> None:
    with pytest.raises(EcardError, match="status_unknown"):
        Mirrors([caught_up(worlds[0])]).read(uri(worlds[1]), 7)


def test_an_unknown_reference_is_no_card_only_while_every_feed_is_live(worlds: tuple[World, World]) -> None:
    east, west = worlds
    one, other = caught_up(east), caught_up(west)
    both = Mirrors([one, other])
    compact = west.compact(west.credential(DeviceKey.generate()))
    other.apply(believed(west, signed(west, CredentialIssued(compact), 1)))
    other.apply(believed(west, beat(west, 1, NOW + timedelta(seconds=1))))
    assert both.get(bytes(16)) is None
    one.disconnected()
    with pytest.raises(EcardError, match="mirror_behind"):
        both.get(bytes(16))
    assert both.get(cwt.parse(compact).credential_id) == compact, "what is known needs nobody else"


def test_a_reference_that_two_issuers_claim_is_nobodys(worlds: tuple[World, World]) -> None:
    reference, mirrors = bytes(range(16)), []
    for world in worlds:
        mirror = caught_up(world)
        compact = world.compact(world.credential(DeviceKey.generate(), credential_id=reference))
        mirror.apply(believed(world, signed(world, CredentialIssued(compact), 1)))
        mirrors.append(mirror)
    with pytest.raises(EcardError, match="credential_ambiguous"):
        Mirrors(mirrors).get(reference)
