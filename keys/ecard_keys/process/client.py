"""The far side of the signing desk, for the issuer's process: a `SigningDesk` and a `KeyHome` behind a Unix socket.

With these the issuer's process holds no signing key, and can get no bytes signed that the desk has not judged.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_keys.process import protocol as signer_protocol
from ecard_keys.process.protocol import Create, Held, Request, Sign
from ecard_keys.signer import HeldKey, require_messages

#: Seconds in which every call ends, one way or the other.
DEADLINE: Final = 1.8
_TRIES: Final = 2  # new connections on which a call is made; signing a draft twice does no harm, a key is made once
_KEPT: Final = 8  # connections that wait for the next call


class SignerLink:
    """Connections to the signer at `path`, opened when needed and kept for the next call. Safe in threads."""

    def __init__(self, path: Path, *, deadline: float = DEADLINE) -> None:
        self._path = str(path)
        self._deadline = deadline
        self._idle: list[socket.socket] = []
        self._thread = threading.Lock()

    def call(self, request: Request) -> bytes:
        """The body of the answer. A connection that has died since its last call is replaced, unseen; a request for a
        key goes over a new one and is sent once, or a second key would lie there that nobody knows of.

        Raises `Unavailable` `signer_unavailable`, `InvalidInput` `bad_signer_message`.
        """
        frame = signer_protocol.write_request(request)
        deadline = time.monotonic() + self._deadline
        once = isinstance(request, Create)
        tries = 1 if once else _TRIES
        while True:
            connection, fresh = self._take(deadline, fresh=once)
            try:
                signer_protocol.send(connection, frame, deadline)
                body = signer_protocol.receive(connection, deadline)
            except TimeoutError:
                connection.close()
                raise _unavailable("it does not answer in time") from None
            except OSError:
                body = None
            except BaseException:
                connection.close()
                raise
            if body is not None:
                self._give_back(connection)
                return body
            connection.close()
            tries -= fresh
            if tries == 0:
                raise _unavailable("it hung up")

    def close(self) -> None:
        """Hang up."""
        with self._thread:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, deadline: float, *, fresh: bool) -> tuple[socket.socket, bool]:
        """A connection, and whether it is new; with `fresh` it is."""
        with self._thread:
            if self._idle and not fresh:
                return self._idle.pop(), False
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            while True:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                try:
                    connection.connect(self._path)
                    break
                except BlockingIOError:  # its queue of newcomers is full at this moment
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(0.005)
        except OSError:
            connection.close()
            raise _unavailable("nobody answers at its socket") from None
        return connection, True

    def _give_back(self, connection: socket.socket) -> None:
        with self._thread:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()


class RemoteDesk:
    """A `SigningDesk` in another process."""

    def __init__(self, link: SignerLink) -> None:
        self._link = link

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        """See `SigningDesk.sign`."""
        require_messages(drafts)
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        if not drafts:
            return []
        body = self._link.call(Sign(profile, key_id, tuple(drafts), now))
        return signer_protocol.read_signatures(body, len(drafts))


class RemoteKeyHome:
    """A `KeyHome` in another process, as far as that lets it: keys are made and seen, never destroyed or used raw."""

    def __init__(self, link: SignerLink) -> None:
        self._link = link

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """Raises `NotAllowed` `signer_right_missing`: a signer process signs drafts, through a `SigningDesk`."""
        raise NotAllowed("signer_right_missing", "the signer process signs whole drafts, not any bytes")

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """See `KeyHome.create`. Raises `NotAllowed` `signer_right_missing` where this caller may make no keys."""
        if now.tzinfo is None:
            raise InvalidInput("time_without_zone", "want an aware time")
        return signer_protocol.read_key_id(self._link.call(Create(purpose, now)))

    def public_key(self, key_id: str) -> bytes:
        """See `KeyHome.public_key`."""
        for key in self.held():
            if key.key_id == key_id:
                return key.public
        raise NotFound("key_unknown", "this home holds no such key")

    def held(self) -> tuple[HeldKey, ...]:
        """See `KeyHome.held`."""
        return signer_protocol.read_held(self._link.call(Held()))

    def destroy(self, key_id: str) -> None:
        """Raises `NotAllowed` `signer_right_missing`: keys are destroyed where they lie, by who may be there."""
        raise NotAllowed("signer_right_missing", "the signer process destroys no key; destroy it in its home")


def _unavailable(why: str) -> Unavailable:
    return Unavailable("signer_unavailable", f"the signer process: {why}")
