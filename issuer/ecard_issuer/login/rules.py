"""The times and secrets of scanning (RFC 10027, BCP 247): pure, over randomness that is handed in."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ecard_card import jose

#: How long the page goes on showing codes before its holder has to begin anew.
ATTEMPT_LIFE: Final = timedelta(minutes=5)
#: How long one QR code is shown, and how long it may be scanned: who scans at its last moment has time to send it.
QR_TURN: Final = timedelta(seconds=40)
QR_LIFE: Final = timedelta(seconds=60)
#: How long the holder has on the phone.
REQUEST_LIFE: Final = timedelta(seconds=120)
#: How long the browser has to come for its code after that, and the site to redeem it.
COLLECT_LIFE: Final = timedelta(seconds=60)
CODE_LIFE: Final = timedelta(seconds=60)
TOKEN_LIFE: Final = timedelta(minutes=5)
ID_TOKEN_LIFE: Final = timedelta(minutes=5)
#: How long a login counts as presence for its own service.
PRESENCE_LIFE: Final = timedelta(minutes=10)

_QR: Final = re.compile(r"/l/([A-Za-z0-9_-]{22})")
_CHOICES: Final = 3


def hashed(secret: str) -> str:
    """Hex SHA-256: all secrets here have 128 random bits or more, so there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def qr_token(browser_secret: str, transaction_id: str, turn: int) -> str:
    """128 bits that only the browser's own secret gives: the register, which has its hash alone, cannot show a code."""
    mac = hmac.digest(browser_secret.encode(), f"login-qr\n{transaction_id}\n{turn}".encode(), "sha256")
    return jose.b64url_encode(mac[:16])


def qr_text(issuer: str, token: str) -> str:
    """What the QR code says: an address of the configured origin."""
    return f"{issuer}/l/{token}"


def token_of(scanned: str, issuer: str) -> str | None:
    """The token in a scanned text; None for any text but one of `issuer`'s own."""
    if len(scanned) > len(issuer) + 25 or not scanned.startswith(issuer):
        return None
    found = _QR.fullmatch(scanned[len(issuer) :])
    return None if found is None else found[1]


def numbers(random: Callable[[int], bytes]) -> tuple[str, tuple[str, ...]]:
    """The number that the desktop shows, and the three to choose from, in the order of their size: where the right one
    stands says nothing."""
    chosen: list[str] = []
    while len(chosen) < _CHOICES:
        (byte,) = random(1)
        if byte < 180:  # twice each of the 90: none comes oftener than another
            number = str(10 + byte % 90)
            if number not in chosen:
                chosen.append(number)
    return chosen[0], tuple(sorted(chosen))
