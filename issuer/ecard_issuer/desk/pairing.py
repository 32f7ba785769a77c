"""Which pages may use the agent: a code that the agent's own terminal shows is typed at the page, once.

Only this machine's user sees that terminal and the file of pairings, so a page at an allowed origin that somebody else
has open (another user of the machine, or a program that only claims the origin) gets nowhere. The file holds hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotAllowed, RateLimited, Unavailable

CODE_LENGTH: Final = 8
TRIES: Final = 5
#: Seconds without a code after so many wrong ones; 31**8 codes and five tries a minute are out of anybody's reach.
PAUSE: Final = 60.0
_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_FORMAT: Final = "ecard-desk-pairings/1"
_FILE: Final = "pairings.json"
_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Pairing:
    """One page that was let in."""

    origin: str
    sha256: str
    paired_at: str


class PairingFile:
    """The pairings of one user, in a folder that is theirs alone. Read again at each use: revoking works at once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / _FILE
        self._lock = threading.Lock()

    def all(self) -> tuple[Pairing, ...]:
        """Raises `Unavailable` `desk_pairings_unreadable`: then nobody is let in."""
        try:
            content = jose.parse_json(self._path.read_bytes(), limit=1 << 16)
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError
            return tuple(Pairing(**item) for item in content["pairings"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, InvalidInput):
            raise Unavailable("desk_pairings_unreadable", "the file of pairings cannot be read") from None

    def add(self, origin: str, now: datetime) -> str:
        """A new token for pages of `origin`; the oldest of too many goes. Raises as `all`."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            kept = self.all()[-_MOST + 1 :]
            self._write((*kept, Pairing(origin, _hash(token), now.isoformat(timespec="seconds"))))
        return token

    def knows(self, origin: str, token: str) -> bool:
        """Whether `token` was given to a page of `origin`. Raises as `all`."""
        digest = _hash(token)
        return any(one.origin == origin and hmac.compare_digest(one.sha256, digest) for one in self.all())

    def forget(self, origin: str | None = None, token: str | None = None) -> int:
        """Take back one token, all of an origin, or all; says how many. Raises as `all`."""
        with self._lock:
            listed = self.all()
            kept = tuple(
                one
                for one in listed
                if (origin is not None and one.origin != origin) or (token is not None and one.sha256 != _hash(token))
            )
            if kept != listed:
                self._write(kept)
        return len(listed) - len(kept)

    def _write(self, pairings: tuple[Pairing, ...]) -> None:
        draft = self._path.with_suffix(".draft")
        content = json.dumps({"format": _FORMAT, "pairings": [asdict(one) for one in pairings]}, indent=1)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(content)
            draft.replace(self._path)
        except OSError:
            raise Unavailable("desk_pairings_unreadable", "the file of pairings cannot be written") from None


class PairingDesk:
    """Gives out codes through `say`, one at a time, and tokens for them."""

    def __init__(
        self,
        pairings: PairingFile,
        say: Callable[[str], None],
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pairings, self._say, self._clock, self._now = pairings, say, clock, now
        self._code, self._tries, self._closed_until = "", 0, 0.0
        self._lock = threading.RLock()  # guesses that come together are counted one by one

    def show(self) -> None:
        """Make the next code and show it."""
        self._code, self._tries = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH)), TRIES
        self._say(f"配对码 Pairing code: {self._code[:4]}-{self._code[4:]}")

    def refresh(self) -> None:
        """Show a new code where the wait after too many wrong ones is over."""
        with self._lock:
            if not self._tries and self._clock() >= self._closed_until:
                self.show()

    def pair(self, origin: str, typed: str) -> str:
        """A token for the code. It is good once.

        Raises `NotAllowed` `desk_code_wrong`; `RateLimited` `desk_pairing_closed` after `TRIES` wrong ones, for `PAUSE`
        seconds, whoever typed them.
        """
        with self._lock:
            self._use(typed)
            token = self._pairings.add(origin, self._now())
            self._say(f"已配对 Paired: {origin}")
            self.show()
            return token

    def _use(self, typed: str) -> None:
        wait = self._closed_until - self._clock()
        if wait > 0:
            raise RateLimited("desk_pairing_closed", "too many wrong codes", retry_after=int(wait) + 1)
        self.refresh()
        self._tries -= 1
        given = "".join(char for char in typed.upper() if char not in " -")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._code.encode()):
            if not self._tries:
                self._code, self._closed_until = "", self._clock() + PAUSE
                self._say(f"配对暂停 Pairing closed for {PAUSE:.0f} s")
            raise NotAllowed("desk_code_wrong", "not the code that the agent shows")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
