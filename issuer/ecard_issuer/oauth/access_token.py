"""Access tokens: random texts, kept as hashes with what they stand for, and bound to a key of their holder.

A stolen token opens nothing without the key that it is bound to; a stolen store holds no token. Nothing is signed:
who a token belongs to and whether that somebody may still act is read at each use, so taking it back is at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import delete, select

from ecard_card import jose
from ecard_issuer.oauth.confirmation import Confirmation
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, one
from ecard_verifier.callers import token_hash

PREFIX: Final = "ekat_"
MAX_TOKEN: Final = 256
LIFE: Final = timedelta(minutes=5)
_BATCH: Final = 5000
_tokens = tables.access_token


@dataclass(frozen=True, slots=True)
class AccessTokenRow:
    """A token as it is kept. `use` says what for (`channel`, `wallet`, `login`): it is good for nothing else."""

    token_hash: str
    use: str
    client_id: str
    scopes: tuple[str, ...]
    confirmation: Confirmation
    thumbprint: str
    issued_at: datetime
    expires_at: datetime


class AccessTokens(Protocol):
    """Where tokens are kept."""

    def issue(
        self,
        use: str,
        client_id: str,
        scopes: tuple[str, ...],
        confirmation: Confirmation,
        thumbprint: str,
        now: datetime,
        life: timedelta = LIFE,
    ) -> str:
        """A new token, which is told this once."""
        ...

    def find(self, token: str, use: str, now: datetime) -> AccessTokenRow | None:
        """What a token stands for, while it lives; None for any other text."""
        ...

    def purge(self, now: datetime) -> int:
        """Forget some of what is over; says how many."""
        ...


class SqlAccessTokens(Store):
    """`AccessTokens` in the register's database."""

    def issue(
        self,
        use: str,
        client_id: str,
        scopes: tuple[str, ...],
        confirmation: Confirmation,
        thumbprint: str,
        now: datetime,
        life: timedelta = LIFE,
    ) -> str:
        """See `AccessTokens.issue`."""
        token = PREFIX + jose.b64url_encode(self._random(32))
        row = AccessTokenRow(token_hash(token), use, client_id, scopes, confirmation, thumbprint, now, now + life)
        with self._writing() as connection:
            connection.execute(_tokens.insert().values(**columns(row)))
        return token

    def find(self, token: str, use: str, now: datetime) -> AccessTokenRow | None:
        """See `AccessTokens.find`."""
        if not token.startswith(PREFIX) or len(token) > MAX_TOKEN:
            return None
        with self._reading() as connection:
            row = one(connection, AccessTokenRow, select(_tokens).where(_tokens.c.token_hash == token_hash(token)))
        return row if row is not None and row.use == use and now < row.expires_at else None

    def purge(self, now: datetime) -> int:
        """See `AccessTokens.purge`."""
        old = select(_tokens.c.token_hash).where(_tokens.c.expires_at < now).limit(_BATCH)
        with self._reading() as connection:
            over = connection.scalars(old).all()
        if over:
            with self._writing() as connection:
                connection.execute(delete(_tokens).where(_tokens.c.token_hash.in_(over)))
        return len(over)
