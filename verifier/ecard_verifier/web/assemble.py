"""From settings to a running verifier: live beside a feed, or offline from a bundle. The one place that wires it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI

from ecard_card.errors import InvalidInput
from ecard_keys.trust.root import read_root
from ecard_verifier.beginning import Beginning
from ecard_verifier.bundle_file import BundleFile
from ecard_verifier.config import FetchStatuses, FollowedIssuer, VerifierSettings
from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.counters.assembly import Counters, open_counters
from ecard_verifier.counters.holder_facts import HttpFacts
from ecard_verifier.follower import Follower
from ecard_verifier.http_feed import HttpFeed
from ecard_verifier.http_published import PublishedStatus
from ecard_verifier.http_snapshot import HttpSnapshots
from ecard_verifier.http_statuses import HttpStatuses
from ecard_verifier.mirror import Mirror
from ecard_verifier.mirrors import Mirrors
from ecard_verifier.numbers import HttpNumbers
from ecard_verifier.openid4vp.assembly import open_presentations, other_issuers, request_keys
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.purposes.purposes import Purposes, load_purposes
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService, utc_now
from ecard_verifier.statuses import Dated
from ecard_verifier.trust_source import HttpTrustList, TrustProvider, TrustSource
from ecard_verifier.web.addresses import believed_address
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import Authenticate, HashedTokens
from ecard_verifier.web.base import Lifespan
from ecard_verifier.web.models import Ready

LOGGER = logging.getLogger("ecard.verifier")
FEED_PATH = "/v1/feed"
SNAPSHOT_PATH = "/v1/feed/snapshot"
TRUST_PATH = "/.well-known/ecard-trust-list"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A wired verifier. `followers` and `mirrors`, one per issuer in the same order, are empty when it works from a
    bundle."""

    app: FastAPI
    service: VerificationService
    trust: TrustProvider
    replay: ReplayGuard
    counters: Counters
    readiness: Callable[[], Ready]
    followers: tuple[Follower, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    bundle: BundleFile | None = None
    presentations: Presentations | None = None

    @property
    def follower(self) -> Follower | None:
        """That of the first issuer."""
        return self.followers[0] if self.followers else None

    @property
    def mirror(self) -> Mirror | None:
        """That of the first issuer."""
        return self.mirrors[0] if self.mirrors else None

    def start(self) -> None:
        """Begin to follow the feeds. The app's own lifespan does this; call it only without a web server."""
        for follower in self.followers:
            follower.start()
        if self.bundle is not None:
            self.bundle.start()
        if self.counters is not None:
            self.counters.start()

    def stop(self) -> None:
        """End the threads and give the files back."""
        for follower in self.followers:
            follower.stop()
        for mirror in self.mirrors:
            mirror.close()
        if self.presentations is not None:
            self.presentations.close()
        self.replay.close()
        if self.bundle is not None:
            self.bundle.stop()
        self.counters.close()


def assemble(
    settings: VerifierSettings,
    *,
    authenticate: Authenticate | None = None,
    clock: Callable[[], datetime] = utc_now,
    claim: Callable[[], None] = lambda: None,
) -> Verifier:
    """Everything of `settings`, not yet started. `authenticate` replaces the file of callers.

    `claim` is called once every setting and the files they name have proven good, and before anything is made: there
    a server takes the data directory for itself. Raises `InvalidInput` where a file does not hold what it should, and
    what opening a bundle raises.
    """
    known = authenticate if authenticate is not None else HashedTokens.read(settings.tokens)
    wallets = _Wallets(settings, clock)
    root = read_root(_bytes(settings.trust_root)) if settings.trust_root is not None else None
    if settings.bundle is not None:
        bundle = BundleFile(settings.bundle, root, clock)
        purposes = load_purposes(settings.purposes)
        return _offline(settings, bundle, known, _replay_guard(settings, claim), wallets, purposes)
    if root is None:
        raise InvalidInput("setting_missing", "a verifier needs a trust root or a bundle")
    purposes = load_purposes(settings.purposes)
    replay = _replay_guard(settings, claim)
    followed = settings.followed
    hosts = [HttpTrustList(issuer.url + TRUST_PATH) for issuer in followed]
    trust = TrustSource(root, hosts, clock, cache=settings.data / "trust-list.json", background=True)
    files = [_mirror_file(settings, place, issuer) for place, issuer in enumerate(followed)]
    mirrors = tuple(Mirror(file, issuer=issuer.issuer) for file, issuer in zip(files, followed, strict=True))
    followers = tuple(
        _follower(mirror, file, issuer, trust, clock)
        for mirror, file, issuer in zip(mirrors, files, followed, strict=True)
    )
    fetched = settings.fetch_statuses
    others = None if fetched is FetchStatuses.NO else HttpStatuses(trust, clock, allowed=fetched)
    all_mirrors = Mirrors(mirrors, others)
    policy = replace(ONLINE_POLICY, minimum_assurance=settings.minimum_assurance)
    numbers = HttpNumbers([(issuer.url, issuer.feed_token) for issuer in followed])
    service = VerificationService(
        *(trust, all_mirrors, all_mirrors, replay, policy, clock),
        audience=settings.audience,
        numbers=numbers,
        at_hand=Mirrors(mirrors),
    )
    facts = HttpFacts({issuer.issuer: (issuer.url, issuer.feed_token) for issuer in followed})
    published = {issuer.issuer: PublishedStatus(issuer.url) for issuer in followed}
    bundles = CounterBundles(published, lambda: trust.root, lambda: _version_of(trust), clock)
    counters = open_counters(settings.data, service, facts, purposes, bundles, settings.counter_origins)
    made: list[Verifier] = []
    readiness = readiness_of(trust, all_mirrors, policy, clock, followers)
    asking = wallets.open(service, trust)
    app = create_app(
        service,
        known,
        counters=counters,
        readiness=readiness,
        lifespan=_lifespan(made),
        presentations=asking,
        address_of=believed_address(settings.trusted_proxies),
    )
    made.append(Verifier(app, service, trust, replay, counters, readiness, followers, mirrors, presentations=asking))
    return made[0]


def _follower(
    mirror: Mirror, file: Path, issuer: FollowedIssuer, trust: TrustProvider, clock: Callable[[], datetime]
) -> Follower:
    token = issuer.feed_token
    snapshots, growing = HttpSnapshots(issuer.url + SNAPSHOT_PATH, token), Path(f"{file}.snapshot")
    beginning = Beginning(mirror, issuer.issuer, snapshots, trust, clock, growing)
    return Follower(mirror, HttpFeed(issuer.url + FEED_PATH, token), trust, clock, beginning=beginning)


class _Wallets:
    """What is asked of wallets needs: read at once, so that a bad file is said before anything is made."""

    def __init__(self, settings: VerifierSettings, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._settings = settings
        self._keys = request_keys(settings)
        self._others = other_issuers(settings.trusted_issuers, settings.fetch_statuses)

    def open(self, service: VerificationService, trust: TrustProvider) -> Presentations | None:
        """None where this verifier has no key or no address for it."""
        base, data = self._settings.public_url, self._settings.data
        return open_presentations(service, trust, self._keys, self._others, self.clock, base=base, data=data)


def _mirror_file(settings: VerifierSettings, place: int, issuer: FollowedIssuer) -> Path:
    """One file per issuer, however the settings list them; that of the single settings keeps its name."""
    if place == 0 and settings.issuer_url:
        return settings.data / "mirror.sqlite3"
    return settings.data / f"mirror-{hashlib.sha256(issuer.issuer.encode()).hexdigest()[:16]}.sqlite3"


def _replay_guard(settings: VerifierSettings, claim: Callable[[], None]) -> ReplayGuard:
    """The first file that is made."""
    claim()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ReplayGuard(settings.data / "replay.sqlite3")


def _offline(
    settings: VerifierSettings,
    bundle: BundleFile,
    known: Authenticate,
    replay: ReplayGuard,
    wallets: _Wallets,
    purposes: Purposes,
) -> Verifier:
    if bundle.root is None:
        LOGGER.warning("the trust root came from the bundle itself; pin one with ECARD_VERIFIER_TRUST_ROOT")
    policy = replace(Policy(), minimum_assurance=settings.minimum_assurance)
    clock = wallets.clock
    service = VerificationService(bundle, bundle, None, replay, policy, clock, audience=settings.audience)

    def readiness() -> Ready:
        current = clock().timestamp() < bundle.until
        return Ready(ready=current, trust=current, statuses=current, bundle_error=bundle.last_error)

    bundles = CounterBundles({"": bundle}, lambda: bundle.root, lambda: _version_of(bundle), clock)
    bundle.when_renewed(bundles.renew)
    counters = open_counters(settings.data, service, None, purposes, bundles, settings.counter_origins)
    made: list[Verifier] = []
    asking = wallets.open(service, bundle)
    app = create_app(
        service,
        known,
        counters=counters,
        readiness=readiness,
        lifespan=_lifespan(made),
        presentations=asking,
        address_of=believed_address(settings.trusted_proxies),
    )
    made.append(Verifier(app, service, bundle, replay, counters, readiness, bundle=bundle, presentations=asking))
    return made[0]


def _version_of(trust: TrustProvider) -> int:
    held = trust.current()
    return 0 if held is None else held.version


def readiness_of(
    trust: TrustProvider,
    statuses: Dated,
    policy: Policy,
    clock: Callable[[], datetime],
    followers: Sequence[Follower] = (),
) -> Callable[[], Ready]:
    """Ready when the trust list has not expired and what is known of statuses is good for `valid`. Trust that cannot
    be renewed is still trust, and says so before it ends. Of `followers`, the first whose snapshot was refused."""

    def readiness() -> Ready:
        now = clock().timestamp()
        held, as_of = trust.current(), statuses.as_of
        trusted = held is not None and now < held.expires_at
        recent = as_of is not None and now - as_of <= policy.status_fresh
        state = trust.state if isinstance(trust, TrustSource) else None
        return Ready(
            ready=trusted and recent,
            trust=trusted,
            statuses=recent,
            trust_error=state.last_error if state else None,
            trust_age=state.age if state else None,
            status_age=None if as_of is None else max(0, int(now - as_of)),
            snapshot_error=next((error for one in followers if (error := one.state.snapshot_error) is not None), None),
        )

    return readiness


def _lifespan(made: list[Verifier]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        made[0].start()
        try:
            yield
        finally:
            made[0].stop()

    return lifespan


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InvalidInput("bad_setting", "a file that the settings name cannot be read") from None
