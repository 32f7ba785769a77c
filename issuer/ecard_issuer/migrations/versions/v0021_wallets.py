"""Wallets: the registry, offers, pushed requests, sessions, and the batches of keys asked for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "wallet_client",
        _key("client_id"),
        _text("name"),
        _needed("redirect_uris", sa.JSON),
        _text("added_by"),
        _needed("added_at", UtcDateTime),
        _maybe("ended_by"),
        _maybe("ended_at", UtcDateTime),
    )
    op.create_table(
        "wallet_offer",
        _key("offer_id"),
        *_right(),
        _needed("review", sa.Boolean),
        _text("made_by"),
        _needed("created_at", UtcDateTime),
        _needed("expires_at", UtcDateTime),
        _needed("tries", sa.Integer),
        _text("state"),
        _one_of("wallet_offer", "'open', 'taken', 'dead'"),
    )
    op.create_table(
        "wallet_request",
        _key("request_id"),
        *map(_text, ("client_id", "redirect_uri", "code_challenge")),
        *map(_maybe, ("wallet_state", "jkt", "offer_id")),
        _needed("identified", sa.Boolean),
        _needed("expires_at", UtcDateTime),
        _needed("tries", sa.Integer),
        _maybe("browser_hash"),
        *_right(),
        _needed("review", sa.Boolean),
        _text("state"),
        _one_of("wallet_request", "'pushed', 'granted', 'redeemed', 'refused'"),
    )
    op.create_table(
        "wallet_session",
        _key("session_id"),
        _text("token_hash"),
        *map(_maybe, ("jkt", "client_id")),
        *_right(),
        _needed("review", sa.Boolean),
        _needed("identified", sa.Boolean),
        _needed("expires_at", UtcDateTime),
        _needed("taken", sa.Integer),
    )
    op.create_table(
        "wallet_batch",
        _key("batch_id"),
        *map(_text, ("session_id", "request_hash")),
        _needed("keys", sa.JSON),
        _text("state"),
        _needed("created_at", UtcDateTime),
        _needed("expires_at", UtcDateTime),
        _maybe("event"),
        _maybe("decided_by"),
        _maybe("decided_at", UtcDateTime),
        _text("reason"),
        _one_of("wallet_batch", "'granted', 'waiting', 'refused'"),
    )
    for table in ("wallet_offer", "wallet_request", "wallet_session", "wallet_batch"):
        op.create_index(op.f(f"ix_{table}_expires_at"), table, ["expires_at"])
    where = sa.text("state = 'waiting'")
    op.create_index("ix_wallet_batch_waiting", "wallet_batch", ["batch_id"], sqlite_where=where, postgresql_where=where)


def _right() -> list[sa.Column[object]]:
    return [_maybe("enrolment_id"), _maybe("app_id"), _maybe("link_id")]


def _key(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String, primary_key=True, autoincrement=False)


def _text(name: str) -> sa.Column[object]:
    return _needed(name, sa.String)


def _needed(name: str, kind: Any) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)


def _maybe(name: str, kind: Any = sa.String) -> sa.Column[object]:
    return sa.Column(name, kind)


def _one_of(table: str, states: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"state IN ({states})", name=op.f(f"ck_{table}_state"))
