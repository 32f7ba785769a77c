"""The command `ecard` with its modules loaded beforehand: each call is a fork of one process.

A guide of a hundred and fifty commands would else spend minutes on starting Python. What runs is the same `main`, with
the caller's arguments, environment, folder and streams; only new key files ask for half the work.
`python -m tests.journeys.warm_ecard SOCKET` serves until its standard input ends; `CLIENT` is the text of the program
that stands in for `ecard`.

A caller whose `GUIDE_CLOCK` names a file lives so many seconds ahead as stand in that file.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_LONGEST = 1 << 20

CLIENT: Final = """#!{python} -IS
import json, os, socket, sys
umask = os.umask(0)
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), umask]).encode()
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
socket.send_fds(link, [len(call).to_bytes(4, "big")], [0, 1, 2])
link.sendall(call)
sys.exit(int.from_bytes(link.recv(1) or b"\\x7f", "big"))
"""


def serve(path: str) -> None:
    """Answer calls at the socket `path` until standard input ends."""
    from ecard_issuer import deployment
    from ecard_issuer.approval_answers import approval_answer  # noqa: F401 - loaded for the commands
    from ecard_issuer.cli import serving_issuer, serving_verifier  # noqa: F401
    from ecard_issuer.cli.key_table import lines_of  # noqa: F401
    from ecard_keys.homes import encrypted_file
    from ecard_sdk.cli import command_line, main

    command_line()
    encrypted_file.SCRYPT_N = 1 << 14
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as ready:
        listener.bind(path)
        listener.listen()
        ready.register(listener, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        while all(key.fileobj is listener for key, _ in ready.select()):
            link, _ = listener.accept()
            if os.fork() == 0:
                _answer(link, main, deployment.build_all)
            link.close()


def _answer(link: socket.socket, main: Callable[[list[str]], int], build_all: Callable[..., object]) -> None:
    """In the child: be the caller's command, tell its exit status, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(link, 4, 3)
    call, size = b"", int.from_bytes(head, "big")
    while len(call) < size:
        call += link.recv(_LONGEST)
    arguments, folder, environment, umask = json.loads(call)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.umask(umask)
    if clock := environment.get("GUIDE_CLOCK"):
        ahead = timedelta(seconds=int(Path(clock).read_text()))
        defaults = build_all.__kwdefaults__
        assert defaults is not None
        assert "clock" in defaults
        defaults["clock"] = lambda: datetime.now(UTC) + ahead
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - this child must not go on as its parent
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    link.sendall(bytes([status]))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
