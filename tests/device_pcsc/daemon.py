"""A private pcscd with virtual readers: own Unix socket by socket activation, own configuration, own ports.

Nothing of the machine's own PC/SC service is touched, no privilege is needed, and several can run side by side.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PCSCD = shutil.which("pcscd") or "/usr/sbin/pcscd"
DRIVERS = (Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so"), Path("/usr/lib/pcsc/libifdvpcd.so"))
READER = "Test reader"
_LISTEN_FD = 3  # SD_LISTEN_FDS_START


def driver() -> Path | None:
    """The virtual reader driver, if it is installed."""
    return next((path for path in DRIVERS if path.exists()), None)


@dataclass(frozen=True, slots=True)
class Slot:
    """One virtual reader: its PC/SC name, and the port where a virtual card connects."""

    reader: str
    port: int


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon: its socket and its virtual readers."""

    socket_path: Path
    slots: tuple[Slot, Slot]
    pid: int
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a PC/SC client process must have set before its first context."""
        return {"PCSCLITE_CSOCK_NAME": str(self.socket_path)}


def wait_for(ready: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Poll until `ready`; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        pause.wait(0.01)


def free_port_pair() -> int:
    """A port P where P and P + 1 are free: the driver binds one for each of its two slots."""
    while True:
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError, OverflowError):
            first.bind(("", 0))
            port: int = first.getsockname()[1]
            second.bind(("", port + 1))
            return port


@contextlib.contextmanager
def running(folder: Path, library: Path, port: int | None = None) -> Iterator[Daemon]:
    """Start pcscd in `folder` (its path short: a Unix socket's is at most 107 bytes) and stop it by its pid. With the
    `port` of one that ended there it is the same service again.

    One driver entry with its two slots: the driver keeps one state per slot, so a second entry would overwrite it.
    """
    port = port or free_port_pair()
    configuration = folder / "reader.conf.d"
    configuration.mkdir(exist_ok=True)
    (configuration / "readers").write_text(
        f'FRIENDLYNAME "{READER}"\nDEVICENAME /dev/null:0x{port:04X}\nLIBPATH {library}\nCHANNELID 0x{port:04X}\n'
    )
    socket_path, log = folder / "pcscd.comm", folder / "pcscd.log"
    socket_path.unlink(missing_ok=True)
    slots = (Slot(f"{READER} 00 00", port), Slot(f"{READER} 00 01", port + 1))
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(socket_path))
        listener.listen(16)
        process = _spawn(listener, configuration, output.fileno())
    try:
        wait_for(
            lambda: process.poll() is not None or all(_listening(process.pid, slot.port) for slot in slots),
            "pcscd listens",
        )
        if process.poll() is not None:
            raise RuntimeError(f"pcscd ended: {log.read_text(errors='replace')[-2000:]}")
        yield Daemon(socket_path, slots, process.pid, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _spawn(listener: socket.socket, configuration: Path, output: int) -> subprocess.Popen[bytes]:
    """Hand the listening socket over as systemd does: descriptor 3, LISTEN_FDS and LISTEN_PID of the new process."""
    fd = listener.fileno()
    shell = f'exec {_LISTEN_FD}<&{fd}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --foreground --config "$1"'
    command = ["/bin/bash", "-c", shell, PCSCD, str(configuration)]
    return subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _listening(pid: int, port: int) -> bool:
    """Whether that process listens on `port`, by the kernel's table: connecting would count as a card."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    inodes = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    with contextlib.suppress(OSError):  # a descriptor, or the process, may go while we look
        owned = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        return any(f"socket:[{inode}]" in owned for inode in inodes)
    return False
