"""Which pages may call the routes under `/v1/sessions` from a browser: those whose origin a channel registered.

No cookie is taken or set, so nothing is gained by a page that a browser lets through; each session is bound to one
origin besides. What this adds are the headers without which a browser keeps the answer from its own page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX: Final = "/v1/sessions"
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "600",
    "Vary": "Origin",
}


class SessionCors:
    """Around the whole application; looks at nothing but the routes of sessions."""

    def __init__(self, app: ASGIApp, known: Callable[[str], bool]) -> None:
        self._app, self._known = app, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(PREFIX + "/")):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = bool(origin) and len(origin) <= 1024 and await run_in_threadpool(self._known, origin)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            named = {"Access-Control-Allow-Origin": origin, **_PREFLIGHT} if allowed else {"Vary": "Origin"}
            await Response(status_code=204 if allowed else 403, headers=named)(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if allowed:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = "Date, X-Request-Id, Idempotency-Replayed"
            await send(message)

        await self._app(scope, receive, send_named)
