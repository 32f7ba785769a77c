"""How a route that will go says so: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read more."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request

from ecard_issuer.web.conventions.notes import notes_of


def deprecated(since: datetime, sunset: datetime | None = None, *, about: str) -> dict[str, Any]:
    """For a route, as `@router.get(…, **deprecated(…))`: every answer, refusals too, says that the route is deprecated
    `since`, is gone at `sunset`, and at the URL `about` what takes its place.

    Raises `ValueError` for a sunset before the deprecation (RFC 9745 §4).
    """
    if sunset is not None and sunset < since:
        raise ValueError("a route is deprecated before it goes")
    headers = [
        ("Deprecation", f"@{int(since.timestamp())}"),
        ("Link", f'<{about}>; rel="deprecation"; type="text/html"'),
    ]
    if sunset is not None:
        headers.append(("Sunset", format_datetime(sunset, usegmt=True)))
        headers.append(("Link", f'<{about}>; rel="sunset"; type="text/html"'))

    async def tell(request: Request) -> None:
        notes_of(request).headers.extend(headers)

    return {"deprecated": True, "dependencies": [Depends(tell)]}
