"""Quotas as headers (draft-ietf-httpapi-ratelimit-headers-10), and as answers 429.

Two forms are sent. The draft's `RateLimit-Policy` and `RateLimit` are structured fields; the older triple
`RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` is what client libraries read today.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute

from ecard_issuer.issuer import Issuer
from ecard_issuer.rates import WINDOW, Spent
from ecard_issuer.web.conventions.notes import notes_of
from ecard_verifier.web.addresses import address_of

#: Of a route, in its description: who is counted there by the route itself.
COUNTED: Final = "x-ecard-counted"
#: Calls a minute of one page's session: ten times what a page makes that shows codes and waits for news.
SESSION_QUOTA: Final = 120
#: Of a route, in its description: who may call it, where not anybody. A counter's page is known by its cookie.
_CLOSED: Final = ("x-ecard-role", "x-ecard-scope", "x-ecard-counter", COUNTED)
#: Asked by load balancers as often as they like.
UNCOUNTED: Final = frozenset({"/health/live", "/health/ready"})


def count_channel(issuer: Issuer, request: Request, app_id: str, quota: int) -> None:
    """One call of a channel that has shown who it is, of at most `quota` a minute.

    Raises `RateLimited` `rate_limited`. The answer says what is left, whichever it is.
    """
    _tell(request, "channel", issuer.conventions.channel_calls.take(app_id, quota, issuer.clock()))


def count_session(issuer: Issuer, request: Request, session_id: str) -> None:
    """One call of a page that has shown its session's token. Raises `RateLimited` `rate_limited`."""
    _tell(request, "session", issuer.conventions.session_calls.take(session_id, SESSION_QUOTA, issuer.clock()))


def address_limit(issuer: Issuer) -> Callable[[Request], Awaitable[None]]:
    """A dependency of every route: those that want no token are counted by address, but for those that say `COUNTED`.

    Raises `RateLimited` `rate_limited`.
    """
    count = address_counter(issuer)

    async def limit(request: Request) -> None:
        route = request.scope.get("route")
        if isinstance(route, APIRoute) and is_open(route) and route.path not in UNCOUNTED:
            count(request)

    return limit


def address_counter(issuer: Issuer) -> Callable[[Request], None]:
    """One call of the address that a request comes from.

    An address of this very machine is a proxy's or a developer's and counts only through `X-Forwarded-For`, which is
    believed from the networks of the setting `trusted_proxies`. Raises `RateLimited` `rate_limited`.
    """
    conventions, quota = issuer.conventions, issuer.conventions.address_quota
    proxies = tuple(ipaddress.ip_network(network) for network in issuer.settings.trusted_proxies)

    def count(request: Request) -> None:
        peer = request.client.host if request.client else ""
        address = address_of(peer, request.headers.getlist("x-forwarded-for"), proxies)
        if quota and address is not None:
            _tell(request, "address", conventions.address_calls.take(address, quota, issuer.clock()))

    return count


def is_open(route: APIRoute) -> bool:
    """Whether the route wants no token, and counts nobody itself."""
    extra: dict[str, Any] = route.openapi_extra or {}
    return not any(name in extra for name in _CLOSED)


def _tell(request: Request, policy: str, spent: Spent) -> None:
    headers = notes_of(request).quota
    headers.append(("RateLimit-Policy", f'"{policy}";q={spent.quota};w={WINDOW}'))
    headers.append(("RateLimit", f'"{policy}";r={spent.remaining};t={spent.reset}'))
    headers.append(("RateLimit-Limit", str(spent.quota)))
    headers.append(("RateLimit-Remaining", str(spent.remaining)))
    headers.append(("RateLimit-Reset", str(spent.reset)))
    spent.check()
