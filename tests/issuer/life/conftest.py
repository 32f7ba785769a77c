"""Registers on both engines."""

from __future__ import annotations

from tests.issuer.register.conftest import (
    migrated_database,
    migrated_file,
    postgres_engine,
    postgres_server,
    sqlite_engine,
)

__all__ = ["migrated_database", "migrated_file", "postgres_engine", "postgres_server", "sqlite_engine"]
