"""Whom the authority itself believes: its newest trust list, less its own keys that were declared stolen.

With offline roots a list says that a key was stolen only after a ceremony; verifiers hear of it by the feed, and this
reads it in the register.
"""

from __future__ import annotations

from datetime import datetime

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_issuer.keyring import KeyRing
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust import DeniedKey, Trust


class OwnTrust:
    """Opens each list once. Safe in threads: what is remembered is one immutable pair."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._opened: tuple[bytes, Trust] | None = None

    def __call__(self, now: datetime) -> Trust:
        """Whether the list has expired is for `check` to see. Raises as `KeyRing.trust` for one that does not open."""
        document = self._keys.document()
        opened = self._opened
        if opened is None or opened[0] != document:
            opened = (document, self._keys.trust(now))
            self._opened = opened
        return opened[1].denying(self._stolen())

    def _stolen(self) -> list[DeniedKey]:
        return [
            DeniedKey(
                jose.thumbprint(jose.jwk_of(row.public, Algorithm(row.algorithm))),
                None if row.compromised_from is None else int(row.compromised_from.timestamp()),
            )
            for row in self._keys.rows([KeyPurpose.CREDENTIAL])
            if row.state == KeyState.COMPROMISED
        ]
