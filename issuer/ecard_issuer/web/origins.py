"""One listener for several issuers: which of them a request is for."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from ecard_issuer.deployment import DEFAULT_PORTS, host_of
from ecard_verifier.web.middleware import Guard
from ecard_verifier.web.problems import problem


class ByOrigin:
    """An ASGI application that hands each request to the issuer whose origin its `Host` names (RFC 9110 §7.2).

    Only configured names count: a `Host` that is none of them, missing or there twice is answered 421
    `unknown_origin`, and never finds its way into an answer. Start and stop are the main application's.

    `by_any_name`: the main application answers to every other name too, as an issuer does that is alone; so a test
    issuer beside it changes nothing for those who reach it through a tunnel or a proxy of another name.
    """

    def __init__(self, apps: Mapping[str, ASGIApp], main: ASGIApp, *, by_any_name: bool = False) -> None:
        self._apps = {host_of(origin): app for origin, app in apps.items()}
        self._main = main
        self._otherwise = main if by_any_name else Guard(_misdirected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._main(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        named = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        default = DEFAULT_PORTS.get(str(scope.get("scheme", "")), "")
        app = self._apps.get(named) or self._apps.get(named.removesuffix(default) if default else named)
        await (app or self._otherwise)(scope, receive, send)


async def _misdirected(scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(scope, 421, "unknown_origin", "no issuer of this deployment has the name in Host")
    await response(scope, receive, send)
