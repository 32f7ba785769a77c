"""The plugin gives its fixtures, and costs a project that does not use them next to nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from ecard_sdk import ECardClient
from ecard_sdk.channel_models import EventType
from ecard_sdk.testing import FakeECard


def test_the_fixtures_are_there(ecard_fake: FakeECard, ecard_client: ECardClient) -> None:
    person = ecard_client.identify(id_number="00009919900101001X", name="测试一")
    assert person.cards[0].claimable
    assert len(ecard_fake.requests) == 3


def test_it_is_found_by_its_entry_point_and_imports_nothing_heavy() -> None:
    assert entry_points(group="pytest11")["ecard"].value == "ecard_sdk.pytest_plugin"
    program = (
        "import pytest, sys; old = set(sys.modules); import ecard_sdk.pytest_plugin; print(*set(sys.modules) - old)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    new = {name for name in done.stdout.split() if name.split(".")[0] in ("ecard_sdk", "httpx2", "cryptography")}
    assert new <= {"ecard_sdk", "ecard_sdk.pytest_plugin"}


def test_a_cancelled_card_ends_its_links(ecard_fake: FakeECard, ecard_client: ECardClient) -> None:
    person = next(iter(ecard_fake.authority.people.values()))
    link = ecard_fake.authority.make_link(ecard_client.app_id, person)
    ecard_fake.authority.change(person, EventType.CARD_CANCELLED)
    assert [str(event.type) for event in ecard_client.events.list()] == [
        "link.claimed",
        "card.cancelled",
        "link.released",
    ]
    assert ecard_client.links.get(link.link_id).end == "card_ended"
