"""HTML forms as OAuth and OpenID use them, read once and with bounds."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from ecard_card.errors import InvalidInput

FORM: Final = "application/x-www-form-urlencoded"


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
