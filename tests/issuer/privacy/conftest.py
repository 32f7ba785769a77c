"""Empty registers on both engines."""

from __future__ import annotations

from tests.issuer.register.conftest import postgres_engine, sqlite_engine

__all__ = ["postgres_engine", "sqlite_engine"]
