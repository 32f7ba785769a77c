"""`ecard serve` and `ecard serve issuer`: one process with the issuers of the settings, and a verifier beside them."""

from __future__ import annotations

import argparse
import os
from threading import Event

from starlette.types import ASGIApp

from ecard_issuer.cli.common import first_operator, talk
from ecard_issuer.cli.connections import listening
from ecard_issuer.cli.serving import announce, management_port, serve_until_stopped
from ecard_issuer.config import NAMES, load
from ecard_issuer.deployment import build_all
from ecard_issuer.web.embedded import embed_all, issuers_app
from ecard_issuer.web.management import management_app
from ecard_verifier.config import load_embedded
from ecard_verifier.counters.assembly import Counters


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    settings = load(data_dir=args.data_dir, host=args.host, port=args.port)
    beside = load_embedded(os.environ, NAMES) if args.service is None else None
    with listening(settings.host, settings.port) as listener:
        deployment = build_all(settings.having(port=listener.getsockname()[1]), serve=True, say=talk, with_test=True)
        for issuer in deployment.issuers:
            first_operator(issuer)
        if deployment.test is not None:
            first_operator(deployment.test, "Operator token of the test issuer")
        app: ASGIApp
        counters: tuple[Counters, ...] = ()
        if beside is None:
            app, what = issuers_app(deployment), "issuer"
        else:
            embedded = embed_all(deployment, beside)
            app, what, counters = embedded.app, "issuer and verifier", (embedded.verifier.counters,)

        def watched(started: Event) -> ASGIApp:
            return management_app(deployment.issuers, started.is_set, counters)

        with management_port(settings.management_host, settings.management_port, watched) as started:
            announce(args, what, listener, deployment.main.identity.issuer)
            for hosted in deployment.issuers[1:]:
                talk(f"Also issuer {hosted.identity.issuer}, by requests for that host")
            if deployment.test is not None:
                talk(f"Test issuer {deployment.test.identity.issuer}, with keys, people and roots of its own")
            serve_until_stopped(app, listener, before_exit=deployment.end_feeds, started=started)
    return 0
