"""How an empty mirror begins: with its issuer's snapshot where there is one that can be believed, else at event 1.

A mirror that has heard anything of its feed never takes one. Whatever is wrong with a snapshot costs time and no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import CheckFailed, EcardError, NotFound, Unavailable
from ecard_verifier.feed import SKEW
from ecard_verifier.feed_snapshot import AcceptedManifest, SnapshotSource, accept_manifest
from ecard_verifier.mirror import Mirror
from ecard_verifier.mirror_copy import MirrorCopy, discard
from ecard_verifier.mirror_file import Awaited
from ecard_verifier.trust_source import TrustProvider

LOGGER: Final = logging.getLogger("ecard.feed")
#: Seconds without a chunk, and snapshots that are begun with, before a mirror folds from event 1 instead. That takes
#: hours, and an issuer that is away cannot be folded from either.
PATIENCE: Final = 600.0
MOST_BEGUN: Final = 3
#: Refusals that a newer trust list may turn, and those that hinder folding just as much.
_MAY_HAVE_CHANGED: Final = frozenset({"unknown_key", "key_not_active"})
_WITHOUT_TRUST: Final = frozenset({"trust_missing", "trust_expired"})


class Beginning:
    """The beginning of `mirror`, whose feed is that of `issuer`. `path` is where the file grows that becomes the
    mirror's, on the same file system. For one thread."""

    def __init__(
        self,
        mirror: Mirror,
        issuer: str,
        source: SnapshotSource,
        trust: TrustProvider,
        clock: Callable[[], datetime],
        path: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mirror, self._issuer, self._source = mirror, issuer, source
        self._trust, self._clock, self._path, self._monotonic = trust, clock, path, monotonic
        self._error: str | None = None
        self._decided = False
        self._failing_since: float | None = None
        self._begun = 0

    @property
    def error(self) -> str | None:
        """Why the mirror was folded from event 1 although there was a snapshot: a stable code."""
        return self._error

    def refute(self, code: str) -> None:
        """The feed does not bear the snapshot out: forget all of it, and fold from event 1."""
        self._mirror.forget()
        self._refuse(code)

    def make(self, stopping: threading.Event) -> None:
        """Return once it is settled how the mirror begins, or when `stopping` is set.

        Raises `Unavailable` where another try may do better, and `CheckFailed` `trust_missing`, `trust_expired`.
        """
        if self._decided:
            return
        if not self._mirror.empty:
            discard(self._path)
            self._decided = True
            return
        try:
            while not stopping.is_set() and not self._decided:
                self._decided = self._taken(stopping)
        except EcardError as error:
            if error.code in _WITHOUT_TRUST:
                raise
            if isinstance(error, Unavailable) and error.code != "algorithm_unavailable":
                now = self._monotonic()
                if self._failing_since is None:
                    self._failing_since = now
                if now - self._failing_since < PATIENCE:
                    raise
            self._refuse(error.code)

    def _refuse(self, code: str) -> None:
        self._error, self._decided = code, True
        LOGGER.warning("feed: the snapshot was refused (%s); folding from event 1", code)
        discard(self._path)

    def _taken(self, stopping: threading.Event) -> bool:
        """Whether it is settled. False where the snapshot was replaced meanwhile, or we are to stop."""
        copy = MirrorCopy(self._path)
        try:
            found = self._resumed(copy) or self._fresh(copy)
            if found is None:
                LOGGER.info("feed: the issuer has no snapshot; folding from event 1")
                return True
            manifest = found.manifest
            for place in range(copy.taken, len(manifest.chunks)):
                if stopping.is_set():
                    return False
                chunk = manifest.chunks[place]
                try:
                    data = self._source.chunk(manifest.number, place, chunk)
                except NotFound:
                    copy.discard()
                    if self._begun >= MOST_BEGUN:
                        raise
                    return False
                chunk.require(data)
                copy.add(chunk, data)
                self._failing_since = None
            # A list that came meanwhile may have denied the signer.
            self._accepted(copy.manifest or "")
            # An issuer gives out what its feed has named: whatever it says of a later time comes after that event.
            copy.complete(manifest, Awaited(found.digest, int(self._clock().timestamp()) + SKEW))
            self._mirror.adopt(self._path)
        finally:
            copy.close()
        LOGGER.info("feed: began with the snapshot of event %d, %d chunks", manifest.seq, len(manifest.chunks))
        self._error = None
        return True

    def _resumed(self, copy: MirrorCopy) -> AcceptedManifest | None:
        """What the copy was begun with, if that may still be taken."""
        held = copy.manifest
        if held is None:
            return None
        try:
            found = self._accepted(held)
        except EcardError as error:
            if error.code in _WITHOUT_TRUST:
                raise
            copy.discard()
            return None
        LOGGER.info("feed: going on with a snapshot at chunk %d of %d", copy.taken, len(found.manifest.chunks))
        return found

    def _fresh(self, copy: MirrorCopy) -> AcceptedManifest | None:
        """The issuer's newest, with which the copy begins; None where there is none."""
        token = self._source.manifest()
        if token is None:
            return None
        found = self._accepted(token)
        self._begun += 1
        copy.begin(token)
        size = sum(chunk.length for chunk in found.manifest.chunks)
        LOGGER.info("feed: taking the snapshot of event %d, %d bytes", found.manifest.seq, size)
        return found

    def _accepted(self, token: str) -> AcceptedManifest:
        try:
            return accept_manifest(token, self._issuer, self._trust.current(), self._clock())
        except CheckFailed as error:
            if error.code not in _MAY_HAVE_CHANGED or not self._trust.refresh():
                raise
            return accept_manifest(token, self._issuer, self._trust.current(), self._clock())
