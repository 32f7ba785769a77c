"""What `ecard mock` does."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from ecard_card.errors import Unavailable
from ecard_issuer.cli.common import show, talk
from ecard_issuer.cli.connections import listening
from ecard_issuer.cli.serving import serve_until_stopped
from ecard_issuer.testmode.mock import Mock, open_mock
from ecard_issuer.testmode.people import MAGIC_PEOPLE, TEST_PIN
from ecard_issuer.web.embedded import embed

_HOST: Final = "127.0.0.1"


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C. What the process writes is for its own user only."""
    os.umask(0o077)
    for name in [name for name in os.environ if name.startswith("ECARD_")]:
        del os.environ[name]  # a real server's settings, or those that the last mock printed
    with listening(_HOST, args.port) as listener, tempfile.TemporaryDirectory(prefix="ecard-mock-") as folder:
        port = listener.getsockname()[1]
        mock = open_mock(Path(folder), port, key_file=args.key_file, webhooks=args.webhook, origins=args.browser_origin)
        try:
            app = embed(mock.issuer).app
            _announce(args, mock)
        except BaseException:
            mock.issuer.close()
            raise
        serve_until_stopped(app, listener, before_exit=mock.issuer.hub.close)
    return 0


def _announce(args: argparse.Namespace, mock: Mock) -> None:
    environment = mock.environment()
    lines = [f"{name}={value}" for name, value in environment.items()]
    if args.env_file is not None:
        try:
            args.env_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError:
            raise Unavailable("output_unwritable", "the file of --env-file cannot be written") from None
    people = [
        {"number": one.number, "name": one.name, "id_number": one.id_number, "outcome": one.outcome.value}
        for one in MAGIC_PEOPLE.values()
    ]
    show(args, {"environment": environment, "people": people, "pin": TEST_PIN, "pid": os.getpid()}, *lines)
    sys.stdout.flush()
    talk(f"Test authority at {environment['ECARD_BASE_URL']} (API: /docs). Nothing of it is kept.")
    for person in MAGIC_PEOPLE.values():
        talk(f"  {person.number:>2}  {person.id_number}  {person.outcome.value:<16}  {person.name}")
    talk(f"PIN {TEST_PIN}. Change a card: ecard trigger card.lost. Hear of it: ecard listen --forward-to URL")
