"""What holders know, opened and share: PINs and e-card passwords, levels, family e-cards."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _secrets()
    _levels()
    _family()


def _secrets() -> None:
    op.create_table(
        "secret",
        *_keys("subject", "purpose"),
        sa.Column("hash", sa.String),
        *(_needed(name, sa.Integer) for name in ("version", "tries", "unlocks")),
        sa.Column("locked_at", UtcDateTime),
        _needed("changed_at", UtcDateTime),
        sa.CheckConstraint("purpose IN ('card_pin', 'ecard_password')", name=op.f("ck_secret_purpose")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_secret_tries")),
        sa.PrimaryKeyConstraint("subject", "purpose", name=op.f("pk_secret")),
    )
    op.create_table(
        "secret_event",
        *_keys("subject", "purpose"),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        _needed("event_id"),
        _needed("act"),
        _needed("at", UtcDateTime),
        _needed("caller"),
        _needed("ground"),
        sa.Column("mandate_id", sa.String),
        sa.CheckConstraint("act IN ('set', 'change', 'reset', 'unlock')", name=op.f("ck_secret_event_act")),
        sa.UniqueConstraint("subject", "purpose", "event_id", name=op.f("uq_secret_event_subject_purpose_event_id")),
        sa.PrimaryKeyConstraint("subject", "purpose", "version", name=op.f("pk_secret_event")),
    )
    op.create_table(
        "wrong_guess",
        *_keys("caller"),
        _needed("hour", sa.BigInteger),
        _needed("wrong", sa.Integer),
        sa.PrimaryKeyConstraint("caller", name=op.f("pk_wrong_guess")),
    )


def _levels() -> None:
    op.create_table(
        "ecard_opening",
        *_keys("ecard_id"),
        sa.Column("opening", sa.Integer, nullable=False, autoincrement=False),
        _needed("opened_at", UtcDateTime),
        _needed("opened_by"),
        _needed("ground"),
        sa.Column("mandate_id", sa.String),
        _needed("consent"),
        sa.Column("closed_at", UtcDateTime),
        sa.Column("closed_by", sa.String),
        sa.Column("closing", sa.String),
        sa.CheckConstraint("closing IN ('holder', 'release')", name=op.f("ck_ecard_opening_closing")),
        sa.PrimaryKeyConstraint("ecard_id", "opening", name=op.f("pk_ecard_opening")),
    )
    condition = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_ecard_opening_open",
        "ecard_opening",
        ["ecard_id"],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _family() -> None:
    op.create_table(
        "family_link",
        *_keys("viewer_ref", "link_id"),
        _needed("place", sa.Integer),
        *(_needed(name) for name in ("relative_ref", "ecard_id", "relation", "proof")),
        sa.Column("mandate_id", sa.String),
        *(_needed(name) for name in ("consent", "entered_by")),
        _needed("started_at", UtcDateTime),
        sa.Column("ends_at", UtcDateTime),
        _needed("of_age", sa.Boolean),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end", sa.String),
        sa.CheckConstraint("relation IN ('parent', 'child', 'spouse', 'other')", name=op.f("ck_family_link_relation")),
        sa.CheckConstraint("proof IN ('in_person', 'ecard_password', 'guardian')", name=op.f("ck_family_link_proof")),
        sa.PrimaryKeyConstraint("viewer_ref", "link_id", name=op.f("pk_family_link")),
    )
    op.create_table(
        "family_place",
        *_keys("viewer_ref"),
        sa.Column("place", sa.Integer, nullable=False, autoincrement=False),
        _needed("relative_ref"),
        _needed("link_id"),
        sa.CheckConstraint("place >= 0", name=op.f("ck_family_place_place")),
        sa.UniqueConstraint("viewer_ref", "relative_ref", name=op.f("uq_family_place_viewer_ref_relative_ref")),
        sa.PrimaryKeyConstraint("viewer_ref", "place", name=op.f("pk_family_place")),
    )
    op.create_table(
        "family_relative",
        *_keys("relative_ref", "link_id"),
        _needed("viewer_ref"),
        sa.PrimaryKeyConstraint("relative_ref", "link_id", name=op.f("pk_family_relative")),
    )
    op.create_table(
        "family_showing",
        *_keys("holder_ref", "showing_id"),
        *(_needed(name) for name in ("side", "link_id", "other_ref", "shown_by")),
        _needed("shown_at", UtcDateTime),
        sa.CheckConstraint("side IN ('viewer', 'relative')", name=op.f("ck_family_showing_side")),
        sa.PrimaryKeyConstraint("holder_ref", "showing_id", name=op.f("pk_family_showing")),
    )
    op.create_index("ix_family_showing_holder_ref_shown_at", "family_showing", ["holder_ref", "shown_at"])


def _keys(*names: str) -> list[sa.Column[Any]]:
    return [_needed(name) for name in names]


def _needed(name: str, kind: type[Any] = sa.String) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)
