"""Sources: port `SourceStore`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, select, update

from ecard_card.errors import NotFound
from ecard_issuer.intake.sources import Source, SourceRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, use_grant
from ecard_issuer.rows import Grant

_sources = tables.event_source


class SqlSources(Store):
    def put_source(self, row: SourceRow, now: datetime, *, grant: Grant | None) -> None:
        source = row.source
        values = {
            "issuer": source.issuer,
            "jwks": [dict(jwk) for jwk in source.keys],
            "regions": source.regions,
            "audience": source.audience,
            "delivery": source.delivery,
            "poll_url": source.poll_url,
            "wrapped_key": row.wrapped_key,
            "sealed_token": row.sealed_token,
            "created_at": row.created_at,
            "created_by": row.created_by,
            "ended_at": None,
        }
        with self._writing() as connection:
            use_grant(connection, grant, now)
            if not insert_new(connection, _sources, name=source.name, **values):
                connection.execute(update(_sources).where(_sources.c.name == source.name).values(values))

    def get_source(self, name: str) -> SourceRow:
        with self._reading() as connection:
            found = connection.execute(
                select(_sources).where(_sources.c.name == name, _sources.c.ended_at.is_(None))
            ).mappings()
            row = found.one_or_none()
        if row is None:
            raise NotFound("source_unknown", "no such source, or one that was ended")
        return _row(row)

    def list_sources(self) -> tuple[SourceRow, ...]:
        everything = select(_sources).where(_sources.c.ended_at.is_(None)).order_by(_sources.c.name)
        with self._reading() as connection:
            return tuple(map(_row, connection.execute(everything).mappings()))

    def end_source(self, name: str, now: datetime) -> None:
        with self._writing() as connection:
            ended = connection.execute(
                update(_sources).where(_sources.c.name == name, _sources.c.ended_at.is_(None)).values(ended_at=now)
            )
        if ended.rowcount != 1:
            raise NotFound("source_unknown", "no such source, or one that was ended")


def _row(row: RowMapping) -> SourceRow:
    source = Source(
        name=row["name"],
        issuer=row["issuer"],
        keys=tuple(row["jwks"]),
        regions=row["regions"],
        audience=row["audience"],
        delivery=row["delivery"],
        poll_url=row["poll_url"],
    )
    return SourceRow(
        source, row["created_at"], row["created_by"], row["wrapped_key"], row["sealed_token"], row["ended_at"]
    )
