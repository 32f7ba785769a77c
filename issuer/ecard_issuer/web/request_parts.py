"""What of a request may be believed: single, bounded headers, the form, and its address at our own origin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from fastapi import Request

from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_verifier.web.forms import FORM, parse_form

__all__ = ["FORM", "form_of", "parse_form", "public_target", "public_url", "single_header"]

_MAX_MEMBERS: Final = 40


def single_header(request: Request, name: str, most: int) -> str | None:
    """The only line of this header; None without one.

    Raises `InvalidInput` `header_twice`, `header_too_long`: of two lines, two programs may read different ones.
    """
    lines = request.headers.getlist(name)
    if len(lines) > 1:
        raise InvalidInput("header_twice", f"the header {name} is there more than once")
    if lines and len(lines[0]) > most:
        raise InvalidInput("header_too_long", f"the header {name} has more than {most} characters")
    return lines[0] if lines else None


def public_url(issuer: Issuer, request: Request) -> str:
    """The address of this request at the configured public origin, without query. `Host` and what proxies forward
    are not looked at: they are what somebody says, and signatures are judged by this."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return issuer.identity.issuer + raw.decode("latin-1").partition("?")[0]


def public_target(issuer: Issuer, request: Request) -> str:
    """`public_url` with the query: the target URI of RFC 9421 §2.2.2."""
    query = bytes(request.scope.get("query_string", b"")).decode("latin-1")
    return public_url(issuer, request) + (f"?{query}" if query else "")


def form_body(members: Mapping[str, object], *, required: Collection[str]) -> dict[str, Any]:
    """For a route's `openapi_extra`: its body is a form with these members, each with its JSON schema."""
    schema = {"type": "object", "required": list(required), "properties": dict(members)}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


async def form_of(request: Request) -> dict[str, str]:
    """A dependency: the members of a form, as `parse_form` reads them."""
    return parse_form(await request.body(), request.headers.get("content-type", ""), _MAX_MEMBERS)
