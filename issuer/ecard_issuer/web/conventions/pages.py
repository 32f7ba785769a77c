"""Lists in pages: `?limit=&cursor=`, answered as `{"data": […], "next_cursor": …}` with `Link: rel="next"` (RFC 8288).

A cursor is the place of the last row that was seen, not a count of rows: what is added meanwhile shifts nothing. It is
signed for one caller, one address and its other parameters, so it cannot be made up or carried elsewhere.

    page: Page = Depends(paged(issuer, channel))
    rows = store.links_of(app_id, after=page.after, limit=page.limit + 1)   # one more tells whether there is more
    return page.answer(rows, answer_of, lambda row: (row.link_id,))
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.issuer import Issuer
from ecard_issuer.web.conventions.idempotency import Authenticated, HasCaller
from ecard_verifier.callers import Caller

MOST: Final = 200
USUAL: Final = 50
_MAC_BYTES: Final = 16
_MAX_CURSOR: Final = 1024
_R = TypeVar("_R")

Mac = Callable[[str, bytes], bytes]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
CursorText = Annotated[
    str | None, Query(max_length=_MAX_CURSOR, description="The `next_cursor` of the page before; none: the first page.")
]


@dataclass(frozen=True, slots=True)
class Page:
    """The page that is asked for: `limit` rows behind `after`, which is None at the beginning."""

    limit: int
    after: tuple[str, ...] | None
    url: str
    query: tuple[tuple[str, str], ...]
    owner: bytes
    mac: Mac

    def answer(
        self, rows: Sequence[_R], shown: Callable[[_R], dict[str, object]], place: Callable[[_R], tuple[str, ...]]
    ) -> JSONResponse:
        """At most `limit` of `rows`; a row more than that says that there is another page."""
        here, more = rows[: self.limit], len(rows) > self.limit
        body: dict[str, object] = {"data": [shown(row) for row in here], "next_cursor": None}
        if not more:
            return JSONResponse(body)
        cursor = sign_cursor(self.mac, self.owner, place(here[-1]))
        body["next_cursor"] = cursor
        query = urlencode([*self.query, ("limit", str(self.limit)), ("cursor", cursor)])
        return JSONResponse(body, headers={"Link": f'<{self.url}?{query}>; rel="next"'})


def paged(issuer: Issuer, authenticated: Authenticated | None = None) -> Callable[..., Page]:
    """A dependency: the page that is asked for. Without `authenticated` the list is public.

    Raises `InvalidInput` `bad_cursor`.
    """
    origin, mac = issuer.identity.issuer, issuer.conventions.mac

    def page(request: Request, name: str, limit: int, cursor: str | None) -> Page:
        rest = tuple(
            sorted((key, value) for key, value in request.query_params.multi_items() if key not in ("limit", "cursor"))
        )
        path = str(request.scope["path"])  # not `request.url`, which is put together with the header Host
        owner = json.dumps([name, path, rest]).encode()
        after = None if cursor is None else read_cursor(mac, owner, cursor)
        return Page(limit, after, origin + path, rest, owner, mac)

    def public(request: Request, limit: Limit = USUAL, cursor: CursorText = None) -> Page:
        return page(request, "", limit, cursor)

    if authenticated is None:
        return public

    def own(
        request: Request,
        limit: Limit = USUAL,
        cursor: CursorText = None,
        known: Caller | HasCaller = Depends(authenticated),  # noqa: B008 - how FastAPI is told
    ) -> Page:
        caller = known if isinstance(known, Caller) else known.caller
        return page(request, f"{caller.role} {caller.name}", limit, cursor)

    return own


def sign_cursor(mac: Mac, owner: bytes, place: tuple[str, ...]) -> str:
    """`place` as a text that `read_cursor` takes for the same `owner` only."""
    payload = json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()
    return jose.b64url_encode(_seal(mac, owner, payload) + payload)


def read_cursor(mac: Mac, owner: bytes, cursor: str) -> tuple[str, ...]:
    """Inverse of `sign_cursor`. Raises `InvalidInput` `bad_cursor`."""
    try:
        raw = jose.b64url_decode(cursor)
    except InvalidInput:
        raw = b""
    seal, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(seal, _seal(mac, owner, payload)):
        raise InvalidInput("bad_cursor", "not a cursor of this list, for this caller and these parameters")
    return tuple(json.loads(payload))


def _seal(mac: Mac, owner: bytes, payload: bytes) -> bytes:
    return mac("cursor", len(owner).to_bytes(4, "big") + owner + payload)[:_MAC_BYTES]
