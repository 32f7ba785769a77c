"""What of a request may be believed: single, bounded headers, the form, and its address at our own origin."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer

_MAX_MEMBERS: Final = 40
FORM: Final = "application/x-www-form-urlencoded"


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


async def form_of(request: Request) -> dict[str, str]:
    """A dependency: the members of a form, as `parse_form` reads them."""
    return parse_form(await request.body(), request.headers.get("content-type", ""), _MAX_MEMBERS)


def parse_form(body: bytes, content_type: str, most: int) -> dict[str, str]:
    """The members of a form (RFC 6749 appendix B), at most `most` and each there once; empty ones count as missing
    (§3.2). Raises `InvalidInput` `bad_form`."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("bad_form", f"want a body of type {FORM}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=most,
            errors="strict",
        )
    except ValueError:
        raise InvalidInput("bad_form", "not a form, or too many members") from None
    if len(dict(pairs)) != len(pairs):
        raise InvalidInput("bad_form", "a member is there twice")
    return {name: value for name, value in pairs if value}
