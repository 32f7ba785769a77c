"""`ecard listen`: what it refuses before it asks anybody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ecard_card.errors import InvalidInput
from ecard_sdk.relay import Relay
from ecard_sdk.testing import FakeECard


@pytest.mark.parametrize("address", ["", "hook", "ftp://127.0.0.1/hook", "http:///hook", "http://[::1/hook"])
def test_a_receiver_has_an_http_address_and_may_be_on_this_machine(address: str) -> None:
    """The code's text speaks of a setting, not of public addresses: those are asked for where the authority sends."""
    with FakeECard().client() as client, pytest.raises(InvalidInput) as refused:
        Relay(client, None, address, lambda: datetime.now(UTC))  # type: ignore[arg-type]  # never reached
    assert refused.value.code == "bad_setting"
    assert "http://127.0.0.1:8000/hook" in refused.value.detail
