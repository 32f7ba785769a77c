"""The agent's HTTP and WebSocket interface, for the desk page alone. docs/desk.md describes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from importlib.metadata import version
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput, NotAuthenticated
from ecard_issuer.desk.acts import Acts, card_facts
from ecard_issuer.desk.gate import PROTOCOL, Gate, answer_of, refusal
from ecard_issuer.desk.pairing import PairingDesk, PairingFile
from ecard_issuer.desk.readers import News, ReaderWatch, Shown

MAX_BODY: Final = 2048
MAX_SOCKETS: Final = 16
_PATIENCE: Final = 5.0  # seconds for a body
_WORKERS: Final = 8
_QUEUE: Final = 64  # news that a page may lag behind
_LOGGER: Final = logging.getLogger("ecard.desk")
_T = TypeVar("_T")
Handler = Callable[[Request], Awaitable[Response]]


class DeskAgent:
    """One machine's agent: the watch over its readers, the acts, the pages that are paired and listening."""

    def __init__(
        self,
        pairings: PairingFile,
        pairing: PairingDesk,
        *,
        watch: Callable[[Callable[[News], None]], ReaderWatch] = ReaderWatch,
        acts: Callable[[Callable[[], Shown]], Acts] = Acts,
    ) -> None:
        self._pairings, self._pairing = pairings, pairing
        self._watch = watch(self._heard)
        self._acts = acts(self._watch.shown)
        self._pages: set[asyncio.Queue[News]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: CapacityLimiter | None = None

    def app(self, origins: Collection[str], port: int) -> ASGIApp:
        """The application for pages of `origins`, on 127.0.0.1 at `port`."""
        routes = [
            Route("/version", _answering(self._version)),
            Route("/pairing", _answering(self._pair), methods=["POST"]),
            Route("/pairing", _answering(self._unpair), methods=["DELETE"]),
            Route("/readers", _answering(self._readers)),
            Route("/card/read", _answering(self._read), methods=["POST"]),
            Route("/card/prove", _answering(self._prove), methods=["POST"]),
            Route("/card/pin", _answering(self._change_pin), methods=["POST"]),
            WebSocketRoute("/events", self._events),
        ]
        errors: dict[Any, Any] = {
            404: lambda request, error: refusal("not_found", 404),
            405: lambda request, error: refusal("method_not_allowed", 405),
        }
        return Gate(Starlette(routes=routes, exception_handlers=errors, lifespan=self._living), origins, port)

    @contextlib.asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncIterator[None]:
        self._loop, self._workers = asyncio.get_running_loop(), CapacityLimiter(_WORKERS)
        self._watch.start()
        try:
            yield
        finally:
            await to_thread.run_sync(self._watch.stop)

    def _heard(self, news: News) -> None:
        """From the watch's thread."""
        self._acts.heard(news)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, news)

    def _spread(self, news: News) -> None:
        for page in list(self._pages):
            try:
                page.put_nowait(news)
            except asyncio.QueueFull:  # it reads no more; it is closed, and asks for the readers when it is back
                self._pages.discard(page)

    async def _version(self, request: Request) -> Response:
        """What the page needs to know before it is paired: nothing of readers or cards."""
        self._pairing.refresh()
        paired = self._known(request.state.origin, request.state.token)
        return JSONResponse({"agent": "ecard-desk", "version": version("ecard"), "protocol": 1, "paired": paired})

    async def _pair(self, request: Request) -> Response:
        body = await _body(request, {"code": str})
        token = await self._in_worker(partial(self._pairing.pair, request.state.origin, body["code"]))
        return JSONResponse({"token": token}, 201)

    async def _unpair(self, request: Request) -> Response:
        self._paired(request)
        await self._in_worker(partial(self._pairings.forget, request.state.origin, request.state.token))
        return Response(status_code=204)

    async def _readers(self, request: Request) -> Response:
        self._paired(request)
        return JSONResponse(_shown(self._watch.shown()))

    async def _read(self, request: Request) -> Response:
        self._paired(request)
        body = await _body(request, {"reader": str | None})
        read = await self._in_worker(partial(self._acts.read, body["reader"]))
        return JSONResponse(card_facts(read))

    async def _prove(self, request: Request) -> Response:
        self._paired(request)
        body = await _body(request, {"reader": str | None, "challenge": str})
        read, evidence = await self._in_worker(partial(self._acts.prove, body["reader"], _challenge(body["challenge"])))
        return JSONResponse({"card": card_facts(read), "evidence": json.loads(evidence.to_json())})

    async def _change_pin(self, request: Request) -> Response:
        self._paired(request)
        body = await _body(request, {"reader": str | None, "identification_code": str, "old_pin": str, "new_pin": str})
        typed = body["identification_code"], body["old_pin"], body["new_pin"]
        done = await self._in_worker(partial(self._acts.change_pin, body["reader"], *typed))
        return JSONResponse({"outcome": done.outcome, "tries_left": done.tries_left})

    async def _events(self, socket: WebSocket) -> None:
        """First the readers as they are, then each change. The page says nothing."""
        state = socket.state
        if len(self._pages) >= MAX_SOCKETS or not self._known(state.origin, state.token):
            await socket.close(1008)
            return
        page: asyncio.Queue[News] = asyncio.Queue(_QUEUE)
        self._pages.add(page)
        try:
            await socket.accept(PROTOCOL)
            await socket.send_json({"event": "readers", **_shown(self._watch.shown())})
            await self._tell(socket, page)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._pages.discard(page)

    async def _tell(self, socket: WebSocket, page: asyncio.Queue[News]) -> None:
        gone = asyncio.ensure_future(socket.receive())
        try:
            while not gone.done():
                waiting = asyncio.ensure_future(page.get())
                await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    break
                news = waiting.result()
                if page not in self._pages or not self._known(socket.state.origin, socket.state.token):
                    break
                await socket.send_json({"event": news.change, "reader": news.reader})
        finally:
            gone.cancel()
            with contextlib.suppress(RuntimeError):
                await socket.close(1008)

    def _paired(self, request: Request) -> None:
        if not self._known(request.state.origin, request.state.token):
            raise NotAuthenticated("desk_not_paired", "pair this page with the agent first")

    def _known(self, origin: str, token: str) -> bool:
        """Reads a small file, on the loop: acts that wait for a reader must not keep anybody else waiting here."""
        return bool(token) and self._pairings.knows(origin, token)

    async def _in_worker(self, call: Callable[[], _T]) -> _T:
        return await to_thread.run_sync(call, limiter=self._workers)


def _answering(handler: Handler) -> Handler:
    """Errors of ours as problem documents; of any other fault the log gets the type and nobody its text."""

    async def answering(request: Request) -> Response:
        accepted = request.headers.get("accept-language", "")
        try:
            return await handler(request)
        except EcardError as error:
            return answer_of(error, accepted)
        except Exception as error:  # noqa: BLE001 - the edge: whatever is left ends here
            _LOGGER.error("internal fault: %s", type(error).__name__)
            return refusal("internal_fault", 500, accepted=accepted)

    return answering


async def _body(request: Request, members: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with exactly `members`, those that may be None may be left out.

    Raises `InvalidInput` `invalid_request`, `body_too_large`. JSON alone: a form of a foreign page could not be told
    from one of ours by its type.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput("invalid_request", "want application/json")
    data = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                data += piece
                if len(data) > MAX_BODY:
                    raise InvalidInput("body_too_large", f"more than {MAX_BODY} bytes")
    except TimeoutError:
        raise InvalidInput("invalid_request", "the body did not arrive in time") from None
    try:
        given = jose.parse_json(data, limit=MAX_BODY)
    except InvalidInput:
        given = None
    if not isinstance(given, dict) or given.keys() - members.keys():
        raise InvalidInput("invalid_request", f"want an object with {', '.join(members)}")
    read = {name: given.get(name) for name in members}
    if not all(isinstance(value, members[name]) for name, value in read.items()):
        raise InvalidInput("invalid_request", f"want an object with {', '.join(members)}, as strings")
    return read


def _challenge(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidInput("bad_chip_challenge", "a challenge is 32 bytes in hex") from None


def _shown(shown: Shown) -> dict[str, Any]:
    listed = [{"name": name, "card": card} for name, card in shown.readers.items()]
    return {"service": shown.service, "readers": listed}
