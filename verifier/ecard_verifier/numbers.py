"""Numbers in place of codes: ten digits that a holder reads out, or that a laser scanner reads off bars.

A number says nothing by itself. The authority that gave it out says for a minute which code it stands for; that code
is then judged like any other, and is used up with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

import httpx2

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotAllowed, NotFound, Unavailable

NUMBER_PATH: Final = "/v1/numbers/find"
_NUMBER: Final = re.compile(r"[0-9]{10}")
_SPACED: Final = re.compile(r"[\s-]+")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF1A)}
_LONGEST: Final = 64  # characters of what may be a number with its spaces
_TIMEOUT: Final = 3.0  # seconds
_MAX_ANSWER: Final = 8192


class NumberSource(Protocol):
    """Who knows what numbers stand for."""

    def code_of(self, number: str, counter: str) -> str:
        """The code. Raises `NotFound` `number_unknown`; `NotAllowed` `number_guesses_used_up` where `counter` was
        wrong too often; `Unavailable`."""
        ...


def as_number(text: str) -> str | None:
    """The ten digits that `text` is, apart from spaces, hyphens and full-width forms; None for anything else."""
    if len(text) > _LONGEST:
        return None
    bare = _SPACED.sub("", text).translate(_FULL_WIDTH)
    return bare if _NUMBER.fullmatch(bare) else None


class HttpNumbers:
    """Asks each issuer that this verifier follows. `issuers` are addresses with the tokens of their feeds."""

    def __init__(self, issuers: Sequence[tuple[str, str]], *, transport: httpx2.BaseTransport | None = None) -> None:
        self._issuers = tuple(issuers)
        self._transport = transport

    def code_of(self, number: str, counter: str) -> str:
        """See `NumberSource`. One issuer that does not answer makes an unknown number undecided."""
        missing = False
        with httpx2.Client(timeout=_TIMEOUT, transport=self._transport, follow_redirects=False) as client:
            for base, token in self._issuers:
                found = _ask(client, base.rstrip("/") + NUMBER_PATH, token, number, counter)
                if found:
                    return found
                missing = missing or found is None
        if missing:
            raise Unavailable("numbers_unavailable", "an issuer could not be asked what the number stands for")
        raise NotFound("number_unknown", "no such number now")


def _ask(client: httpx2.Client, url: str, token: str, number: str, counter: str) -> str | None:
    """The code, nothing where the issuer knows none, None where it did not say."""
    try:
        answer = client.post(
            url, json={"number": number, "counter": counter}, headers={"Authorization": f"Bearer {token}"}
        )
        content = jose.parse_json(answer.content, limit=_MAX_ANSWER)
    except (httpx2.HTTPError, InvalidInput):
        return None
    match (answer.status_code, content):
        case (200, {"code": str(code)}):
            return code
        case (404, {"code": "number_unknown"}):
            return ""
        case (403, {"code": "number_guesses_used_up"}):
            raise NotAllowed("number_guesses_used_up", "this counter was wrong too often")
    return None
