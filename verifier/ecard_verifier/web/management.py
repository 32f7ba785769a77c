"""The management port of a verifier by itself: metrics and health, apart from what the world can reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecard_verifier.counters.assembly import Counters
from ecard_verifier.web.metrics import CounterMetrics


def verifier_management_app(
    counters: Sequence[Counters], started: Callable[[], bool], ready: Callable[[], bool]
) -> Starlette:
    """`/metrics`, and `/health/started`, `/health/live`, `/health/ready`: 200 for yes, 503 for no.

    No tokens: whoever reaches this port may read it, so it listens on this machine unless told otherwise.
    """
    registry = CollectorRegistry(auto_describe=False)
    for each in counters:
        registry.register(CounterMetrics(each))

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def has_started(_: Request) -> Response:
        return _answer("started", started())

    async def live(_: Request) -> Response:
        return _answer("live", True)

    def is_ready(_: Request) -> Response:
        return _answer("ready", started() and ready())

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/health/started", has_started),
            Route("/health/live", live),
            Route("/health/ready", is_ready),
        ]
    )


def _answer(name: str, yes: bool) -> Response:
    return JSONResponse({name: yes}, 200 if yes else 503, headers={"Cache-Control": "no-store"})
