"""Wallets: the registry, offers, pushed requests, sessions, and the batches of keys that credentials were asked for.

A session has the id of the offer or request that it came from, and lies with it; so each gives one session.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts
from ecard_issuer.wallets.values import BatchState, OfferState, RequestState, WalletEvent

wallet_client = table(
    "wallet_client",
    key("client_id"),
    text_column("name"),
    needed("redirect_uris", JSON),
    text_column("added_by"),
    needed("added_at", UtcDateTime),
    Column("ended_by", String),
    Column("ended_at", UtcDateTime),
    spread_by="client_id",
)


def _right() -> list[Column[object]]:
    """On what strength: a proven enrolment, for a channel's link where one offered it."""
    return [Column("enrolment_id", String), Column("app_id", String), Column("link_id", String)]


wallet_offer = table(
    "wallet_offer",
    key("offer_id"),
    *_right(),
    needed("review", Boolean),
    text_column("made_by"),
    needed("created_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    needed("tries", Integer),
    needed("state", TextCode(OfferState)),
    one_of("state", OfferState),
    spread_by="offer_id",
)

Index(None, wallet_offer.c.expires_at)

wallet_request = table(
    "wallet_request",
    key("request_id"),
    *texts("client_id", "redirect_uri", "code_challenge"),
    Column("wallet_state", String),
    Column("jkt", String),
    Column("offer_id", String),
    needed("identified", Boolean),
    needed("expires_at", UtcDateTime),
    needed("tries", Integer),
    Column("browser_hash", String),
    *_right(),
    needed("review", Boolean),
    needed("state", TextCode(RequestState)),
    one_of("state", RequestState),
    spread_by="request_id",
)

Index(None, wallet_request.c.expires_at)

wallet_session = table(
    "wallet_session",
    key("session_id"),
    text_column("token_hash"),
    Column("jkt", String),
    Column("client_id", String),
    *_right(),
    needed("review", Boolean),
    needed("identified", Boolean),
    needed("expires_at", UtcDateTime),
    needed("taken", Integer),
    spread_by="session_id",
)

Index(None, wallet_session.c.expires_at)

#: The id is the hash of the nonce that its proofs named.
wallet_batch = table(
    "wallet_batch",
    key("batch_id"),
    *texts("session_id", "request_hash"),
    needed("keys", JSON),
    needed("state", TextCode(BatchState)),
    needed("created_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    Column("event", TextCode(WalletEvent)),
    Column("decided_by", String),
    Column("decided_at", UtcDateTime),
    text_column("reason"),
    one_of("state", BatchState),
    spread_by="batch_id",
)

Index(None, wallet_batch.c.expires_at)

partial_index("ix_wallet_batch_waiting", wallet_batch.c.batch_id, where="state = 'waiting'")
