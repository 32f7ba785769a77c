"""Asks the page's offline modules, run by Node with its WebCrypto: one process for all requests of a test."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ecard_card.errors import EcardError
from tests.require import needs_node

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors"
Request = dict[str, Any]


def ask(requests: Sequence[Request]) -> list[Any]:
    """What `tests/node/offline.mjs` answers to each request."""
    command = [needs_node(), str(ROOT / "tests/node/offline.mjs")]
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert len(answers) == len(requests)
    return list(answers)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(work: Callable[..., Any], *arguments: object) -> Any:
    """What `work` gives, or the refusal in the form in which Node answers one."""
    try:
        return work(*arguments)
    except EcardError as error:
        return {"refused": error.code}
