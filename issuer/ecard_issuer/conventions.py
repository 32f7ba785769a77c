"""What every route for partners shares: keys for repeating, signed cursors, quotas. `web/conventions/` puts it to
use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from ecard_issuer.idempotency.requests import IdempotentRequests
from ecard_issuer.idempotency.sql import SqlAnswers
from ecard_issuer.rates import RateLimit
from ecard_keys.protect import Protector


@dataclass(frozen=True, slots=True)
class Conventions:
    """`mac` is the house's keyed hash (label, data), under which cursors are signed. `address_quota` is how many calls
    a minute one address may make of routes that ask for no token; 0: any number."""

    idempotency: IdempotentRequests
    mac: Callable[[str, bytes], bytes]
    address_quota: int
    channel_calls: RateLimit = field(default_factory=RateLimit)
    address_calls: RateLimit = field(default_factory=RateLimit)
    session_calls: RateLimit = field(default_factory=RateLimit)


def open_conventions(engine: Engine, protector: Protector, address_quota: int) -> Conventions:
    """Over the register of `engine`, under the secrets of `protector`."""
    return Conventions(IdempotentRequests(SqlAnswers(engine), protector), protector.mac, address_quota)
