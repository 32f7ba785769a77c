"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07) as a dependency of a route.

    channel = require_channel(issuer, Scope.CLAIM)
    once = idempotent(issuer, channel)

    @router.post("/v1/claims", dependencies=[Depends(once)], …)
    def create_claim(body: NewClaim, caller: ChannelCaller = Depends(channel)) -> JSONResponse: …

Both name the same dependency, so the caller is authenticated once and before anything is looked up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from ecard_card.errors import InvalidInput
from ecard_issuer.idempotency.answers import KeptAnswer
from ecard_issuer.issuer import Issuer
from ecard_issuer.web.conventions.notes import notes_of
from ecard_verifier.callers import Caller

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
MOST_CHARACTERS: Final = 255
#: For `problems(codes=…)` of such a route, with a key that may be left out, and with one that may not.
OPTIONAL_CODES: Final = {400: "bad_idempotency_key", 409: "idempotency_in_flight", 422: "idempotency_key_reused"}
CODES: Final = {**OPTIONAL_CODES, 400: f"idempotency_key_missing {OPTIONAL_CODES[400]}"}
#: A structured-field string as the draft has it, or the bare key that everybody sends. No space, comma, backslash.
_KEY: Final = re.compile(r'("?)([!#-+\--\[\]-~]{1,255})\1')
ABOUT: Final = (
    "Chosen by the caller, 1 to 255 visible characters, new for each act (a UUID). The same request under the same key"
    " is done once: for 24 hours the answer is the one of the first time, with `Idempotency-Replayed: true`."
)
EXAMPLE: Final = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def with_once(codes: Mapping[int, str], *, required: bool = True) -> dict[int, str]:
    """For `problems(codes=…)`: the codes of a route and those of its idempotency key."""
    own = CODES if required else OPTIONAL_CODES
    return {status: f"{codes.get(status, '')} {own.get(status, '')}".strip() for status in {*codes, *own}}


class HasCaller(Protocol):
    """A channel's caller and the like."""

    @property
    def caller(self) -> Caller: ...


#: A dependency that says who is calling.
Authenticated = Callable[..., Caller | HasCaller | Awaitable[Caller]]


class Replayed(Exception):
    """Ends a request whose answer is known."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__("answered before")
        self.answer = answer


def idempotent(
    issuer: Issuer, authenticated: Authenticated, *, required: bool = True
) -> Callable[..., Awaitable[None]]:
    """A dependency under which a route does each request once.

    The key is no required parameter to FastAPI, which would answer 422 by itself; the API description says that it is.

    Raises `InvalidInput` `idempotency_key_missing` (where `required`), `bad_idempotency_key`; `Conflict`
    `idempotency_in_flight`; `RuleViolation` `idempotency_key_reused`; and `Replayed`, which becomes the answer.
    """

    async def once(
        request: Request,
        known: Caller | HasCaller = Depends(authenticated),  # noqa: B008 - how FastAPI is told
        key: str | None = Header(
            None, alias=HEADER, description=ABOUT, json_schema_extra={"x-required": required, "examples": [EXAMPLE]}
        ),
    ) -> None:
        chosen = chosen_key(request, required=required)
        if chosen is not None:
            await begin(issuer, request, known if isinstance(known, Caller) else known.caller, chosen)

    return once


async def begin(issuer: Issuer, request: Request, caller: Caller, key: str) -> None:
    """Let this request run under `key`; its answer ends the run. Does nothing where it runs already.

    Raises as a dependency of `idempotent` does, but for what is wrong with the key itself.
    """
    notes = notes_of(request)
    if notes.run is not None:
        return
    route, name = f"{request.method} {_template(request)}", _name(caller)
    asked, requests = await _asked(request), issuer.conventions.idempotency
    begun = await run_in_threadpool(requests.begin, name, route, key, asked, issuer.clock())
    if isinstance(begun, KeptAnswer):
        raise Replayed(begun)
    notes.run = begun


def install_idempotency(app: FastAPI) -> None:
    """Make `Replayed` of any route the answer that it holds."""

    def replay(_: Request, error: Exception) -> Response:
        if not isinstance(error, Replayed):
            raise error
        answer = error.answer
        return Response(answer.body, answer.status, {**dict(answer.headers), REPLAYED: "true"})

    app.add_exception_handler(Replayed, replay)


def chosen_key(request: Request, *, required: bool) -> str | None:
    """The key that the request names. Raises `InvalidInput` `idempotency_key_missing`, `bad_idempotency_key`."""
    given = request.headers.getlist(HEADER)
    if not given:
        if required:
            raise InvalidInput("idempotency_key_missing", f"want the header {HEADER}")
        return None
    found = _KEY.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        raise InvalidInput("bad_idempotency_key", f"want {HEADER} once, with 1 to {MOST_CHARACTERS} visible characters")
    return found[2]


async def _asked(request: Request) -> bytes:
    """All of the request that its route does not say: where exactly, and what."""
    digest = hashlib.sha256(await request.body()).digest()
    # As the bytes came: a query need not be text, and `request.url` is put together with the header Host.
    path, query = str(request.scope["path"]).encode("utf-8", "surrogateescape"), bytes(request.scope["query_string"])
    return digest + path + b"?" + query


def _name(caller: Caller) -> str:
    """Of one caller alone: two groups of merchants may call a system by one name. No name has a slash."""
    return f"{caller.role} {caller.name if caller.group is None else f'{caller.group}/{caller.name}'}"


def _template(request: Request) -> str:
    route = request.scope.get("route")
    return route.path if isinstance(route, APIRoute) else str(request.scope["path"])
