"""Which requests the agent answers at all: those that name this machine as their host and come from an allowed page.

A page anywhere can send requests to 127.0.0.1, and a name of its own may resolve there (DNS rebinding). So the `Host`
must be ours and the `Origin`, which browsers set and pages cannot, exactly one that the settings allow. Nothing else
gets an answer that a page could read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecard_card import errors, messages

PROTOCOL: Final = "ecard-desk.1"
_TOKEN: Final = "ecard-token."  # noqa: S105 - the name of the place, not a token
_MAX_TOKEN: Final = 64
_SAFE: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_STATUS: Final[tuple[tuple[type[errors.EcardError], int], ...]] = (
    (errors.InvalidInput, 400),
    (errors.NotAuthenticated, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.ChipFault, 422),
    (errors.RateLimited, 429),
)


def refusal(code: str, status: int, detail: str = "", accepted: str = "") -> Response:
    """A problem document (RFC 9457) as the services' are."""
    language = messages.language(accepted)
    content = {
        "type": f"/problems/{code}",
        "title": messages.text(code, language),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(content, status, media_type="application/problem+json")


def answer_of(error: errors.EcardError, accepted: str = "") -> Response:
    """The refusal that an error of ours is; 503 for what is our own fault."""
    of_kind = next((status for kind, status in _STATUS if isinstance(error, kind)), 503)
    status = 413 if error.code == "body_too_large" else of_kind
    response = refusal(error.code, status, error.detail, accepted)
    if isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


class Gate:
    """Outermost. Passes on, with `origin` and `token` in the scope's state, what comes from an allowed page.

    Others get 421 `desk_host_wrong` or 403 `desk_origin_refused`, without any header that would let a page read it. A
    preflight (Fetch, CORS; Private Network Access) is answered here.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], port: int) -> None:
        self._app, self._origins = app, frozenset(origins)
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _single(scope)
        origin = headers.get("origin", "")
        if headers.get("host", "") not in self._hosts:
            await _refuse(scope, receive, send, refusal("desk_host_wrong", 421))
        elif origin not in self._origins:
            await _refuse(scope, receive, send, refusal("desk_origin_refused", 403))
        elif scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _dressed(send, origin)(_started(204, _preflight(headers)))
            await send({"type": "http.response.body", "body": b""})
        else:
            state: dict[str, Any] = scope.setdefault("state", {})
            state["origin"], state["token"] = origin, _token(scope, headers)
            await self._app(scope, receive, _dressed(send, origin))


def _single(scope: Scope) -> Mapping[str, str]:
    """The headers that stand there once: what is there twice counts as missing."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        if key in found:
            twice.add(key)
        found[key] = value.decode("latin-1")
    return {name: value for name, value in found.items() if name not in twice}


def _token(scope: Scope, headers: Mapping[str, str]) -> str:
    """From `Authorization`, or for a WebSocket, whose page can set no header, from its list of protocols."""
    if scope["type"] == "websocket":
        offered = scope.get("subprotocols", ())
        return next((part[len(_TOKEN) :][:_MAX_TOKEN] for part in offered if part.startswith(_TOKEN)), "")
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip()[:_MAX_TOKEN] if scheme.lower() == "bearer" else ""


def _preflight(headers: Mapping[str, str]) -> dict[str, str]:
    answer = {
        "Access-Control-Allow-Methods": "GET, POST, DELETE",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "600",
    }
    if headers.get("access-control-request-private-network") == "true":
        answer["Access-Control-Allow-Private-Network"] = "true"
    if headers.get("access-control-request-local-network") == "true":
        answer["Access-Control-Allow-Local-Network"] = "true"
    return answer


def _started(status: int, headers: Mapping[str, str]) -> Message:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _dressed(send: Send, origin: str) -> Send:
    extra = {**_SAFE, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in extra.items()]

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *pairs]}
        await send(message)

    return dressed


async def _refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    response.headers.update(_SAFE)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await response(scope, receive, send)
