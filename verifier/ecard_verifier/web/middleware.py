"""Around every request: an id, a bounded body of the right type, safe headers, and no fault without an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Collection, Mapping, MutableMapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_verifier.faults import described
from ecard_verifier.web.problems import header, problem, request_id

MAX_BODY: Final = 64 << 10
NO_PATHS: Final[Mapping[str, int]] = MappingProxyType({})
#: How many bodies beyond the usual limit are held at once: they are read before anybody knows whose they are.
MOST_LARGE: Final = 64
MAX_WAIT: Final = 20.0  # seconds for a whole body, read or thrown away
_MAX_DRAIN: Final = 16 << 20
LOGGER: Final = logging.getLogger("ecard.web")

_MAX_DEPTH: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"
_CLOSE: Final = {"Connection": "close"}
_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Guard:
    """Outermost. Gives each request its id, sets safe headers where a route has set none, and turns a fault that
    nobody handled into a problem document without detail; the log gets its type and place, never its text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        identity = given if _ID.fullmatch(given) else secrets.token_urlsafe(12)
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = identity
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [(name, value) for name, value in message.get("headers", ()) if name != b"x-request-id"]
                named = {name for name, _ in headers}
                headers.extend(one for one in _HEADERS if one[0] not in named)
                message["headers"] = [*headers, (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:  # noqa: BLE001 - the edge: whatever is left ends here
            LOGGER.error("internal fault, request %s: %s", identity, described(error))
            if started:
                raise ConnectionError("the answer had begun") from None
            await problem(scope, 500, "internal_fault")(scope, receive, send_safely)


class BodyLimit:
    """Reads a body of at most `limit` bytes, within `patience` seconds, before anything else sees it; else 413 or 408.

    `larger` names the paths, as patterns of the whole path, that take more: those of files. Of such bodies `MOST_LARGE`
    are held at once, and beyond that the answer is 503. `forms` names the paths, likewise, whose bodies are HTML forms,
    as OAuth has them, and nothing else.

    415 for a foreign media type, and 422 for JSON that two readers may read in two ways: members named twice, another
    encoding than UTF-8, NaN. What stops the server meanwhile is 503: nothing was done yet.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int = MAX_BODY,
        media_types: Collection[str] = ("application/json",),
        patience: float = MAX_WAIT,
        larger: Mapping[str, int] = NO_PATHS,
        forms: Collection[str] = (),
    ) -> None:
        self._app, self._limit, self._media_types, self._patience = app, limit, media_types, patience
        self._larger = [(re.compile(pattern), most) for pattern, most in larger.items()]
        self._forms = [re.compile(pattern) for pattern in forms]
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, encoded = "", False
        if scope["type"] == "http":
            length = header(scope, b"content-length")
            encoded = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        if (not length.isdigit() or int(length) == 0) and not encoded:
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        if length.isdigit() and (len(length) > 18 or int(length) > limit):
            await self._too_large(scope, receive, send)
            return
        if limit == self._limit or (not encoded and int(length) <= self._limit):
            await self._bounded(scope, receive, send, limit)
            return
        if self._large >= MOST_LARGE:
            await problem(scope, 503, "service_unavailable", headers=_CLOSE)(scope, receive, send)
            return
        self._large += 1
        try:
            await self._bounded(scope, receive, send, limit)
        finally:
            self._large -= 1

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        media_type = header(scope, b"content-type").partition(";")[0].strip().lower()
        if media_type not in self._media_types_of(scope["path"]):
            await problem(scope, 415, "unsupported_media_type")(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._patience):
                body, more = await self._read(receive, limit)
        except TimeoutError:
            await problem(scope, 408, "invalid_request", "the body did not arrive in time", _CLOSE)(
                scope, receive, send
            )
            return
        except asyncio.CancelledError:
            await problem(scope, 503, "service_unavailable", headers=_CLOSE)(scope, receive, send)
            return
        if body is None:
            return  # gone before the body was whole
        if len(body) > limit:
            await self._too_large(scope, receive, send, more)
            return
        if media_type.endswith("json") and _ambiguous(body, limit):
            await problem(scope, 422, "invalid_request", "JSON that can be read in two ways")(scope, receive, send)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    def _media_types_of(self, path: str) -> Collection[str]:
        return (_FORM,) if any(pattern.fullmatch(path) for pattern in self._forms) else self._media_types

    def _limit_of(self, path: str) -> int:
        return next((most for pattern, most in self._larger if pattern.fullmatch(path)), self._limit)

    async def _read(self, receive: Receive, limit: int) -> tuple[bytes | None, bool]:
        """The body, up to just beyond the limit, and whether there is more of it; None if the sender went away."""
        body, more = b"", True
        while more and len(body) <= limit:
            message = await receive()
            if message["type"] != "http.request":
                return None, False
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body, more

    async def _too_large(self, scope: Scope, receive: Receive, send: Send, more: bool = True) -> None:
        # Whoever is still writing would lose the answer with the connection: let them finish, within bounds.
        thrown_away = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while more and thrown_away < _MAX_DRAIN:
                    message = await receive()
                    thrown_away += len(message.get("body", b""))
                    more = message["type"] == "http.request" and message.get("more_body", False)
        LOGGER.info("a body that is too large, request %s", request_id(scope))
        await problem(scope, 413, "body_too_large", headers=_CLOSE)(scope, receive, send)


def _ambiguous(body: bytes, limit: int) -> bool:
    """Whether this is JSON, but not to every reader the same. What is no JSON at all is the application's to refuse."""
    try:
        jose.parse_json(body, limit=limit, max_depth=_MAX_DEPTH)
    except InvalidInput:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
        return True
    return False
