"""Empty registers on both engines."""

from __future__ import annotations

from tests.issuer.register.conftest import migrated_database, migrated_file, postgres_engine, sqlite_engine

__all__ = ["migrated_database", "migrated_file", "postgres_engine", "sqlite_engine"]
