"""Logins that are under way, what their phones scanned, and who has logged in where a moment ago."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String

from ecard_issuer.login.attempts import AttemptState
from ecard_issuer.register.columns import TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts

#: The browser's side: one attempt to log in at one site. The browser and its QR codes are hashes.
login_attempt = table(
    "login_attempt",
    key("transaction_id"),
    *texts("browser_hash", "client_id", "redirect_uri"),
    needed("scopes", TextTuple),
    Column("oauth_state", String),
    Column("nonce", String),
    text_column("challenge"),
    text_column("acr"),
    needed("asked", TextTuple),
    *texts("region", "address", "device", "language"),
    needed("created_at", UtcDateTime),
    needed("until", UtcDateTime),
    needed("state", TextCode(AttemptState)),
    needed("turn", Integer),
    needed("turned_at", UtcDateTime),
    Column("request_id", String),
    Column("app_id", String),
    Column("number", String),
    Column("login_id", String),
    one_of("state", AttemptState),
    spread_by="transaction_id",
)

Index(None, login_attempt.c.until)

#: Which attempt a QR code belongs to.
login_qr = table(
    "login_qr",
    key("qr_hash"),
    text_column("transaction_id"),
    needed("until", UtcDateTime),
    spread_by="qr_hash",
)

Index(None, login_qr.c.until)

#: The phone's side: an attempt as the one app that scanned it knows it.
login_request = table(
    "login_request",
    key("request_id"),
    *texts("transaction_id", "app_id", "link_id"),
    needed("until", UtcDateTime),
    spread_by="request_id",
)

Index(None, login_request.c.until)

#: Who logged in where; its code and its token are hashes. Gone a while after `until`.
login = table(
    "login",
    key("login_id"),
    *texts("holder_ref", "ecard_id", "app_id", "link_id", "service_id", "client_id", "redirect_uri", "challenge"),
    Column("nonce", String),
    needed("scopes", TextTuple),
    text_column("acr"),
    needed("amr", TextTuple),
    text_column("chip_assurance"),
    needed("at", UtcDateTime),
    needed("until", UtcDateTime),
    Column("code_hash", String),
    Column("code_until", UtcDateTime),
    Column("code_used_at", UtcDateTime),
    Column("token_hash", String),
    Column("token_until", UtcDateTime),
    spread_by="login_id",
)

Index(None, login.c.holder_ref)

Index(None, login.c.until)
