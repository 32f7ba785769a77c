"""How many verifications there were, by outcome, reason and purpose: since this process began, in its memory."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

#: The purpose of a verification that named none.
NO_PURPOSE: Final = "none"


class Tally:
    """Safe from several threads. What is counted comes from codes and purposes of ours, never from a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count(self, outcome: str, reason: str, purpose: str | None) -> None:
        """One more."""
        with self._lock:
            self._counts[outcome, reason, purpose or NO_PURPOSE] += 1

    def counts(self) -> dict[tuple[str, str, str], int]:
        """By outcome, reason and purpose."""
        with self._lock:
            return dict(self._counts)
