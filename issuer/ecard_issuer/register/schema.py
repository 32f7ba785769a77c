"""How the tables are written down: names of constraints, kinds of columns, and the column each table is spread by."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def one_of(column: str, kind: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(member.value) for member in kind)})", name=column)


def needed(name: str, kind: object, *rest: object) -> Column[object]:
    return Column(name, kind, *rest, nullable=False)  # type: ignore[arg-type]


def text_column(name: str) -> Column[object]:
    return needed(name, String)


def texts(*names: str) -> list[Column[object]]:
    return [text_column(name) for name in names]


def key(name: str, kind: object = String, *rest: object) -> Column[object]:
    return Column(name, kind, *rest, primary_key=True, autoincrement=False)  # type: ignore[arg-type]


def card_key() -> Column[object]:
    return key("card_ref", String, ForeignKey("card.card_ref"))


def table(
    name: str,
    *parts: Column[object] | CheckConstraint | UniqueConstraint | ForeignKeyConstraint,
    spread_by: str,
) -> Table:
    return Table(name, metadata, *parts, info={"distribution": spread_by})


def partial_index(name: str, *columns: Column[object], where: str, unique: bool = False) -> Index:
    """An index over the rows that `where` holds for."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
