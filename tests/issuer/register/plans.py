"""Looking at the plans of statements: on SQLite none may scan a table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def no_scans(engine: Engine) -> Iterator[None]:
    """When the block is over, no statement that it ran on SQLite may have needed a table scan."""
    seen: dict[str, Any] = {}
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

    yield
    if not seen:
        return
    looker = sqlite3.connect(engine.url.database or "")
    for statement, parameters in seen.items():
        for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
            constant = re.fullmatch(r"SCAN \d+ CONSTANT ROWS?|SCAN CONSTANT ROW", step)
            assert not step.startswith("SCAN") or constant, (step, statement)
    looker.close()
