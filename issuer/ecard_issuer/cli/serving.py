"""What `ecard serve` does: one process with the issuer, a verifier, or both."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ecard_card.errors import InvalidInput, Unavailable
from ecard_card.jose import b64url_encode
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.cli.common import show, talk
from ecard_issuer.cli.connections import BACKLOG, Connection, listening, most_connections
from ecard_issuer.config import load
from ecard_issuer.operators import TOKEN_PREFIX
from ecard_issuer.web.app import create_app
from ecard_issuer.web.embedded import embed
from ecard_verifier.config import VerifierSettings, load_settings
from ecard_verifier.web.assemble import assemble
from ecard_verifier.web.auth import COUNTER, token_hash

_GRACE_SECONDS = 3


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C. What the process writes is for its own user only."""
    if args.offline is not None and args.service != "verifier":
        raise InvalidInput("bad_usage", "--offline goes with `serve verifier`")
    os.umask(0o077)
    return _serve_verifier(args) if args.service == "verifier" else _serve_issuer(args)


def _serve_issuer(args: argparse.Namespace) -> int:
    settings = load(data_dir=args.data_dir, host=args.host, port=args.port)
    with listening(settings.host, settings.port) as listener:
        issuer = build(settings.having(port=listener.getsockname()[1]), say=talk)
        first = issuer.operators.first(issuer.clock())
        if first is not None:
            talk(f"Operator token, shown this once: {first.token}")
        if args.service == "issuer":
            app, what = _issuer_app(issuer), "issuer"
        else:
            app, what = embed(issuer).app, "issuer and verifier"
        _announce(args, what, listener, issuer.identity.issuer)
        _serve(app, listener, before_exit=issuer.hub.close)
    return 0


def _issuer_app(issuer: Issuer) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        issuer.start()
        try:
            yield
        finally:
            issuer.stop()

    return create_app(issuer, lifespan=lifespan)


def _serve_verifier(args: argparse.Namespace) -> int:
    settings = _verifier_settings(args)
    with listening(settings.host, settings.port) as listener:
        verifier = assemble(settings)
        _announce(args, "verifier", listener, None)
        _serve(verifier.app, listener, before_exit=lambda: None)
    return 0


def _verifier_settings(args: argparse.Namespace) -> VerifierSettings:
    """The environment's, over which the command line goes; without a file of callers, the first start makes one."""
    environ = dict(os.environ)
    given = {"DATA": args.data_dir, "HOST": args.host, "PORT": args.port, "BUNDLE": args.offline}
    environ.update({f"ECARD_VERIFIER_{name}": str(value) for name, value in given.items() if value is not None})
    data = Path(environ.setdefault("ECARD_VERIFIER_DATA", "data/verifier"))
    if "ECARD_VERIFIER_TOKENS" not in environ and "ECARD_CONFIG" not in environ:
        environ["ECARD_VERIFIER_TOKENS"] = str(_first_callers(data))
    return load_settings(environ)


def _first_callers(data: Path) -> Path:
    path = data / "tokens.json"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            token = TOKEN_PREFIX + b64url_encode(secrets.token_bytes(32))
            caller = {"name": "first counter", "role": COUNTER, "sha256": token_hash(token)}
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump({"format": "ecard-tokens/1", "tokens": [caller]}, file)
            talk(f"Counter token, shown this once: {token}")
    except OSError:
        raise Unavailable("data_dir_unusable", "the data directory cannot be written") from None
    return path


def _announce(args: argparse.Namespace, what: str, listener: socket.socket, issuer: str | None) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - comparing only
    base = f"http://{shown}:{port}"
    urls = {"base": base, "docs": f"{base}/docs", "ready": f"{base}/health/ready"}
    if issuer is not None:
        urls["issuer"] = issuer
    show(args, {"service": what, "urls": urls, "pid": os.getpid()}, f"e-card {what} at {base}", f"API: {base}/docs")
    sys.stdout.flush()
    if issuer is not None and issuer != base:
        talk(f"The credentials name {issuer} as their issuer; verifiers must reach this service there.")


class _Server(uvicorn.Server):
    """A server whose endless answers end when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, before_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_exit = before_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._before_exit()


def _serve(app: FastAPI, listener: socket.socket, before_exit: Callable[[], None]) -> None:
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=most_connections(),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # The server raises the signal again when it has ended; by then it has been obeyed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config, before_exit).run(sockets=[listener])
    talk(f"stopped at {datetime.now(UTC).isoformat(timespec='seconds')}")
