"""`ecard mock` as a developer starts it: a process of its own, for a module's tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def mock_running(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """The environment that it prints. It is gone afterwards."""
    command = [
        sys.executable,
        "-m",
        "ecard_sdk.cli",
        "mock",
        "--json",
        "--env-file",
        str(folder / "ecard.env"),
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder) as process:
        assert process.stdout is not None
        try:
            yield json.loads(_document(process.stdout))["environment"]
        finally:
            process.terminate()
            process.wait(30)


def _document(stream: IO[str]) -> str:
    """The JSON document at the beginning of a stream that stays open."""
    text = ""
    for line in stream:
        text += line
        try:
            json.loads(text)
        except ValueError:
            continue
        return text
    raise AssertionError(f"ecard mock said: {text}")
