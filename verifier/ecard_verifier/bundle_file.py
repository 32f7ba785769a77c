"""The bundle of a verifier that works from a file: read at the start, and again whenever the file is another one.

Whoever brings a newer bundle puts it in the file's place. It counts from the moment that all of it was verified; one
that is older, or does not hold, changes nothing and is said.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.trust.root import TrustRoot, root_from_json
from ecard_verifier.bundle import MAX_BUNDLE, Bundle, open_bundle
from ecard_verifier.statuses import StatusReading
from ecard_verifier.trust_source import FixedTrust

LOGGER: Final = logging.getLogger("ecard.verifier")
PAUSE: Final = 2.0  # seconds between two looks at the file

Mark = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    bundle: Bundle
    data: bytes = field(repr=False)
    mark: Mark


class BundleFile(FixedTrust):
    """`Statuses`, `Dated`, `TrustProvider` and `PublishedSource` over the bundle in `path`. Safe from several threads.

    `root` pins the trust root; without one, the first bundle's own is kept to. Raises `InvalidInput` `bad_setting`
    where the file cannot be read, and what opening a bundle raises.
    """

    def __init__(self, path: Path, root: TrustRoot | None, clock: Callable[[], datetime]) -> None:
        self._path, self._clock, self._pinned = path, clock, root is not None
        mark = _mark_of(path)
        data = _read(path)
        self._root = root or _root_of(data)
        bundle = open_bundle(data, clock(), root)
        super().__init__(bundle.trust)
        self._held = _Held(bundle, data, mark)
        self._seen = mark
        self._renewed: list[Callable[[], None]] = []
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.last_error: str | None = None

    @property
    def root(self) -> TrustRoot | None:
        """The root that was pinned, if one was."""
        return self._root if self._pinned else None

    @property
    def until(self) -> int:
        """After this time (NumericDate) every check is undecided."""
        return self._held.bundle.until

    @property
    def as_of(self) -> int | None:
        """The oldest time as of which an issuer's statuses are known."""
        places = self._held.bundle.statuses.places().values()
        return min((place.as_of for place in places), default=self._held.bundle.made_at)

    def read(self, uri: str, index: int) -> StatusReading:
        """See `Statuses.read`."""
        return self._held.bundle.statuses.read(uri, index)

    def bundle(self) -> bytes:
        """The bundle that counts now."""
        return self._held.data

    def deltas_from(self, position: int) -> list[str]:
        """Nobody brings deltas but in a bundle."""
        return []

    def deltas_since(self, number: int) -> list[str]:
        """Nobody brings deltas but in a bundle."""
        return []

    def when_renewed(self, call: Callable[[], None]) -> None:
        """`call` is called after each change."""
        self._renewed.append(call)

    def start(self) -> None:
        """Begin to look at the file in a thread of its own."""
        self._thread = threading.Thread(target=self._watch, name="ecard-bundle", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        """End it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def look(self) -> bool:
        """Look at the file once; True if there is a newer bundle now. What is wrong with it stands in `last_error`."""
        before = self._seen
        try:
            mark = _mark_of(self._path)
            if mark == self._seen:
                return False
            self._seen = mark  # a file that does not hold is not read again until it is another one
            self._take(_read(self._path), mark)
        except EcardError as error:
            if self._seen != before or error.code != self.last_error:  # once for each file
                LOGGER.warning("the bundle in the file is not taken, and the one before it stays: %s", error.code)
            self.last_error = error.code
            return False
        LOGGER.info("a newer bundle counts from now on")
        for call in self._renewed:
            call()
        self.last_error = None
        return True

    def _take(self, data: bytes, mark: Mark) -> None:
        bundle, before = open_bundle(data, self._clock(), self._root), self._held.bundle
        known = before.statuses.places()
        back = any(
            place.position < known[issuer].position
            for issuer, place in bundle.statuses.places().items()
            if issuer in known
        )
        if back or bundle.made_at < before.made_at or bundle.trust.version < before.trust.version:
            raise CheckFailed("bundle_older", "the file holds an older bundle than the one in use")
        self._held = _Held(bundle, data, mark)
        self._trust = bundle.trust.denying(self._denials.against(bundle.trust.issuers))

    def _watch(self) -> None:
        while not self._stopped.wait(PAUSE):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a thread that dies quietly would never come back
                LOGGER.error("looking at the bundle's file stumbled: %s", type(error).__name__)


def _mark_of(path: Path) -> Mark:
    try:
        status = path.stat()
    except OSError:
        raise InvalidInput("bad_setting", "the file of the bundle cannot be read") from None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BUNDLE + 1)
    except OSError:
        raise InvalidInput("bad_setting", "the file of the bundle cannot be read") from None


def _root_of(data: bytes) -> TrustRoot:
    try:
        content = jose.parse_json(data, limit=MAX_BUNDLE)
    except InvalidInput as error:
        raise InvalidInput("bad_bundle", f"the bundle does not parse: {error.detail}") from None
    return root_from_json(content.get("root") if isinstance(content, dict) else None)
