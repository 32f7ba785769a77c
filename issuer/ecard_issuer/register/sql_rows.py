"""Many rows written by one statement.

On PostgreSQL the rows go as one parameter, a JSON array that the server reads as rows of the table itself: so the
statement is the same however many they are, is parsed and planned once, and no value of it is a parameter of its own.
SQLite runs in this process and takes them one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Connection, Table, bindparam, update
from sqlalchemy.dialects.postgresql import dialect as postgresql
from sqlalchemy.types import TypeDecorator

Row = Mapping[str, object]
_DIALECT = postgresql()  # type: ignore[no-untyped-call]
_quote = _DIALECT.identifier_preparer.quote


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns. A key that is taken raises, as in any statement."""
    if connection.dialect.name == "sqlite":
        connection.execute(table.insert(), rows)
    elif rows:
        connection.exec_driver_sql(_insertion(table, tuple(rows[0])), (_as_json(table, rows),))


def insert_free(connection: Connection, table: Table, rows: Sequence[Row]) -> frozenset[tuple[object, ...]]:
    """Insert those whose keys are free, in their order, and say by their primary keys which."""
    keys = [column.name for column in table.primary_key.columns]
    if connection.dialect.name == "sqlite":
        statement = table.insert().prefix_with("OR IGNORE").execution_options(preserve_rowcount=True)
        new = [row for row in rows if connection.execute(statement, row).rowcount == 1]
        return frozenset(tuple(row[name] for name in keys) for row in new)
    if not rows:
        return frozenset()
    returning = ", ".join(map(_quote, keys))
    insertion = f"{_insertion(table, tuple(rows[0]))} ON CONFLICT DO NOTHING RETURNING {returning}"
    return frozenset(tuple(row) for row in connection.exec_driver_sql(insertion, (_as_json(table, rows),)))


def update_rows(connection: Connection, table: Table, rows: Sequence[Row], keys: tuple[str, ...]) -> None:
    """Give the rows of these keys their other columns. Each key is there once."""
    if connection.dialect.name == "sqlite":
        names = [name for name in rows[0] if name not in keys]
        these = (table.c[name] == bindparam(f"of_{name}") for name in keys)
        statement = update(table).where(*these).values({name: bindparam(f"to_{name}") for name in names})
        parts = [
            {f"of_{name}": row[name] for name in keys} | {f"to_{name}": row[name] for name in names} for row in rows
        ]
        connection.execute(statement, parts)
    elif rows:
        connection.exec_driver_sql(_changes(table, tuple(rows[0]), keys), (_as_json(table, rows),))


@lru_cache(maxsize=64)
def _insertion(table: Table, names: tuple[str, ...]) -> str:
    listed = ", ".join(map(_quote, names))
    return f"INSERT INTO {_quote(table.name)} ({listed}) SELECT {listed} FROM {_source(table)}"  # noqa: S608 - names are ours


@lru_cache(maxsize=64)
def _changes(table: Table, names: tuple[str, ...], keys: tuple[str, ...]) -> str:
    name = _quote(table.name)
    changed = ", ".join(f"{_quote(one)} = given.{_quote(one)}" for one in names if one not in keys)
    found = " AND ".join(f"{name}.{_quote(key)} = given.{_quote(key)}" for key in keys)
    return f"UPDATE {name} SET {changed} FROM {_source(table)} AS given WHERE {found}"  # noqa: S608 - names are ours


def _source(table: Table) -> str:
    return f"json_populate_recordset(NULL::{_quote(table.name)}, %s)"


def _as_json(table: Table, rows: Sequence[Row]) -> str:
    read = _readers(table)
    return json.dumps([{name: _plain(read[name](value)) for name, value in row.items()} for row in rows])


@lru_cache(maxsize=64)
def _readers(table: Table) -> Mapping[str, Callable[[Any], object]]:
    """By column what our own types make of a value."""
    types = {column.name: column.type for column in table.columns}
    return {name: partial(_bound, kind) if isinstance(kind, TypeDecorator) else _as_is for name, kind in types.items()}


def _bound(kind: TypeDecorator[Any], value: Any) -> object:
    return kind.process_bind_param(value, _DIALECT)


def _as_is(value: object) -> object:
    return value


def _plain(value: object) -> object:
    """A bound value as JSON that PostgreSQL reads as the column's type."""
    match value:
        case bytes():
            return "\\x" + value.hex()
        case datetime():
            return value.isoformat()
    return value
