"""Run by Alembic: applies the revisions on the connection, and in the transaction, that `migrate` holds."""

from __future__ import annotations

from alembic import context

from ecard_issuer.register.tables import card

context.configure(connection=context.config.attributes["connection"], target_metadata=card.metadata)
context.run_migrations()
