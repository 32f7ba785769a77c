"""Processes of the tests of faults, forked from one that has loaded what they need: to load it for each of a hundred
took nine tenths of their time. Each is a process like any other: it can be killed, and says how it ended."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Final

#: One per process of pytest, and so the list is for all who use it.
CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "ecard_issuer.assembly",
        "ecard_issuer.web.app",
        "ecard_sdk.webhooks",
        "ecard_verifier.web.assemble",
        "uvicorn",
        "tests.faults.issuing_child",
        "tests.faults.reissue_child",
    ]
)


def forked(work: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """A process that does `work`, started."""
    process = CONTEXT.Process(target=work, args=arguments)
    process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Wait for its end; its exit status, or the negative number of the signal that ended it."""
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode
