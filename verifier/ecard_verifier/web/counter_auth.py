"""Who a counter's page is: a cookie that only this service's own pages send, and their `Origin` where they change
something. Who a caller of a group is: a bearer token among the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.security import APIKeyCookie

from ecard_card.errors import NotAllowed
from ecard_verifier.callers import Caller
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.entrance import DEVICE_LIFE
from ecard_verifier.counters.model import Standing
from ecard_verifier.counters.secret import GROUP_TOKEN_PREFIX
from ecard_verifier.web.auth import Authenticate

COOKIE: Final = "__Host-ecard-counter"
_SCHEME: Final = APIKeyCookie(
    name=COOKIE, scheme_name="CounterPage", auto_error=False, description="Set by `POST /v1/counter/session`."
)

Origin = Annotated[
    str | None, Header(max_length=1024, description="Written by the browser: a page of this very service.")
]


def own_page(request: Request, origin: Origin = None) -> None:
    """A dependency of what a page changes. The host that the browser asked is the one that the page came from: a
    cookie goes to that host alone. Raises `NotAllowed` `foreign_origin`."""
    host = request.headers.get("host", "")
    if not host or origin not in (f"https://{host}", f"http://{host}"):
        raise NotAllowed("foreign_origin", "only a page of this service may do this")


def admitted(counters: Counters) -> Callable[..., Standing]:
    """A dependency: the counter of this page. Raises `NotAuthenticated` `counter_not_admitted`, `counter_revoked`."""

    def standing(token: Annotated[str | None, Depends(_SCHEME)] = None) -> Standing:
        now = counters.service.now()
        found = counters.administration.entrance.standing(token, now)
        counters.housekeeping.turn(now)
        return found

    return standing


def changing(counters: Counters) -> Callable[..., Standing]:
    """The same for what changes something: asked by a page of our own. Raises `NotAllowed` `foreign_origin` too."""
    page, own = Depends(admitted(counters)), Depends(own_page)

    def standing(found: Standing = page, _own: None = own) -> Standing:
        return found

    return standing


def set_cookie(response: Response, token: str) -> None:
    """For this host alone, out of reach of scripts, and never sent from another site."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(DEVICE_LIFE.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


def drop_cookie(response: Response) -> None:
    """The page was not admitted any more."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


class WithGroups:
    """`Authenticate` that knows the tokens of groups besides those that `others` knows."""

    def __init__(self, counters: Counters, others: Authenticate) -> None:
        self._office, self._others = counters.administration.office, others
        self._at_once: Callable[[str], bool] = getattr(others, "at_once", lambda _token: False)

    def __call__(self, token: str) -> Caller | None:
        return self._office.caller(token) or self._others(token)

    def at_once(self, token: str) -> bool:
        """Not where the counters' file has to be asked: see `require_role`."""
        return not token.startswith(GROUP_TOKEN_PREFIX) and self._at_once(token)


def page_needs() -> dict[str, Any]:
    """For a route's `openapi_extra`: the page of an admitted counter, and nobody else."""
    return {"x-ecard-counter": True}
