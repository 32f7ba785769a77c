"""`ecard demo` plays the whole story with real processes, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import Unavailable
from ecard_demo import services, stage
from ecard_demo.story import Step, Story, Told
from ecard_demo.teller import Teller
from ecard_issuer.chip.simulator import ChipAuthority

STEPS = [
    "read_chip",
    "prove_chip",
    "issue",
    "show_code",
    "verify_online",
    "verify_offline",
    "replay_refused",
    "announce_key",
    "report_lost",
    "verify_after_loss",
    "found",
    "verify_after_found",
    "replace",
    "old_code_refused",
    "verify_new",
    "rotate_key",
    "verify_after_rotation",
    "key_stolen",
    "verify_after_theft",
    "cancel",
    "verify_after_cancel",
]
EXPECTED = {
    "verify_online": ("valid", "ok"),
    "verify_offline": ("valid", "ok"),
    "replay_refused": ("invalid", "replayed"),
    "verify_after_loss": ("invalid", "suspended"),
    "verify_after_found": ("valid", "ok"),
    "old_code_refused": ("invalid", "ended"),
    "verify_new": ("valid", "ok"),
    "verify_after_rotation": ("valid", "ok"),
    "verify_after_theft": ("invalid", "key_compromised"),
    "verify_after_cancel": ("invalid", "ended"),
}


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demo whose temporary directory is under `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "ecard_sdk.cli", "demo", *arguments],
        env={**os.environ, "TMPDIR": str(folder), "ECARD_DATA_DIR": str(folder / "never"), "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def served_from(folder: Path) -> list[str]:
    """Processes whose working directory is under `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(entry.readlink()).startswith(str(folder)):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    folder = tmp_path_factory.mktemp("demo")
    process = demo(folder, "--json")
    out, talk = process.communicate(timeout=120)
    assert process.returncode == 0, out + talk
    return json.loads(out), talk, folder


def test_every_step_of_the_story_is_ok_and_in_order(played: tuple[dict[str, Any], str, Path]) -> None:
    document, _, _ = played
    assert document.keys() == {"steps", "revocation_ms", "urls"}
    assert [step["name"] for step in document["steps"]] == STEPS
    for step in document["steps"]:
        assert step.keys() == {"name", "ok", "outcome", "reason", "ms"}
        assert step["ok"] is True
        assert (step["outcome"], step["reason"]) == EXPECTED.get(step["name"], (step["outcome"], "ok"))
        assert step["ms"] > 0


def test_a_lost_card_is_refused_within_a_second(played: tuple[dict[str, Any], str, Path]) -> None:
    assert 0 < played[0]["revocation_ms"] < 1000


def test_nothing_is_left_and_no_token_was_shown(played: tuple[dict[str, Any], str, Path]) -> None:
    document, talk, folder = played
    assert not list(folder.iterdir())
    assert not served_from(folder)
    assert not re.search(r"ecop_[A-Za-z0-9_-]{10}", talk + json.dumps(document))


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_services(tmp_path: Path, interruption: signal.Signals) -> None:
    process = demo(tmp_path, "--plain")
    assert process.stdout is not None
    for line in process.stdout:
        if "Issue the e-card" in line:
            break
    assert len(served_from(tmp_path)) == 2, "issuer and verifier are processes of their own"
    process.send_signal(interruption)
    rest, talk = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in rest + talk
    assert not served_from(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_service_that_does_not_start_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here somebody else has the issuer's port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(services, "_free_ports", lambda count: [taken.getsockname()[1], 0])
        running = services.running(tmp_path, ChipAuthority.create(stage.now()), stage.now())
        with pytest.raises(Unavailable, match="demo_service_failed"), running:
            pass
    assert not served_from(tmp_path)


class Screen(io.StringIO):
    """A stream that says whether a person looks at it."""

    encoding = "utf-8"

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("tty", "plain", "no_color", "coloured", "drawn"),
    [
        (True, False, "", True, True),
        (True, False, "1", False, True),
        (True, True, "", False, False),
        (False, False, "", False, True),
    ],
)
def test_colours_are_for_a_terminal_only(
    tty: bool, plain: bool, no_color: str, coloured: bool, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen(tty=tty)
    Teller.to(screen, plain=plain).step(4, Step("show_code", Told("shown", "ok", True, ("x",), "EC0:AAAA"), 1.0))
    assert ("\x1b[" in screen.getvalue()) == coloured
    assert ("█" in screen.getvalue()) == drawn


def test_a_narrow_terminal_is_told_what_it_would_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen(tty=False)
    Teller.to(screen, plain=False).step(4, Step("show_code", Told("shown", "ok", True, (), "EC0:AAAA"), 1.0))
    assert "█" not in screen.getvalue()
    assert "columns" in screen.getvalue()


def test_the_story_has_the_promised_steps() -> None:
    assert all(callable(getattr(Story, name)) for name in STEPS)
