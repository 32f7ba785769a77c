"""When to ask again, and after how long: full jitter, so that a thousand clients do not come back in step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ecard_sdk.errors import ConnectionFailedError, ECardError

_FIRST: Final = 0.5  # seconds, doubled each time
_LONGEST: Final = 5.0
#: A service that asks for more than this is not waited for: the caller learns `retry_after`.
_PATIENCE: Final = 60.0
_PASSING: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `limit` repetitions of a call. `jitter` gives a number from 0 to 1."""

    limit: int = 2
    jitter: Callable[[], float] = random.random

    def pause(self, repeated: int, fault: ECardError) -> float | None:
        """How long to wait before the next try after `repeated` repetitions; None: give up and raise `fault`."""
        if repeated >= self.limit or not _passes(fault) or (fault.retry_after or 0.0) > _PATIENCE:
            return None
        longest = min(_LONGEST, _FIRST * 2.0**repeated)
        return (fault.retry_after or 0.0) + longest * self.jitter()


def _passes(fault: ECardError) -> bool:
    if isinstance(fault, ConnectionFailedError) or fault.http_status in _PASSING:
        return True
    return fault.http_status == 409 and fault.code == "idempotency_in_flight"
