"""Values that count once: the `jti` of an assertion or a proof, the nonce of a signature, a code, a ticket.

A value is taken by a unique key of the store, so that of two who come at once one is refused, on any number of
servers. What is kept is a hash: neither the value nor whose it was can be read from the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import delete, select

from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new

#: How long a value is remembered after its own end: the clocks of several servers may differ.
MARGIN: Final = timedelta(minutes=10)
_BATCH: Final = 5000
_taken = tables.one_time_value


@dataclass(frozen=True, slots=True)
class OnceOnly:
    """One value to take: `purpose` keeps kinds apart, `owner` (a key's thumbprint, a client) those who choose values.

    After `until` the value must be refused for its age: then it may be forgotten."""

    purpose: str
    owner: str
    value: str = field(repr=False)
    until: datetime

    @property
    def digest(self) -> str:
        """Hex SHA-256 over all three, each with its length."""
        parts = (part.encode() for part in (self.purpose, self.owner, self.value))
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()


class OneTime(Protocol):
    """Takes values once."""

    def take(self, values: Sequence[OnceOnly]) -> OnceOnly | None:
        """Take all of `values`, or none and say which was taken before. Raises `Unavailable` where the store does not
        answer: then the value counts as taken."""
        ...

    def purge(self, now: datetime) -> int:
        """Forget some of what is over by a margin; says how many."""
        ...


class SqlOneTime(Store):
    """`OneTime` in the register's database."""

    def take(self, values: Sequence[OnceOnly]) -> OnceOnly | None:
        """See `OneTime.take`."""
        # In one order for everybody: two that take the same pair must not wait for each other.
        ordered = sorted(values, key=lambda value: value.digest)
        try:
            with self._writing() as connection:
                for value in ordered:
                    if not insert_new(connection, _taken, value_hash=value.digest, until=value.until):
                        raise _Taken(value)
        except _Taken as taken:
            return taken.value
        return None

    def purge(self, now: datetime) -> int:
        """See `OneTime.purge`."""
        with self._reading() as connection:
            over = connection.scalars(
                select(_taken.c.value_hash).where(_taken.c.until < now - MARGIN).limit(_BATCH)
            ).all()
        if over:
            with self._writing() as connection:
                connection.execute(delete(_taken).where(_taken.c.value_hash.in_(over)))
        return len(over)


class _Taken(Exception):
    """Gives the transaction up."""

    def __init__(self, value: OnceOnly) -> None:
        super().__init__()
        self.value = value
