"""The management port: metrics and health for the machine's own watchers, apart from what the world can reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecard_card.errors import EcardError
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.metrics import metrics_of
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.web.metrics import CounterMetrics


def management_app(
    issuers: Sequence[Issuer], started: Callable[[], bool], counters: Sequence[Counters] = ()
) -> Starlette:
    """`/metrics`, and `/health/started`, `/health/live`, `/health/ready`: 200 for yes, 503 for no.

    No tokens: whoever reaches this port may read it, so it listens on this machine unless told otherwise. `started`
    says whether the service itself accepts requests; `counters` are those of the verifier in this process.
    """
    registry = metrics_of(issuers)
    for each in counters:
        registry.register(CounterMetrics(each))

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def has_started(_: Request) -> Response:
        return _answer("started", started())

    async def live(_: Request) -> Response:
        return _answer("live", True)

    def ready(_: Request) -> Response:
        return _answer("ready", started() and all(map(_is_ready, issuers)))

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/health/started", has_started),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ]
    )


def _is_ready(issuer: Issuer) -> bool:
    """Whether a trust list that has not expired is there to be read."""
    now = issuer.clock()
    try:
        return issuer.keys.trust(now).expires_at > now.timestamp()
    except EcardError:
        return False


def _answer(name: str, yes: bool) -> Response:
    return JSONResponse({name: yes}, 200 if yes else 503, headers={"Cache-Control": "no-store"})
