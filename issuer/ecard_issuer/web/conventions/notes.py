"""What a route's dependencies leave for its answer, and the middleware that heeds it.

A route that returns its own response has no other way to let a dependency add a header, and only out here is an answer
seen as it will be sent, problem documents included.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecard_card.errors import EcardError
from ecard_issuer.idempotency.answers import KeptAnswer, Run, is_kept
from ecard_issuer.idempotency.requests import IdempotentRequests

#: What of an answer's headers is kept with it; the others are made anew for each answer.
_KEPT: Final = ("content-type", "content-language", "location", "link", "etag")
_STATE: Final = "conventions"
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Notes:
    """For one request. `headers` are added to the answer; `quota` too, unless others than the caller may be given the
    answer; `run` is ended by the answer."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    quota: list[tuple[str, str]] = field(default_factory=list)
    run: Run | None = None


def notes_of(request: Request) -> Notes:
    """Those of this request."""
    notes: Notes = request.scope["state"][_STATE]
    return notes


class Answering:
    """Outside of everything else, so that it sees each answer as it leaves. One that ends a run is held back until it
    is kept: who has seen it can have it again."""

    def __init__(self, app: ASGIApp, requests: IdempotentRequests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        notes = scope.setdefault("state", {})[_STATE] = Notes()
        held: list[Message] = []

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                shared = "max-age" in headers.get("cache-control", "")
                for name, value in (*notes.headers, *([] if shared else notes.quota)):
                    headers.append(name, value)
            if notes.run is None:
                await send(message)
                return
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await run_in_threadpool(self._end, notes.run, held)
                for each in held:
                    await send(each)

        await self._app(scope, receive, send_noted)

    def _end(self, run: Run, held: list[Message]) -> None:
        """Keep the answer, or free the key. Where that fails, the work is done all the same and its answer goes out."""
        status: int = held[0]["status"]
        headers = Headers(scope=held[0])
        body = b"".join(message.get("body", b"") for message in held[1:])
        kept = tuple((name, headers[name]) for name in _KEPT if name in headers)
        try:
            if is_kept(status, _code(headers, body), len(body)):
                self._requests.finish(run, KeptAnswer(status, kept, body))
            else:
                self._requests.abandon(run)
        except EcardError as error:
            _log.warning("an answer could not be kept, request %s: %s", headers.get("x-request-id", ""), error.code)


def _code(headers: Headers, body: bytes) -> str:
    """Of a problem document, else empty."""
    if headers.get("content-type") != "application/problem+json":
        return ""
    code: str = json.loads(body)["code"]
    return code


def install_answering(app: FastAPI, requests: IdempotentRequests) -> None:
    """Must be the last middleware that is added: then it is the outermost."""
    app.add_middleware(Answering, requests=requests)
