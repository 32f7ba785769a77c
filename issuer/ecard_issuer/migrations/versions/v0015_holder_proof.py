"""How the holder of an enrolment was proven to be one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("enrolment", sa.Column("holder_proof", sa.SmallInteger()))
