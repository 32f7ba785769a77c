"""The command `ecard`, run to its end: a process of its own, forked from one that has loaded every command."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
_PATIENCE: Final = 60.0  # seconds


def ecard(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run it with `settings` in the environment and no other `ECARD_*`. Exit status 127: it broke down."""
    umask = os.umask(0)
    os.umask(umask)
    environment = _clean() | {"LC_ALL": "C"} | settings
    call = json.dumps([arguments, os.getcwd(), environment, umask]).encode()
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
        socket.socket(socket.AF_UNIX) as link,
    ):
        link.settimeout(_PATIENCE)
        link.connect(_warm())
        streams = [file.fileno() for file in (nothing, out, errors)]
        socket.send_fds(link, [len(call).to_bytes(4, "big")], streams)
        link.sendall(call)
        status = int.from_bytes(link.recv(1) or b"\x7f", "big")
        said = [(file.seek(0), file.read().decode())[1] for file in (out, errors)]
    return subprocess.CompletedProcess(["ecard", *arguments], status, *said)


@cache
def _warm() -> str:
    """Where that process listens; started once for each process of pytest, and ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="ecard-warm-"))
    place = str(folder / "socket")
    command = [sys.executable, "-m", "tests.journeys.warm_ecard", place]
    process = subprocess.Popen(command, cwd=ROOT, env=_clean(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(process.wait, 10)
    atexit.register(process.stdin.close)
    assert process.stdout.readline() == b"ready\n"
    return place


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
