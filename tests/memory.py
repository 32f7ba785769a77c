"""How much memory a program has held at most, of its own: `getrusage` keeps the peak of what the process was before."""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def peak_kib() -> int:
    """The most that this process has held since it started, or since `forget_peak`."""
    (line,) = (line for line in (_SELF / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def forget_peak() -> None:
    """From now on the peak is counted anew, from what is held now (proc(5), `clear_refs`)."""
    (_SELF / "clear_refs").write_text("5")
