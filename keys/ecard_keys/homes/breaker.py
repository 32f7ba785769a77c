"""A circuit breaker for a key home that is reached over a network or a bus: it does not let every caller wait.

After a failure of the connection, callers are refused at once for a pause; then one of them, and only one at a time,
tries the home again. The first answer of any kind closes the circuit: a refusal by the home is an answer too.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from ecard_card.errors import Unavailable

#: Seconds without a new attempt after a failed one. Homes must serve again within 5 s of their return.
PAUSE = 1.0
#: The codes that mean "nobody answered": only these open the circuit.
CONNECTION_FAILURES = frozenset({"key_home_unavailable", "key_home_timeout"})


class Breaker:
    """Wraps each attempt to reach a home: `with breaker.attempt(): ...`. Safe for threads; never waits.

    `monotonic` gives seconds on a clock that never goes back. `trips` are the codes of `Unavailable` that open it.
    """

    def __init__(
        self, *, monotonic: Callable[[], float], pause: float = PAUSE, trips: frozenset[str] = CONNECTION_FAILURES
    ) -> None:
        self._monotonic = monotonic
        self._pause = pause
        self._trips = trips
        self._lock = threading.Lock()
        self._open = False
        self._open_until = 0.0
        self._trial = False  # somebody is trying right now

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Run the block if the circuit allows; raise `Unavailable` `key_home_unavailable` if not.

        What the block raises passes through unchanged.
        """
        on_trial = self._enter()
        try:
            yield
        except Unavailable as error:
            self._leave(on_trial, failed=error.code in self._trips)
            raise
        except Exception:
            self._leave(on_trial, failed=False)
            raise
        except BaseException:  # interrupted: that says nothing about the home
            with self._lock:
                self._trial = self._trial and not on_trial
            raise
        else:
            self._leave(on_trial, failed=False)

    def _enter(self) -> bool:
        """Whether this attempt is the one trial."""
        with self._lock:
            if not self._open:
                return False
            if self._trial or self._monotonic() < self._open_until:
                raise Unavailable("key_home_unavailable", "the key home failed a moment ago and is not asked again yet")
            self._trial = True
            return True

    def _leave(self, on_trial: bool, *, failed: bool) -> None:
        with self._lock:
            if on_trial:
                self._trial = False
            self._open = failed
            if failed:
                self._open_until = self._monotonic() + self._pause
