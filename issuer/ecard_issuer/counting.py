"""A signing desk that counts what it signed, for the metrics: numbers per profile, nothing about anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock

from ecard_keys.desk.desk import SigningDesk, SigningProfile


class CountingDesk:
    """A `SigningDesk` over another one. Counts since this process began, under a lock."""

    def __init__(self, desk: SigningDesk) -> None:
        self._desk = desk
        self._signed: Counter[SigningProfile] = Counter()
        self._lock = Lock()

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        """See `SigningDesk.sign`. A batch that was refused or failed counts for nothing."""
        signatures = self._desk.sign(profile, key_id, drafts, now)
        with self._lock:
            self._signed[profile] += len(signatures)
        return signatures

    def counts(self) -> Mapping[SigningProfile, int]:
        """Signatures by profile, zeros too."""
        with self._lock:
            return {profile: self._signed[profile] for profile in SigningProfile}
