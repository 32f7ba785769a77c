"""What counters' pages need where they have no network: one bundle of all issuers that this verifier follows, and the
deltas since, verified before they are handed on.

It is fetched in the background, while counters ask, and kept in memory: a counter's question is never a question to an
issuer. `docs/formats/counter-bundle.md` has what a page gets.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import EcardError, NotFound, Unavailable
from ecard_keys.trust.root import TrustRoot, root_from_json
from ecard_verifier.bundle import MAX_BUNDLE, Bundle, make_bundle, open_bundle
from ecard_verifier.bundle_update import OUTGROWN, PublishedSource, missing_deltas

LOGGER: Final = logging.getLogger("ecard.counters")
FORMAT: Final = "ecard-counter-bundle/1"
PAUSE: Final = 15.0  # seconds between two looks at the issuers' deltas
LOOK_AGAIN: Final = 3600.0  # after so many seconds whole bundles are fetched: there may be lists opened since
OLDEST: Final = 6 * 3600.0  # seconds that pages build on one bundle
MOST_DELTAS: Final = 4096  # of one bundle; then a new one is smaller
IDLE: Final = 900.0  # seconds after the last question in which nothing more is fetched
COOL_DOWN: Final = 5.0  # seconds between two attempts while there is no bundle at all
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class CounterBundle:
    """The body that pages get, plain and as gzip; `etag` is a strong one, without quotes."""

    body: bytes = field(repr=False)
    packed: bytes = field(repr=False)
    etag: str


@dataclass(slots=True)
class _Base:
    """A bundle as handed out, opened, and what came since. `name` is in every place that a page holds."""

    name: str
    opened: Bundle
    lists: frozenset[str]
    answer: CounterBundle
    made_at: float
    looked_at: float
    deltas: list[str] = field(default_factory=list, repr=False)


class CounterBundles:
    """Safe from several threads. `sources` are the issuers by name; `root` is the trust root that is pinned, None where
    the bundle itself has to be believed; `trust_version` the newest trust list that is known otherwise.

    One issuer that cannot be asked keeps nobody from the others: its cards are undecided without a network.
    """

    def __init__(
        self,
        sources: Mapping[str, PublishedSource],
        root: Callable[[], TrustRoot | None],
        trust_version: Callable[[], int],
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources, self._root, self._trust_version = dict(sources), root, trust_version
        self._clock, self._monotonic = clock, monotonic
        self._making = threading.Lock()  # one turn at a time; may be held for seconds
        self._base: _Base | None = None
        self._asked_at = self._tried_at = float("-inf")
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def bundle(self) -> CounterBundle:
        """The bundle to begin with. Only the first one is waited for. Raises `Unavailable` `published_unavailable`."""
        return self._held().answer

    def deltas(self, after: str) -> tuple[Sequence[str], str]:
        """The deltas after the place `after`, at most `PAGE` of them, and the place behind them.

        Raises `NotFound` `status_delta_gone` where the place is in no bundle of now: then the whole one is wanted.
        """
        base = self._held()
        name, _, number = after.partition(".")
        known = number.isascii() and number.isdigit() and len(number) <= 6
        if name != base.name or not known or int(number) > len(base.deltas):
            raise NotFound("status_delta_gone", "no place in the present bundle; fetch the whole one")
        found = base.deltas[int(number) : int(number) + PAGE]
        return found, f"{base.name}.{int(number) + len(found)}"

    def start(self) -> None:
        """Begin to look after it in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="ecard-counters", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        """End the thread; waits for a question under way up to `timeout` seconds."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def renew(self) -> None:
        """What it was made of has changed: a new one now. Raises what `bundle` raises."""
        with self._making:
            self._rebuild(anyway=True)

    def turn(self) -> None:
        """Look once: new deltas, or a new bundle where they do not lead on."""
        with self._making:
            base, now = self._base, self._monotonic()
            if base is None or self._outgrown(base, now) or not self._extend(base):
                self._rebuild(anyway=True)
            elif now - base.looked_at >= LOOK_AGAIN:
                self._rebuild(anyway=False)

    def _held(self) -> _Base:
        self._asked_at = self._monotonic()
        if self._base is None:
            with self._making:
                if self._base is None and self._monotonic() - self._tried_at >= COOL_DOWN:
                    self._rebuild(anyway=True)
        self._woken.set()
        if self._base is None:
            raise Unavailable("published_unavailable", "no issuer's bundle could be had yet")
        return self._base

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._monotonic() - self._asked_at > IDLE:
                self._woken.clear()
                self._woken.wait()
                continue
            try:
                self.turn()
            except EcardError as error:
                LOGGER.warning("the counters' bundle stays as it is: %s", error.code)
            except Exception as error:  # noqa: BLE001 - a thread that dies quietly would never come back
                LOGGER.error("the counters' bundle stumbled: %s", type(error).__name__)
            self._stopped.wait(PAUSE)

    def _outgrown(self, base: _Base, now: float) -> bool:
        newer_keys = self._trust_version() > base.opened.trust.version
        return newer_keys or now - base.made_at >= OLDEST or len(base.deltas) >= MOST_DELTAS

    def _extend(self, base: _Base) -> bool:
        """Takes the deltas that there are. False where they do not lead on."""
        for issuer, place in base.opened.statuses.places().items():
            source = self._sources.get(issuer)
            if source is None:
                continue
            try:
                for token in missing_deltas(source, place):
                    delta = base.opened.statuses.apply(token, self._clock())
                    base.deltas.append(token)
                    if delta.trust_list > base.opened.trust.version:
                        return False
            except EcardError as error:
                if error.code in OUTGROWN:
                    return False
                LOGGER.info("deltas of one issuer could not be had: %s", error.code)
        return True

    def _rebuild(self, *, anyway: bool) -> None:
        """A new base, unless (`anyway` False) it would say of no other lists and keys than the one at hand."""
        self._tried_at = self._monotonic()
        held, now, root = self._base, self._clock(), self._root()
        parts, failure = [], None
        for source in self._sources.values():
            try:
                data = source.bundle()
                parts.append((open_bundle(data, now, root), data))
            except EcardError as error:
                failure = error
        if held is not None and failure is not None:
            raise failure  # what is at hand speaks of all of them, and ages by itself
        if not parts:
            raise failure or Unavailable("published_unavailable", "there is no issuer to ask")
        data = _joined(parts, now)
        opened = open_bundle(data, now, root)
        lists = opened.statuses.lists()
        if held is not None:
            held.looked_at = self._tried_at
            if not anyway and opened.trust.version == held.opened.trust.version and lists <= held.lists:
                return
        name = secrets.token_hex(6)
        body = b'{"format":"%s","cursor":"%s.0","bundle":%s}' % (FORMAT.encode(), name.encode(), data)
        answer = CounterBundle(body, gzip.compress(body, 6, mtime=0), hashlib.sha256(body).hexdigest()[:32])
        self._base = _Base(name, opened, lists, answer, self._tried_at, self._tried_at)


def _joined(parts: Sequence[tuple[Bundle, bytes]], now: datetime) -> bytes:
    """One bundle of several issuers' bundles: the newest trust list, and all status lists."""
    if len(parts) == 1:
        return parts[0][1]
    read = [(opened.trust.version, _members(data)) for opened, data in parts]
    _, newest = max(read, key=lambda part: part[0])
    tokens = {str(token): None for _, content in read for token in _list(content["status_lists"])}
    chain = [jose.dump_json(document) for document in _list(newest.get("root_chain", []))]
    document = jose.dump_json(newest["trust_list"])
    return make_bundle(root_from_json(newest["root"]), document, tokens, made_at=now, chain=chain)


def _members(data: bytes) -> Mapping[str, object]:
    content = jose.parse_json(data, limit=MAX_BUNDLE)
    return content if isinstance(content, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
