"""What a test needs beyond the Python packages: skip with one clear line, or fail where everything is required."""

from __future__ import annotations

import os

import pytest


def require(condition: bool, what: str, install: str) -> None:
    """Skip the calling test unless `condition`; with `ECARD_REQUIRE_ALL=1` (CI) a skip is a failure."""
    if condition:
        return
    message = f"{what} not found: {install}"
    if os.environ.get("ECARD_REQUIRE_ALL") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
