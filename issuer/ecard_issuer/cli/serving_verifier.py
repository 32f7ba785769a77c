"""`ecard serve verifier`: a verifier by itself. Imports nothing of an issuer's register: half the time to start."""

from __future__ import annotations

import argparse
import os
from threading import Event

from starlette.types import ASGIApp

from ecard_issuer.cli.caller import new_token
from ecard_issuer.cli.common import talk
from ecard_issuer.cli.connections import listening
from ecard_issuer.cli.serving import announce, management_port, serve_until_stopped
from ecard_issuer.config import NAMES
from ecard_issuer.data_dir import DataDir
from ecard_verifier.callers import Caller, Role
from ecard_verifier.config import TOKENS_FILE, VerifierSettings, load_settings
from ecard_verifier.web.assemble import assemble
from ecard_verifier.web.auth import CallerFile
from ecard_verifier.web.management import verifier_management_app


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    settings = _verifier_settings(args)
    callers, place = CallerFile(settings.tokens), DataDir(settings.data)
    first = settings.tokens == settings.data / TOKENS_FILE and not settings.tokens.exists()
    if not first:
        callers.check()

    def claim() -> None:
        place.make()
        place.serve()

    with listening(settings.host, settings.port) as listener:
        try:
            verifier = assemble(settings, authenticate=callers, claim=claim)
            if first:
                token = new_token()
                callers.add(Caller("first counter", Role.COUNTER), token)
                talk(f"Counter token, shown this once: {token}")
            announce(args, "verifier", listener, None)

            def watched(started: Event) -> ASGIApp:
                return verifier_management_app((verifier.counters,), started.is_set, lambda: verifier.readiness().ready)

            with management_port(settings.management_host, settings.management_port, watched) as started:
                serve_until_stopped(verifier.app, listener, before_exit=lambda: None, started=started)
        finally:
            place.release()
    return 0


def _verifier_settings(args: argparse.Namespace) -> VerifierSettings:
    """The environment's, over which the command line goes."""
    given = {"DATA": args.data_dir, "HOST": args.host, "PORT": args.port, "BUNDLE": args.offline}
    typed = {f"ECARD_VERIFIER_{name}": str(value) for name, value in given.items() if value is not None}
    return load_settings({**os.environ, **typed}, NAMES)
