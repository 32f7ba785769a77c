"""Signing keys, their schedules, trust lists and roots."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """`purpose` and `state` are the values of `ecard_keys.key.KeyPurpose` and `KeyState`."""

    purpose: str
    kid: str
    state: str
    public: bytes  # ES256 and SM2: a 65-byte point
    algorithm: str
    home: str
    created_at: datetime
    activated_at: datetime | None = None
    retired_from: datetime | None = None  # since when it does not sign
    compromised_from: datetime | None = None  # the cut-off; None in state compromised: all that it signed is refused
    user_id: bytes | None = None  # IDA of an SM2 key (GM/T 0003.2), None for every other
    published_at: datetime | None = None  # of the first trust list that named it
    retired_at: datetime | None = None
    compromised_at: datetime | None = None  # when it was declared so
    destroyed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What names a key: unexpired live credentials, and open plans.

    `last_expiry` is when the last credential ends, or ended: verifiers' clocks may be behind, so the key is needed for
    a little longer than that.
    """

    live: int
    last_expiry: datetime | None
    planned: int


@dataclass(frozen=True, slots=True)
class KeyScheduleRow:
    """Rotate the keys of `purpose` every so often, in whole seconds."""

    purpose: str
    every: timedelta
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class TrustListRow:
    version: int
    document: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrustRootRow:
    """A root document, as signed by the holders of the root before it and by its own."""

    version: int
    document: bytes = field(repr=False)
    created_at: datetime
