"""Secrets that holders know, as hashes, with the count of their tries; and who guessed wrong how often."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, UniqueConstraint

from ecard_issuer.pins.secret import Purpose, SecretAct
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts

#: `subject` is a card's reference or an e-card's id, by `purpose`.
secret = table(
    "secret",
    key("subject"),
    key("purpose", TextCode(Purpose)),
    Column("hash", String),
    needed("version", Integer),
    needed("tries", Integer),
    needed("unlocks", Integer),
    Column("locked_at", UtcDateTime),
    needed("changed_at", UtcDateTime),
    one_of("purpose", Purpose),
    CheckConstraint("tries >= 0", name="tries"),
    spread_by="subject",
)

secret_event = table(
    "secret_event",
    key("subject"),
    key("purpose", TextCode(Purpose)),
    key("version", Integer),
    text_column("event_id"),
    needed("act", TextCode(SecretAct)),
    needed("at", UtcDateTime),
    *texts("caller", "ground"),
    Column("mandate_id", String),
    one_of("act", SecretAct),
    UniqueConstraint("subject", "purpose", "event_id"),
    spread_by="subject",
)

Index(None, secret_event.c.at, secret_event.c.subject, secret_event.c.purpose, secret_event.c.version)

#: One row for each caller: the last clock hour (hours since 1970) in which they were wrong, and how often.
wrong_guess = table(
    "wrong_guess", key("caller"), needed("hour", BigInteger), needed("wrong", Integer), spread_by="caller"
)
