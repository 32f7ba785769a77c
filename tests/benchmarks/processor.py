"""What processes spend of the processor, from `/proc`."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def spent(roots: Collection[int]) -> float:
    """Seconds of the processor that these processes, their children that live and those that have ended took so far."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(folder.name) in roots or int(fields[1]) in roots:
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS
