"""Places that verify e-cards, each with its own habit of fetching trust: what it knows is always from a known second.

Four habits: a client that keeps a trust list for a fixed time, a terminal with a bundle and no network, a verifier with
a `TrustSource` and no feed, and one that follows the feed. All of them run the product's code; only the clock is ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ecard_card.errors import EcardError, Unavailable
from ecard_issuer.feed_hub import FeedHub
from ecard_issuer.feed_hub import Follower as Reader
from ecard_issuer.publishing.publisher import RENEWALS_PER_LIFE, Form
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import TrustList, open_trust_list
from ecard_sdk.offline import OfflineVerifier
from ecard_verifier.bundle import open_bundle
from ecard_verifier.check import check
from ecard_verifier.follower import Follower
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import StatusSnapshot, accept_status_token
from ecard_verifier.trust_source import TrustSource
from ecard_verifier.verdict import Verdict
from tests.issuer.office import ISSUER
from tests.journeys.turning_office import TurningOffice

AUDIENCE, NONCE = "counter", "a nonce of the counter"


class Shape(StrEnum):
    """How an e-card is shown."""

    WHOLE = "EC1"
    SHORT = "EC0"
    SELECTIVE = "SD-JWT"


class Host:
    """What the issuer publishes, as seen through a cache that may lag behind by up to the rules' margin."""

    def __init__(self, office: TurningOffice) -> None:
        self.office = office
        self.clock, self.root = office.clock, office.ring.root()
        self._lists: deque[tuple[datetime, bytes]] = deque(maxlen=16)
        self.note()

    def note(self) -> None:
        """Remember what is published now."""
        document = self.office.ring.document()
        if not self._lists or self._lists[-1][1] != document:
            self._lists.append((self.clock(), document))

    def trust_list(self, lag: int = 0) -> bytes:
        """The list as it was `lag` seconds ago."""
        then = self.clock() - timedelta(seconds=lag)
        return next((document for at, document in reversed(self._lists) if at <= then), self._lists[0][1])

    def status_lists(self) -> list[str]:
        office, now = self.office, self.clock()
        rows = office.counter.register.status_lists()
        return [office.publisher.status_list(row.list_id, Form.JWT, now).body.decode() for row in rows]

    def policy(self, every: int) -> Policy:
        """What suits a place that fetches status lists every so often: an unchanged list is not signed anew at once."""
        oldest = every + int(self.office.rules.status_life.total_seconds()) // RENEWALS_PER_LIFE + 1
        return Policy(status_fresh=oldest, status_usable=oldest)

    def bundle(self) -> bytes:
        return self.office.publisher.bundle(self.clock()).body


class Checkpoint(ABC):
    """One place. `trust_as_of` and `status_as_of` say from which second its knowledge is, `stale` how old it may get.

    `trouble` lists what it was offered by the issuer and refused: nothing, when all goes well.
    """

    shapes: tuple[Shape, ...] = (Shape.WHOLE, Shape.SELECTIVE)

    def __init__(self, host: Host, name: str, stale: int) -> None:
        self.host, self.clock, self.name, self.stale = host, host.clock, name, stale
        self.trust_as_of = self.status_as_of = datetime.min.replace(tzinfo=host.clock().tzinfo)
        self.trouble: list[str] = []
        self._second = 0

    def tick(self) -> None:
        """A second has passed."""
        self._second += 1
        try:
            self._tick()
        except EcardError as error:
            self.trouble.append(f"{self.name}: {error.code}")

    @abstractmethod
    def judge(self, shape: Shape, text: str) -> Verdict:
        """What this place says of a showing."""

    @abstractmethod
    def _tick(self) -> None:
        """What this place does each second."""

    def _due(self, every: int, phase: int = 0) -> bool:
        return self._second == 1 or (self._second - phase) % every == 0


class Keeping(Checkpoint):
    """Fetches the trust list every `every` seconds, `lag` seconds late, and status lists every `statuses`."""

    def __init__(self, host: Host, name: str, every: int, *, phase: int = 0, statuses: int = 30, lag: int = 0) -> None:
        super().__init__(host, name, statuses)
        self._every, self._phase, self._statuses, self._lag = every, phase, statuses, lag
        self._list: TrustList | None = None
        self._snapshot = StatusSnapshot()
        self._policy = host.policy(statuses)

    def _tick(self) -> None:
        now = self.clock()
        if self._due(self._every, self._phase):
            self._take(self.host.trust_list(self._lag), now)
        if self._due(self._statuses, self._phase % self._statuses):
            for token in self.host.status_lists():
                self._snapshot.put(accept_status_token(token, self._trust, now))
            self.status_as_of = now

    def _take(self, document: bytes, now: datetime) -> None:
        opened = open_trust_list(document, self.host.root, now=int(now.timestamp()), known=self._list)
        if self._list is None or opened.digest != self._list.digest:
            self._list, self._trust = opened, Trust.of(opened)
        self.trust_as_of = now - timedelta(seconds=self._lag)

    def judge(self, shape: Shape, text: str) -> Verdict:
        audience, nonce = _challenge(shape)
        return check(text, self._trust, self._snapshot, self.clock(), self._policy, audience=audience, nonce=nonce)


class Carrying(Checkpoint):
    """A terminal without a network: somebody brings it a bundle every `every` seconds."""

    def __init__(self, host: Host, name: str, every: int, *, phase: int = 0) -> None:
        super().__init__(host, name, every)
        self._every, self._phase = every, phase

    def _tick(self) -> None:
        if self._due(self._every, self._phase):
            opened = open_bundle(self.host.bundle(), self.clock(), self.host.root)
            self._terminal = OfflineVerifier(opened)
            self.trust_as_of = self.status_as_of = self.clock()

    def judge(self, shape: Shape, text: str) -> Verdict:
        audience, nonce = _challenge(shape)
        return self._terminal.verify(text, now=self.clock(), audience=audience, nonce=nonce)


class Asking(Checkpoint):
    """A verification service that asks its trust source by the source's own rules, and fetches status lists."""

    shapes = (Shape.WHOLE, Shape.WHOLE)

    def __init__(self, host: Host, name: str, refresh_after: int, *, statuses: int = 30) -> None:
        super().__init__(host, name, statuses)
        self._statuses, self._snapshot = statuses, StatusSnapshot()
        self._source = TrustSource(
            host.root,
            [self._fetch],
            host.clock,
            monotonic=lambda: host.clock().timestamp(),
            refresh_after=refresh_after,
        )
        policy = host.policy(statuses)
        self._service = VerificationService(self._source, self._snapshot, None, ReplayGuard(), policy, host.clock)

    def _fetch(self) -> bytes:
        self.trust_as_of = self.clock()
        return self.host.trust_list()

    def _tick(self) -> None:
        self._source.maintain()
        if self._due(self._statuses):
            trust = self._source.current()
            assert trust is not None
            for token in self.host.status_lists():
                self._snapshot.put(accept_status_token(token, trust, self.clock()))
            self.status_as_of = self.clock()

    def judge(self, shape: Shape, text: str) -> Verdict:
        return self._service.verify(text, counter=self.name).verdict


class Following(Checkpoint):
    """A verification service with a mirror of the feed. `away`: seconds from and until which it hears nothing."""

    shapes = (Shape.SHORT, Shape.WHOLE, Shape.SELECTIVE)

    def __init__(self, host: Host, name: str, *, away: tuple[int, int] = (0, 0)) -> None:
        super().__init__(host, name, max(1, away[1] - away[0] + 1))
        self._away = range(*away)
        self._mirror = Mirror(issuer=ISSUER)
        self._source = TrustSource(
            host.root, [self._fetch], host.clock, monotonic=lambda: host.clock().timestamp(), refresh_after=3600
        )
        self._policy = Policy(status_fresh=self.stale + 1, status_usable=self.stale + 1) if away[1] else ONLINE_POLICY
        self._service = VerificationService(
            self._source, self._mirror, self._mirror, ReplayGuard(), self._policy, host.clock
        )

    def _fetch(self) -> bytes:
        if self._second in self._away:
            raise Unavailable("trust_unavailable", "the line is down")
        return self.host.trust_list()

    def _tick(self) -> None:
        self._source.maintain()
        if self._second in self._away:
            return
        visit = Visit(self.host.office.counter.register, self.host.office.hub)
        visit.follower = Follower(self._mirror, visit, self._source, self.clock)
        visit.follower.run()
        if (failure := visit.follower.state.last_error) is not None:
            raise Unavailable(failure, "the follower stumbled")
        self.trust_as_of = self.status_as_of = self.clock()

    def judge(self, shape: Shape, text: str) -> Verdict:
        if shape is Shape.SELECTIVE:  # the service asks for no nonce: what a relying party with its own challenge does
            trust, now = self._source.current(), self.clock()
            return check(text, trust, self._mirror, now, self._policy, audience=AUDIENCE, nonce=NONCE)
        return self._service.verify(text, counter=self.name).verdict


@dataclass
class Visit:
    """A connection to the feed that plays what there is and then ends its follower's loop."""

    register: object
    hub: FeedHub
    follower: Follower | None = None

    def events(self, since: int, /) -> Iterator[str]:
        reader = Reader(self.register, self.hub, since)  # type: ignore[arg-type]
        while messages := reader.more():
            for message in messages:
                yield message.token
        assert self.follower is not None
        self.follower.stop()


def _challenge(shape: Shape) -> tuple[str | None, str | None]:
    """The audience and nonce that a presentation was made for."""
    return (AUDIENCE, NONCE) if shape is Shape.SELECTIVE else (None, None)


def every_habit(host: Host, longest: int, margin: int) -> Sequence[Checkpoint]:
    """Twenty-four places. The slowest keep a list for the longest time the settings allow, fetched in the very second
    before the first news; one gets it through a cache that lags by the whole margin besides."""
    half, third = longest // 2, longest // 3
    return (
        Keeping(host, "keeps 10 s", 10, statuses=10),
        Keeping(host, "keeps 20 s", 20, phase=7, statuses=20),
        Keeping(host, "keeps 30 s", 30, phase=11),
        Keeping(host, "keeps a third", third, phase=5),
        Keeping(host, "keeps half", half, phase=half - 1),
        Keeping(host, "keeps half, shifted", half, phase=13),
        Keeping(host, "keeps longest", longest),
        Keeping(host, "keeps longest, shifted", longest, phase=half),
        Keeping(host, "keeps longest, just missed it", longest, phase=1),
        Keeping(host, "keeps longest, behind a slow cache", longest, phase=1 + margin, lag=margin),
        Carrying(host, "bundle, 30 s", 30),
        Carrying(host, "bundle, third", third, phase=third - 1),
        Carrying(host, "bundle, half", half, phase=3),
        Carrying(host, "bundle, longest", longest, phase=half + 1),
        Carrying(host, "bundle, longest, just missed it", longest, phase=1),
        Asking(host, "asks after 10 s", 10),
        Asking(host, "asks after a third", third),
        Asking(host, "asks after half", half),
        Asking(host, "asks after longest", longest),
        Following(host, "follows 1"),
        Following(host, "follows 2"),
        Following(host, "follows 3"),
        Following(host, "follows, away for a third", away=(half, half + third)),
        Following(host, "follows, away for longest", away=(third, third + longest)),
    )
