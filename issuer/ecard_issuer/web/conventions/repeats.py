"""`Idempotency-Key` on the routes of desks, operators, institutions, agencies, relying services, partners and card
systems: whoever sends it is answered once. Their own ids in bodies came first, so the header is no duty.

Which routes those are follows from what they say of themselves: a POST that names roles, and is none of
`WITHOUT_KEY`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from ecard_issuer.issuer import Issuer
from ecard_issuer.web.conventions.idempotency import (
    ABOUT,
    EXAMPLE,
    HEADER,
    MOST_CHARACTERS,
    OPTIONAL_CODES,
    begin,
    chosen_key,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate
from ecard_verifier.web.base import say_problem

#: By operation id: a POST because what is asked for stands in no URL. Each asking is a new one and on the record, and
#: a copy of a person's data would lie here for a day.
READS: Final = frozenset(
    {
        "create_verification",
        "export_person",
        "find_applications",
        "find_cards",
        "find_family",
        "find_mandates",
        "find_number",
        "list_holder_cards",
        "list_holder_links",
        "open_application",
        "open_application_document",
        "open_mandate",
        "show_ecard_password_state",
        "show_holder_facts",
        "show_level",
        "show_pin_state",
    }
)
#: Their answers tell of a holder what is kept for 15 minutes, under the id that the caller has: no copy lies here for a
#: day. They are safe to repeat by themselves: the same reference changes nothing, and what became of a presentation can
#: be read by its id.
SHOWN: Final = frozenset({"answer_presentation", "complete_presentation", "use_verification"})
#: Of security event tokens (RFC 8935, RFC 8936): their `jti` is the key, and their errors have another form.
EVENT_TOKENS: Final = frozenset({"poll_stream", "push_card_event"})
WITHOUT_KEY: Final = READS | SHOWN | EVENT_TOKENS
_ROLES: Final = "x-ecard-role"
_BEARER: Final = HTTPBearer(auto_error=False)
_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": ABOUT,
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS, "examples": [EXAMPLE]},
}


def done_once(issuer: Issuer, authenticate: Authenticate) -> Callable[[Request], Awaitable[None]]:
    """A dependency of every route. Nothing is looked up under a key but for a caller whom the route lets in; whom it
    refuses, it refuses itself.

    Raises as a dependency of `idempotent` does, but for `idempotency_key_missing`.
    """

    async def once(request: Request) -> None:
        roles = _roles_of(request)
        key = None if roles is None else chosen_key(request, required=False)
        if roles is None or key is None:
            return
        given = await _BEARER(request)
        known = None if given is None else await run_in_threadpool(_caller, authenticate, given.credentials)
        if known is not None and (known.role is Role.OPERATOR or known.role in roles):
            await begin(issuer, request, known, key)

    return once


def describe_repeats(document: dict[str, Any]) -> None:
    """The header and its refusals, on the operations that heed it and do not say so themselves."""
    for operations in document.get("paths", {}).values():
        operation = operations.get("post", {})
        parameters = operation.get("parameters", [])
        if not _heeds(operation, operation.get("operationId")) or any(one["name"] == HEADER for one in parameters):
            continue
        operation["parameters"] = [*parameters, _PARAMETER]
        for status, code in OPTIONAL_CODES.items():
            say_problem(operation["responses"], status)
            said = operation["responses"][str(status)]
            said["description"] += (", " if "`" in said["description"] else ": ") + f"`{code}`"


def _roles_of(request: Request) -> frozenset[str] | None:
    """Of a route that heeds the header, else None."""
    route = request.scope.get("route")
    if request.method != "POST" or not isinstance(route, APIRoute):
        return None
    extra: dict[str, Any] = route.openapi_extra or {}
    return frozenset(extra[_ROLES]) if _heeds(extra, route.operation_id) else None


def _heeds(extra: dict[str, Any], operation_id: str | None) -> bool:
    return _ROLES in extra and operation_id not in WITHOUT_KEY


def _caller(authenticate: Authenticate, token: str) -> Caller | None:
    return authenticate(token) if 0 < len(token) <= 256 else None  # the bound of `require_role`
