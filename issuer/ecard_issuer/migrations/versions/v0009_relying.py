"""What people use the card for: relying services and their accesses, confirmations, bank accounts, service points."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0009"
down_revision = "0008"

_STATES = "'not_activated', 'active', 'lost', 'closed'"


def upgrade() -> None:
    _relying()
    _accounts()
    _service_points()
    op.create_table("channel_address", _key("channel_id"), _text("address"), _text("changed_by"), _time("changed_at"))


def _relying() -> None:
    op.create_table(
        "relying_service",
        _key("service_id"),
        _text("owner"),
        _needed("document", sa.JSON),
        _needed("number", sa.Integer),
    )
    op.create_table(
        "relying_change",
        _key("service_id"),
        _key("number", sa.Integer),
        _text("action"),
        _needed("document", sa.JSON),
        _text("changed_by"),
        _time("changed_at"),
    )
    op.create_table(
        "relying_access",
        _key("holder_ref"),
        _key("access_id"),
        _text("request_hash"),
        _needed("sealed", sa.LargeBinary),
        _time("at"),
    )
    op.create_table("relying_subject", _key("subject"), _text("service_id"), _text("holder_ref"), _time("until"))
    op.create_table("shown_code", _key("code_key"), _text("request_hash"), _time("until"))
    op.create_table(
        "confirmation",
        _key("holder_ref"),
        _key("confirmation_id"),
        _needed("sealed", sa.LargeBinary),
        _time("created_at"),
    )
    op.create_table("confirmation_directory", _key("confirmation_id"), _text("service_id"), _text("holder_ref"))
    for table, column in (
        ("relying_access", "at"),
        ("relying_subject", "holder_ref"),
        ("relying_subject", "until"),
        ("shown_code", "until"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])


def _accounts() -> None:
    op.create_table(
        "partner_bank",
        _key("bank_code"),
        _text("caller"),
        _needed("names", sa.JSON),
        _text("changed_by"),
        _time("changed_at"),
    )
    op.create_table(
        "bank_account",
        _card_key(),
        _text("bank_code"),
        _text("number_mac"),
        _needed("sealed", sa.LargeBinary),
        _text("state"),
        _needed("number", sa.Integer),
        _time("changed_at"),
        sa.CheckConstraint(f"state IN ({_STATES})", name="state"),
    )
    op.create_table(
        "bank_account_change",
        _card_key(),
        _key("number", sa.Integer),
        _text("event_id"),
        _text("state"),
        _text("changed_by"),
        _time("changed_at"),
        sa.UniqueConstraint("card_ref", "event_id"),
    )
    op.create_table("bank_account_directory", _key("number_mac"), _text("card_ref"))


def _service_points() -> None:
    op.create_table(
        "service_point",
        _key("point_id"),
        _text("region"),
        _text("kind"),
        _needed("document", sa.JSON),
        _text("services"),
        _text("search_text"),
        sa.Column("latitude", sa.Integer),
        sa.Column("longitude", sa.Integer),
    )
    op.create_index("ix_service_point_region_point_id", "service_point", ["region", "point_id"])
    op.create_index("ix_service_point_latitude_longitude", "service_point", ["latitude", "longitude"])
    op.create_table(
        "service_point_set",
        _key("scope"),
        _needed("version", sa.BigInteger),
        _needed("points", sa.Integer),
        _text("changed_by"),
        _time("changed_at"),
    )


def _key(name: str, kind: type[sa.String | sa.Integer] = sa.String) -> sa.Column[object]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _card_key() -> sa.Column[object]:
    return sa.Column("card_ref", sa.String, sa.ForeignKey("card.card_ref"), primary_key=True, autoincrement=False)


def _needed(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def _text(name: str) -> sa.Column[object]:
    return _needed(name, sa.String)


def _time(name: str) -> sa.Column[object]:
    return _needed(name, UtcDateTime)
