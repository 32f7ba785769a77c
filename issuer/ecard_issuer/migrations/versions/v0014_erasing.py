"""What an erasure finds a person's records by, in tables that are spread by something else; and what retention looks
for by its age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_INDEXES = {
    "agency_batch_row": [["application_id"]],
    "bank_account_directory": [["card_ref"]],
    "confirmation_directory": [["holder_ref"]],
    "family_link": [["relative_ref"]],
    "family_place": [["relative_ref"]],
    "family_relative": [["viewer_ref"]],
    "family_showing": [["other_ref"], ["shown_at", "holder_ref", "showing_id"]],
    "partner_reference": [["card_ref"]],
    "secret_event": [["at", "subject", "purpose", "version"]],
}


def upgrade() -> None:
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    where = sa.text("new_holder_ref IS NOT NULL")
    op.create_index(
        "ix_card_case_new_holder_ref", "card_case", ["new_holder_ref"], sqlite_where=where, postgresql_where=where
    )
