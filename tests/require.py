"""What a test needs beyond the Python packages: skip with one clear line, or fail where everything is required."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[1]
_NPM: Final = "apt-get install nodejs npm, then make component"


def require(condition: bool, what: str, install: str) -> None:
    """Skip the calling test unless `condition`; with `ECARD_REQUIRE_ALL=1` (CI) a skip is a failure."""
    if condition:
        return
    message = f"{what} not found: {install}"
    if os.environ.get("ECARD_REQUIRE_ALL") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def needs_node() -> str:
    """Node's command, for a test that runs scripts of `tests/node/` or `sdk/web/`; their packages are installed."""
    node = shutil.which("node")
    require(node is not None and (_ROOT / ".venv" / "node-ready").exists(), "node with the locked packages", _NPM)
    return str(node)


def needs_component() -> Path:
    """The folder of the built browser component."""
    built = _ROOT / "issuer" / "ecard_issuer" / "web" / "built"
    require((built / "ecard-code.js").exists(), "the built browser component", _NPM)
    return built


def needs_counter_page() -> Path:
    """The folder of the built page of a counter."""
    built = _ROOT / "verifier" / "ecard_verifier" / "web" / "built"
    require((built / "index.html").exists(), "the built page of the counter", _NPM)
    return built


def needs_chromium() -> str:
    """Chromium's command, for `executable_path` of Playwright. Chinese texts need `fonts-noto-cjk` too."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    require(found is not None, "chromium", "apt-get install chromium fonts-noto-cjk")
    return str(found)
