"""A device that holds e-cards: its key, its credentials, and codes without a network. Kept encrypted in one file.

`DeviceKey` signs; `Device` remembers for whom, and says when a credential must be renewed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from ecard_card import cwt
from ecard_card.errors import CheckFailed, InvalidInput, NotFound
from ecard_qr.challenge import Challenge
from ecard_sdk.device import DeviceKey

#: The part of its life after which a credential is to be renewed, so that a week without a network does no harm.
_DUE_AFTER: Final = 2 / 3
_MOST: Final = 32


@dataclass(frozen=True, slots=True)
class HeldCredential:
    """One credential on this device. Times are the issuer's, aware UTC."""

    credential_id: bytes
    issued_at: datetime
    expires_at: datetime
    cwt: bytes = field(repr=False)

    @classmethod
    def read(cls, data: bytes, device: DeviceKey) -> HeldCredential:
        """Raises `InvalidInput` for what is no credential, `bad_device_key` for one that names another key."""
        parsed = cwt.parse(data)
        if parsed.device_key != bytes((2 + device.point[64] % 2,)) + device.point[1:33]:  # SEC 1 §2.3.3, compressed
            raise InvalidInput("bad_device_key", "the credential names another device's key")
        return cls(
            parsed.credential_id,
            datetime.fromtimestamp(parsed.issued_at, UTC),
            datetime.fromtimestamp(parsed.expires_at, UTC),
            data,
        )

    @property
    def due_at(self) -> datetime:
        """From when it should be renewed."""
        return self.issued_at + (self.expires_at - self.issued_at) * _DUE_AFTER


@dataclass(frozen=True, slots=True)
class DeviceState:
    """All that a device keeps. `held` by the name that its owner gave (a link's id, say)."""

    key: DeviceKey = field(repr=False)
    held: Mapping[str, HeldCredential] = field(default_factory=dict)


class DeviceStore(Protocol):
    """Where a device's state is kept, encrypted. `save` is whole or not at all; a `load` after it gives the same."""

    def load(self) -> DeviceState | None:
        """What was saved last; None before that. Raises `InvalidInput` `bad_device_store`."""
        ...

    def save(self, state: DeviceState) -> None:
        """Keep this state. Raises `Unavailable` `device_store_unavailable`: then the old one is kept."""
        ...


class MemoryStore:
    """For tests, and for a device that lives as long as its process."""

    def __init__(self) -> None:
        self._state: DeviceState | None = None

    def load(self) -> DeviceState | None:
        """See `DeviceStore.load`."""
        return self._state

    def save(self, state: DeviceState) -> None:
        """See `DeviceStore.save`."""
        self._state = state


class Renewal(StrEnum):
    """Whether a credential is to be renewed."""

    FRESH = "fresh"
    DUE = "due"  # codes are still good: renew when there is a network
    OVER = "over"  # no code of it is accepted any more


class Device:
    """The key and the credentials of one device.

    `clock` gives aware UTC; `client.now` is the authority's time, which matters where the device's own is wrong: a code
    is good for 60 seconds.
    """

    def __init__(self, store: DeviceStore, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._clock = store, clock
        found = store.load()
        self._state = found or DeviceState(DeviceKey.generate())
        if found is None:
            store.save(self._state)  # before anybody is told of the key

    @property
    def key(self) -> DeviceKey:
        """The device's key: its `public_jwk` is sent with a request for a credential, with a `proof`."""
        return self._state.key

    @property
    def held(self) -> Mapping[str, HeldCredential]:
        """The credentials, by name."""
        return dict(self._state.held)

    def proof(self, issuer: str, nonce: str) -> str:
        """A JWS that proves possession of the key to `issuer` for one request."""
        return self.key.proof(issuer, nonce, self._clock())

    def keep(self, name: str, credential: bytes) -> HeldCredential:
        """Keep a credential (CWT form) under a name, in place of the one before it.

        Raises `InvalidInput` for what is no credential for this key, `too_many_credentials`.
        """
        held = HeldCredential.read(credential, self.key)
        self._save({**self._state.held, name: held})
        return held

    def renew(self, name: str, collect: Callable[[bytes, DeviceKey], bytes]) -> HeldCredential:
        """Keep what `collect` gives for the old credential's id and this key: its successor's CWT form.

        Raises what `collect` and `keep` raise: then the old one is kept.
        """
        return self.keep(name, collect(self._named(name).credential_id, self.key))

    def drop(self, name: str) -> None:
        """Forget a credential. Nothing happens where there is none."""
        self._save({other: held for other, held in self._state.held.items() if other != name})

    def code(self, name: str, audience: str | None = None) -> str:
        """A fresh `EC1:` code: whole, verifies without a network, lives 60 seconds. Raises `NotFound`."""
        return self.key.offline_code(self._named(name).cwt, self._clock(), audience)

    def short_code(self, name: str) -> str:
        """A fresh `EC0:` code: short, resolved by an online verifier, lives 60 seconds. Raises `NotFound`."""
        return self.key.online_code(self._named(name).cwt, self._clock())

    def answer(self, name: str, challenge: Challenge, *, short: bool = False) -> str:
        """A fresh code that answers what a counter asked, and is good for that alone: `EC1:`, or `EC0:` where `short`.

        Show the holder the counter's name, and what is paid to whom, and call this only once they agreed. Raises
        `NotFound` `credential_unknown`; `CheckFailed` `challenge_expired`.
        """
        held, now = self._named(name), self._clock()
        if now.timestamp() > challenge.expires_at:
            raise CheckFailed("challenge_expired", "what the counter showed is over; ask for it anew")
        make = self.key.online_code if short else self.key.offline_code
        return make(held.cwt, now, challenge=challenge)

    def renewal(self, name: str) -> Renewal:
        """Whether a credential is to be renewed now. Raises `NotFound` `credential_unknown`."""
        held, now = self._named(name), self._clock()
        if now >= held.expires_at:
            return Renewal.OVER
        return Renewal.DUE if now >= held.due_at else Renewal.FRESH

    def next_due(self) -> tuple[str, datetime] | None:
        """The name and time of the renewal that comes first; None where nothing is held."""
        times = [(held.due_at, name) for name, held in self._state.held.items()]
        if not times:
            return None
        moment, name = min(times)
        return name, moment

    def _named(self, name: str) -> HeldCredential:
        held = self._state.held.get(name)
        if held is None:
            raise NotFound("credential_unknown", "this device holds nothing under this name")
        return held

    def _save(self, held: Mapping[str, HeldCredential]) -> None:
        if len(held) > _MOST:
            raise InvalidInput("too_many_credentials", f"a device holds at most {_MOST}")
        state = replace(self._state, held=held)
        self._store.save(state)
        self._state = state


#: How far apart codes are shown: half of a code's life, so that one is always good.
CODE_INTERVAL: Final = timedelta(seconds=30)
