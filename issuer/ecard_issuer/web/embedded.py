"""Issuer and verifier in one process: the verifier's half follows every issuer's feed in memory, through the same
checks as if it came over a network."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from fastapi import FastAPI
from starlette.types import ASGIApp

from ecard_issuer.assembly import Issuer
from ecard_issuer.deployment import Deployment
from ecard_issuer.holder_facts import OwnFacts
from ecard_issuer.publishing.own import OwnStatuses
from ecard_issuer.tickets.numbers import BookNumbers
from ecard_issuer.web.app import authenticator, create_app
from ecard_issuer.web.origins import ByOrigin
from ecard_verifier.config import EmbeddedSettings, FetchStatuses
from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.counters.assembly import Counters, open_counters
from ecard_verifier.follower import Follower
from ecard_verifier.http_statuses import HttpStatuses
from ecard_verifier.mirror import Mirror
from ecard_verifier.mirrors import Mirrors
from ecard_verifier.openid4vp.assembly import open_presentations, other_issuers
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.purposes.purposes import load_purposes
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.trust_hosts import LocalTrustHost
from ecard_verifier.trust_source import TrustSource
from ecard_verifier.web.addresses import believed_address
from ecard_verifier.web.app import service_routers
from ecard_verifier.web.assemble import readiness_of
from ecard_verifier.web.base import Lifespan, adopt
from ecard_verifier.web.counter_auth import WithGroups
from ecard_verifier.web.models import Ready

_A = TypeVar("_A")
_PLAIN = EmbeddedSettings()


@dataclass(frozen=True, slots=True)
class Verifier:
    """The verifier's half. `followers` and `mirrors` are in the order of the issuers."""

    service: VerificationService
    readiness: Callable[[], Ready]
    followers: tuple[Follower, ...]
    mirrors: tuple[Mirror, ...]
    replay: ReplayGuard
    counters: Counters
    presentations: Presentations | None

    def start(self) -> None:
        for follower in self.followers:
            follower.start()
        self.counters.start()

    def stop(self) -> None:
        """Their feeds must have ended: else this waits for the next message of each."""
        for follower in self.followers:
            follower.stop()
        for mirror in self.mirrors:
            mirror.close()
        if self.presentations is not None:
            self.presentations.close()
        self.replay.close()
        self.counters.close()


@dataclass(frozen=True, slots=True)
class Embedded(Generic[_A]):
    """One application for all services of the process; its lifespan starts and stops them."""

    app: _A
    verifier: Verifier


def embed(issuer: Issuer, settings: EmbeddedSettings = _PLAIN) -> Embedded[FastAPI]:
    """`issuer` with a verifier beside it, for any `Host`."""
    (app,), verifier = _apps(Deployment((issuer,), ExitStack()), settings)
    return Embedded(app, verifier)


def embed_all(deployment: Deployment, settings: EmbeddedSettings = _PLAIN) -> Embedded[ASGIApp]:
    """Every issuer of `deployment`, and one verifier that follows them all and judges under each of their names.

    It believes the trust list and the feeds, never a register. Callers of an issuer ask it under that issuer's name.
    A test issuer has a verifier of its own, which alone knows its roots and accepts its cards.
    """
    beside = None if deployment.test is None else embed_test(deployment.test, settings)
    apps, verifier = _apps(deployment, settings, beside)
    return Embedded(_one(deployment, apps, None if beside is None else beside.app), verifier)


def embed_test(test: Issuer, settings: EmbeddedSettings = _PLAIN) -> Embedded[FastAPI]:
    """A test issuer with its verifier. Its application has no lifespan of its own: who hosts it starts both."""
    verifier = _verifier(Deployment((test,), ExitStack()), settings)
    return Embedded(_app_of(test, verifier, None), verifier)


def issuers_app(deployment: Deployment) -> ASGIApp:
    """Every issuer of `deployment`, without a verifier."""
    main, *others = deployment.issuers
    first = create_app(main, lifespan=_lifespan(deployment.start, deployment.stop))
    test = None if deployment.test is None else create_app(deployment.test)
    return _one(deployment, (first, *(create_app(other) for other in others)), test)


def _apps(
    deployment: Deployment, settings: EmbeddedSettings, beside: Embedded[FastAPI] | None = None
) -> tuple[tuple[FastAPI, ...], Verifier]:
    """The applications in the order of the issuers; the first one's lifespan is everybody's, and that of the test
    issuer `beside` them."""
    verifier = _verifier(deployment, settings)
    verifiers = (verifier,) if beside is None else (verifier, beside.verifier)

    def start() -> None:
        deployment.start()
        for each in verifiers:
            each.start()

    def stop() -> None:
        """Followers first: their streams end with the hubs."""
        deployment.end_feeds()
        for each in verifiers:
            each.stop()
        deployment.stop()

    main, *others = deployment.issuers
    apps = (
        _app_of(main, verifier, _lifespan(start, stop)),
        *(_app_of(other, verifier, None) for other in others),
    )
    return apps, verifier


def _one(deployment: Deployment, apps: tuple[FastAPI, ...], test: FastAPI | None) -> ASGIApp:
    """A single issuer is reached by whatever name leads here, several by their own names only, and a test issuer by
    its own name only."""
    if len(apps) == 1 and test is None:
        return apps[0]
    named: dict[str, ASGIApp] = {
        issuer.identity.issuer: app for issuer, app in zip(deployment.issuers, apps, strict=True)
    }
    if deployment.test is not None and test is not None:
        named[deployment.test.identity.issuer] = test
    return ByOrigin(named, apps[0], by_any_name=len(apps) == 1)


def _verifier(deployment: Deployment, settings: EmbeddedSettings) -> Verifier:
    main = deployment.main
    directory, clock, board = main.settings.data_dir, main.clock, main.keys.board
    # The roots after the present one are walked as anybody else walks them.
    trust = TrustSource(board.root(), LocalTrustHost(board.document, board.root_document), clock)
    mirrors = tuple(
        Mirror(directory / _mirror_name(issuer, first=issuer is main), issuer=issuer.identity.issuer)
        for issuer in deployment.issuers
    )
    followers = tuple(
        Follower(mirror, issuer.feed, trust, clock) for mirror, issuer in zip(mirrors, deployment.issuers, strict=True)
    )
    accepts_test = main.settings.test_mode
    policy = replace(ONLINE_POLICY, minimum_assurance=settings.minimum_assurance, accept_test=accepts_test)
    fetched = settings.fetch_statuses
    others = None if fetched is FetchStatuses.NO else HttpStatuses(trust, clock, allowed=fetched)
    purposes = load_purposes(settings.purposes)
    foreign = other_issuers(settings.trusted_issuers, fetched)
    known, replay = Mirrors(mirrors, others), ReplayGuard(directory / "replay.sqlite3")
    numbers = BookNumbers([issuer.showing.numbers for issuer in deployment.issuers], clock)
    service = VerificationService(
        *(trust, known, known, replay, policy, clock),
        audience=settings.audience,
        numbers=numbers,
        at_hand=Mirrors(mirrors),
    )
    published = {issuer.identity.issuer: OwnStatuses(issuer) for issuer in deployment.issuers}
    bundles = CounterBundles(published, lambda: trust.root, lambda: _version_of(trust), clock)
    counters = open_counters(
        directory, service, OwnFacts(deployment.issuers), purposes, bundles, settings.counter_origins
    )
    base, keys = main.identity.issuer, main.request_keys
    presentations = open_presentations(service, trust, keys, foreign, clock, base=base, data=directory)
    readiness = readiness_of(trust, known, policy, clock)
    return Verifier(service, readiness, followers, mirrors, replay, counters, presentations)


def _version_of(trust: TrustSource) -> int:
    held = trust.current()
    return 0 if held is None else held.version


def _mirror_name(issuer: Issuer, *, first: bool) -> str:
    digest = hashlib.sha256(issuer.identity.issuer.encode()).hexdigest()[:16]
    return "mirror.sqlite3" if first else f"mirror-{digest}.sqlite3"


def _app_of(issuer: Issuer, verifier: Verifier, lifespan: Lifespan | None) -> FastAPI:
    known = authenticator(issuer.operators)
    all_known = WithGroups(verifier.counters, known)
    app = create_app(
        issuer, authenticate=known, repeating=all_known, verifier_ready=verifier.readiness, lifespan=lifespan
    )
    for router in service_routers(
        verifier.service,
        known,
        verifier.counters,
        believed_address(issuer.settings.trusted_proxies),
        verifier.presentations,
    ):
        adopt(app, router)
    app.title = "e-card issuer and verifier"
    return app


def _lifespan(start: Callable[[], None], stop: Callable[[], None]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        start()
        try:
            yield
        finally:
            stop()

    return lifespan
