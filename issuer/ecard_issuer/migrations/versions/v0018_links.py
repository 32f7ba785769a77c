"""Links of channels with e-cards: identifications, claims, rights, what to tell, identity-proofing services."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    _links()
    _claims()
    _providers()


def _links() -> None:
    op.create_table(
        "channel_link",
        *_keys("ecard_id", "link_id"),
        *_texts("app_id", "holder_ref"),
        _needed("proof", sa.SmallInteger),
        *_maybe("provider", "method"),
        *_texts("consent", "claim_id"),
        _needed("claimed_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end", sa.String),
        *_maybe("mandate_id"),
        sa.PrimaryKeyConstraint("ecard_id", "link_id", name=op.f("pk_channel_link")),
    )
    live = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_channel_link_live",
        "channel_link",
        ["ecard_id", "app_id"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    _index("channel_link", "holder_ref")
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index(
        "ix_channel_link_ended", "channel_link", ["ended_at", "link_id"], sqlite_where=ended, postgresql_where=ended
    )
    op.create_table(
        "channel_link_directory",
        *_keys("app_id", "link_id"),
        *_texts("ecard_id", "holder_ref"),
        sa.PrimaryKeyConstraint("app_id", "link_id", name=op.f("pk_channel_link_directory")),
    )
    _index("channel_link_directory", "holder_ref")
    op.create_table(
        "channel_link_right",
        *_keys("link_id", "enrolment_id"),
        *_texts("ecard_id", "holder_ref"),
        *_maybe("family_link_id"),
        _needed("device_thumbprint", sa.LargeBinary),
        sa.Column("sealed_key", sa.LargeBinary),
        _needed("made_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("proof", sa.SmallInteger),
        sa.PrimaryKeyConstraint("link_id", "enrolment_id", name=op.f("pk_channel_link_right")),
    )
    _index("channel_link_right", "holder_ref")
    op.create_table(
        "channel_link_news",
        *_keys("app_id", "news_id"),
        *_texts("link_id", "kind"),
        _needed("about", sa.JSON),
        _needed("at", UtcDateTime),
        sa.Column("waiting", sa.Boolean),
        sa.CheckConstraint(
            "kind IN ('link.claimed', 'password.changed', 'level.changed', 'link.released')",
            name=op.f("ck_channel_link_news_kind"),
        ),
        sa.PrimaryKeyConstraint("app_id", "news_id", name=op.f("pk_channel_link_news")),
    )
    waiting = sa.text("waiting IS NOT NULL")
    op.create_index(
        "ix_channel_link_news_waiting",
        "channel_link_news",
        ["at", "app_id", "news_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    _index("channel_link_news", "at", "app_id", "news_id")


def _claims() -> None:
    op.create_table(
        "identification",
        *_keys("identification_id"),
        *_texts("app_id", "holder_ref"),
        *(_needed(name, UtcDateTime) for name in ("made_at", "expires_at")),
        sa.PrimaryKeyConstraint("identification_id", name=op.f("pk_identification")),
    )
    _index("identification", "holder_ref")
    _index("identification", "expires_at", "identification_id")
    op.create_table(
        "identification_try",
        *_keys("person"),
        _needed("tries", sa.Integer),
        _needed("since", UtcDateTime),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_identification_try")),
    )
    _index("identification_try", "since", "person")
    op.create_table(
        "claim",
        *_keys("claim_id"),
        *_texts("app_id", "holder_ref", "card_ref", "link_id", "enrolment_id", "nonce", "consent"),
        _needed("proof", sa.SmallInteger),
        sa.Column("device_point", sa.LargeBinary),
        _needed("state", sa.String),
        *_maybe("provider", "method", "linked_id", "mandate_id"),
        _needed("ground", sa.String),
        *(_needed(name, UtcDateTime) for name in ("made_at", "expires_at")),
        sa.CheckConstraint("state IN ('open', 'proven', 'done')", name=op.f("ck_claim_state")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_claim")),
    )
    _index("claim", "holder_ref")
    _index("claim", "expires_at", "claim_id")


def _providers() -> None:
    op.create_table(
        "identity_provider",
        *_keys("provider_id"),
        *_texts("name"),
        _needed("methods", sa.JSON),
        _needed("keys", sa.JSON),
        *_texts("changed_by"),
        _needed("changed_at", UtcDateTime),
        sa.Column("removed_at", UtcDateTime),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_identity_provider")),
    )
    op.create_table(
        "identity_statement",
        *_keys("statement"),
        *_texts("claim_id"),
        _needed("expires_at", UtcDateTime),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_identity_statement")),
    )
    _index("identity_statement", "expires_at", "statement")
    op.create_table(
        "channel_count",
        *_keys("app_id", "what"),
        _needed("period", sa.BigInteger),
        _needed("count", sa.Integer),
        sa.PrimaryKeyConstraint("app_id", "what", name=op.f("pk_channel_count")),
    )


def _keys(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String, nullable=False, autoincrement=False) for name in names]


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [_needed(name, sa.String) for name in names]


def _maybe(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String) for name in names]


def _needed(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
