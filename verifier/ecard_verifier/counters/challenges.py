"""The counter shows first: challenges of a counter's page, each for one purpose and for two minutes.

A code that answers one is good for it alone, so a code that is relayed from a screen far away fits nowhere
(docs/formats/code.md, "Challenges"). A payment's challenge comes from the authority, which also signs what follows.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import NotFound
from ecard_card.jose import b64url_encode
from ecard_qr.challenge import MAX_NAME, Challenge, parse_challenge
from ecard_verifier.counters.entrance import require_staff
from ecard_verifier.counters.model import Standing
from ecard_verifier.counters.ports import Ledger
from ecard_verifier.purposes.purposes import Purpose

CHALLENGE_LIFE: Final = timedelta(minutes=2)
_PREFIX: Final = "cha_"


@dataclass(frozen=True, slots=True)
class Shown:
    """A challenge as the page shows it."""

    challenge_id: str
    challenge: Challenge


class Challenges:
    """Safe from several threads, and beside other processes on one store."""

    def __init__(self, ledger: Ledger, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._ledger, self._random = ledger, random

    def make(self, standing: Standing, purpose: Purpose, now: datetime) -> Shown:
        """A new one of the counter whose page asks. Raises `NotAllowed` `staff_needed`."""
        require_staff(standing)
        counter, nonce = standing.counter, self._random(16)
        named = f"{standing.group.name} {counter.name}"[:MAX_NAME].strip()
        until = now.replace(microsecond=0) + CHALLENGE_LIFE
        challenge = Challenge(counter.audience, named, purpose.purpose, int(until.timestamp()), nonce)
        challenge_id = _PREFIX + b64url_encode(nonce)
        self._ledger.add_challenge(challenge_id, counter.counter_id, challenge.text, until)
        return Shown(challenge_id, challenge)

    def of(self, challenge_id: str, counter_id: str, purpose: str, now: datetime) -> Challenge:
        """One that this counter shows now for this purpose. Raises `NotFound` `challenge_unknown`, whatever is wrong
        with it: the page asks for a new one."""
        text = self._ledger.challenge(challenge_id, counter_id, now)
        challenge = None if text is None else parse_challenge(text)
        if challenge is None or challenge.purpose != purpose:
            raise NotFound("challenge_unknown", "no such challenge of this counter and purpose, or it is over")
        return challenge
