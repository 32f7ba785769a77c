"""Quotas: what is left is told, one too many is refused, and memory is bounded."""

from __future__ import annotations

import ipaddress
from collections import deque
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ecard_card.errors import RateLimited
from ecard_issuer.rates import RateLimit
from ecard_issuer.web.conventions.rates import UNCOUNTED, is_open
from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from ecard_verifier.web.addresses import address_of
from tests.issuer.service import START, Service
from tests.issuer.web.conventions.conftest import QUOTA


def test_a_channel_has_its_quota_and_is_told_what_is_left(service: Service, app: FastAPI, channel: TestClient) -> None:
    for left in reversed(range(QUOTA)):
        answer = channel.get("/test/counted")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == f'"channel";q={QUOTA};w=60'
        assert answer.headers["ratelimit"].startswith(f'"channel";r={left};t=')
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == (str(QUOTA), str(left))
    refused = channel.get("/test/counted", headers={"Accept-Language": "zh"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.json()["help"].startswith("请按 Retry-After 等待")
    assert (refused.headers["retry-after"], refused.headers["ratelimit-remaining"]) == ("12", "0")
    assert refused.headers["ratelimit-reset"] == "60"
    stranger = TestClient(app, headers={"Authorization": f"Bearer {service.token(Role.CHANNEL)}"})
    assert stranger.get("/test/counted").status_code == 200
    service.clock.advance(12)
    assert channel.get("/test/counted").status_code == 200
    assert channel.get("/test/counted").status_code == 429


def test_routes_that_want_no_token_are_counted_by_address(service: Service, app: FastAPI) -> None:
    quota = service.issuer.conventions.address_quota
    here = TestClient(app, client=("192.0.2.7", 1))
    answer = here.get("/test/open")
    assert answer.headers["ratelimit-policy"] == f'"address";q={quota};w=60'
    assert "ratelimit" not in here.get("/test/open-and-cached").headers, "others may be given that answer"
    for _ in range(quota - 2):
        service.issuer.conventions.address_calls.take("192.0.2.7", quota, service.clock())
    refused = here.get("/test/open", headers={"Authorization": "Bearer of no use", "X-Forwarded-For": "192.0.2.8"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert here.get("/test/open-and-cached").status_code == 429
    assert here.get("/health/live").status_code == 200, "a load balancer is never refused"
    assert TestClient(app, client=("192.0.2.8", 1)).get("/test/open").status_code == 200
    local = TestClient(app, client=("127.0.0.1", 1)).get("/test/open")
    assert (local.status_code, "ratelimit" in local.headers) == (200, False)


def test_every_open_route_of_the_whole_application_counts_its_callers(service: Service) -> None:
    app = embed(service.issuer).app
    conventions, now, far = service.issuer.conventions, service.clock(), "192.0.2.99"
    for _ in range(conventions.address_quota):
        conventions.address_calls.take(far, conventions.address_quota, now)
    client = TestClient(app, client=(far, 1), raise_server_exceptions=False)
    asked = 0
    for context in iter_route_contexts(app.router.routes):
        route = context.original_route
        if not isinstance(route, APIRoute) or not is_open(route) or route.path in UNCOUNTED:
            continue
        if not route.include_in_schema or route.methods is None:  # pages about the service itself
            continue
        (method,) = route.methods
        answer = client.request(method, str(context.path).replace("{", "").replace("}", ""))
        assert "rate_limited" in answer.text, (method, context.path, answer.text[:200])
        asked += 1
    assert asked > 30


PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("127.0.0.1/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),  # nobody's proxy: what it says is not believed
        ("10.1.1.1", ["203.0.113.5, 198.51.100.9"], "198.51.100.9"),
        ("10.1.1.1", ["203.0.113.5", "198.51.100.9, 10.2.2.2"], "198.51.100.9"),
        ("127.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("127.0.0.1", [], None),
        ("::1", ["198.51.100.9"], None),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("10.1.1.1", ["x" * 9000], "x" * 64),
        ("", [], ""),
    ],
)
def test_who_is_counted(peer: str, forwarded: list[str], counted: str | None) -> None:
    assert address_of(peer, forwarded, PROXIES) == counted


def test_memory_is_bounded_whoever_calls() -> None:
    limit = RateLimit(most_keys=100)
    for number in range(10_000):
        limit.take(f"address {number}", 10, START)
    assert len(limit) == 100


def test_a_clock_set_back_locks_nobody_out() -> None:
    limit = RateLimit()
    for _ in range(10):
        limit.take("a", 10, START)
    with pytest.raises(RateLimited):
        limit.take("a", 10, START).check()
    limit.take("a", 10, START - timedelta(hours=1)).check()


@given(st.integers(1, 50), st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200))
def test_never_more_than_the_quota_and_its_refill(quota: int, pauses: list[float]) -> None:
    """Against the plain definition: within any span of t seconds at most quota + t·quota/60 calls are taken."""
    limit, now, taken = RateLimit(), START, deque[float]()
    for pause in pauses:
        now += timedelta(seconds=pause)
        spent = limit.take("a", quota, now)
        at = (now - START).total_seconds()
        if spent.wait is None:
            taken.append(at)
        else:
            assert spent.remaining == 0
            later = RateLimit()
            later._whole_at.update(limit._whole_at)
            assert later.take("a", quota, now + timedelta(seconds=spent.wait)).wait is None, "the wait is enough"
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= quota + (taken[last] - begin) * quota / 60 + 0.01
