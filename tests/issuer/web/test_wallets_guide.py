"""What `docs/wallets.md` says of addresses, times and numbers is what the metadata and the code say."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.credential import card_type
from ecard_issuer.wallets.credential_endpoint import INTERVAL
from ecard_issuer.wallets.metadata import issuer_metadata, server_metadata
from ecard_issuer.wallets.offers import CONFIGURATION
from ecard_issuer.wallets.values import (
    BATCH_SIZE,
    CODE_LIFE,
    LINK_BATCH_SIZE,
    OFFER_LIFE,
    REQUEST_LIFE,
    REVIEW_LIFE,
    SESSION_LIFE,
    TRIES,
)

GUIDE = (Path(__file__).parents[3] / "docs/wallets.md").read_text(encoding="utf-8")
ORIGIN = "https://ecard.example"
WORDS = {1: "a", 4: "four", 5: "five", 7: "seven", 10: "ten"}


def test_every_endpoint_of_the_metadata_is_named_and_no_other() -> None:
    said = {**issuer_metadata(ORIGIN, "Example"), **server_metadata(ORIGIN)}
    endpoints = {str(url) for name, url in said.items() if name.endswith("_endpoint")}
    assert {url.removeprefix(ORIGIN) for url in endpoints} == set(re.findall(r"\| `(/wallets/[a-z]+)` \|", GUIDE))
    assert f"`<origin>{card_type(ORIGIN).removeprefix(ORIGIN)}`" in GUIDE
    assert f"`scope={CONFIGURATION}`" in GUIDE


@pytest.mark.parametrize(
    ("life", "said"),
    [
        (OFFER_LIFE, "It is good for {minutes} minutes and for one wallet"),
        (SESSION_LIFE, "The token lives {minutes} minutes"),
        (REQUEST_LIFE, "within {minutes} minutes, in the person's browser"),
        (CODE_LIFE, "is good for {minutes} minute, once"),
        (REVIEW_LIFE, f"every {INTERVAL} s, for up to {{days}} days"),
    ],
)
def test_times_are_as_the_code_has_them(life: timedelta, said: str) -> None:
    minutes = WORDS.get(int(life.total_seconds() / 60), "?")
    assert said.format(minutes=minutes, days=WORDS.get(life.days, "?")) in GUIDE


def test_numbers_are_as_the_code_has_them() -> None:
    assert f"{WORDS[TRIES].capitalize()} wrong tries" in GUIDE
    assert f"up to {WORDS[BATCH_SIZE]} keys of an offer, {WORDS[LINK_BATCH_SIZE]} where" in GUIDE
