"""Issuer and verifier in one process: the verifier's half follows the feed in memory, through the same checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ecard_issuer.assembly import Issuer
from ecard_issuer.web.app import authenticator, create_app
from ecard_verifier.config import EmbeddedSettings
from ecard_verifier.follower import Follower
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.trust_source import TrustSource
from ecard_verifier.web.app import create_app as create_verifier_app
from ecard_verifier.web.assemble import readiness_of

_VERIFICATIONS = "/v1/verifications"
_PLAIN = EmbeddedSettings()


@dataclass(frozen=True, slots=True)
class Embedded:
    """One application for both services; its lifespan starts and stops them."""

    app: FastAPI
    issuer: Issuer
    service: VerificationService
    follower: Follower
    mirror: Mirror
    replay: ReplayGuard

    def start(self) -> None:
        self.issuer.start()
        self.follower.start()

    def stop(self) -> None:
        """Followers first: their streams end with the hub."""
        self.issuer.hub.close()
        self.follower.stop()
        self.mirror.close()
        self.replay.close()
        self.issuer.stop()


def embed(issuer: Issuer, settings: EmbeddedSettings = _PLAIN) -> Embedded:
    """`issuer` with a verifier beside it. The verifier believes the trust list and the feed, never the register."""
    directory, clock = issuer.settings.data_dir, issuer.clock
    trust = TrustSource(issuer.keys.root(), issuer.keys.document, clock)
    mirror = Mirror(directory / "mirror.sqlite3", issuer=issuer.identity.issuer)
    replay = ReplayGuard(directory / "replay.sqlite3")
    follower = Follower(mirror, issuer.feed, trust, clock)
    policy = replace(ONLINE_POLICY, minimum_assurance=settings.minimum_assurance)
    service = VerificationService(trust, mirror, mirror, replay, policy, clock, audience=settings.audience)
    known = authenticator(issuer.operators)
    made: list[Embedded] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        made[0].start()
        try:
            yield
        finally:
            made[0].stop()

    readiness = readiness_of(trust, mirror, policy, clock)
    app = create_app(issuer, authenticate=known, verifier_ready=readiness, lifespan=lifespan)
    verifier = create_verifier_app(service, known)
    app.router.routes.extend(
        route for route in verifier.routes if isinstance(route, APIRoute) and route.path == _VERIFICATIONS
    )
    app.title = "e-card issuer and verifier"
    made.append(Embedded(app, issuer, service, follower, mirror, replay))
    return made[0]
