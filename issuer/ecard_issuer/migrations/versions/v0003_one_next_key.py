"""One waiting key per purpose: two processes that make one in the same moment leave one behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: A waiting key has never signed, so all but the newest of a purpose can be given up without loss.
_KEEP_THE_NEWEST = """
    UPDATE signing_key SET state = 'retired', retired_from = created_at
    WHERE state = 'next' AND EXISTS (
        SELECT 1 FROM signing_key AS newer
        WHERE newer.purpose = signing_key.purpose AND newer.state = 'next'
        AND (newer.created_at, newer.kid) > (signing_key.created_at, signing_key.kid)
    )
"""


def upgrade() -> None:
    op.execute(sa.text(_KEEP_THE_NEWEST))
    where = sa.text("state = 'next'")
    op.create_index(
        "uq_signing_key_next", "signing_key", ["purpose"], unique=True, sqlite_where=where, postgresql_where=where
    )
