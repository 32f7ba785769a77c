"""Published trust lists and the chain of root documents: the rest of port `Keys`."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Table, select, update

from ecard_card.errors import Conflict
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one, use_grant
from ecard_issuer.rows import Grant, TrustListRow, TrustRootRow
from ecard_issuer.states import OutboxKind
from ecard_keys.key import KeyState

_keys, _lists, _roots = tables.signing_key, tables.trust_list, tables.trust_root


class SqlTrust(Store):
    def add_trust_list(
        self,
        trust_list: TrustListRow,
        published: Collection[tuple[str, str]] = (),
        *,
        grant: Grant | None = None,
    ) -> None:
        now = trust_list.created_at
        with self._writing() as connection:
            use_grant(connection, grant, now)
            latest = _latest_version(connection, _lists)
            if trust_list.version <= latest or not insert_new(connection, _lists, **columns(trust_list)):
                raise Conflict("trust_list_version_taken", "a list of this or a later version is published")
            for purpose, kid in sorted(published):
                this = (_keys.c.purpose == purpose, _keys.c.kid == kid)
                connection.execute(update(_keys).where(*this, _keys.c.published_at.is_(None)).values(published_at=now))
                generated = _keys.c.state == fixed(KeyState.GENERATED)
                connection.execute(update(_keys).where(*this, generated).values(state=KeyState.NEXT.value))
            body = {"version": trust_list.version}
            self._put_outbox(connection, "", trust_list.version, OutboxKind.TRUST_LIST, body, now)

    def latest_trust_list(self) -> TrustListRow | None:
        with self._reading() as connection:
            return one(
                connection,
                TrustListRow,
                select(_lists).where(_lists.c.version > 0).order_by(_lists.c.version.desc()).limit(1),
            )

    def add_trust_root(self, row: TrustRootRow, *, grant: Grant | None = None) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, row.created_at)
            latest = _latest_version(connection, _roots)
            follows = row.version == latest + 1 if latest else row.version > 0
            if not follows or not insert_new(connection, _roots, **columns(row)):
                raise Conflict("trust_root_version_taken", "each root follows the one before it")

    def trust_roots(self) -> tuple[TrustRootRow, ...]:
        with self._reading() as connection:
            return many(connection, TrustRootRow, select(_roots).where(_roots.c.version > 0).order_by(_roots.c.version))


def _latest_version(connection: Connection, table: Table) -> int:
    """The largest version of a table of documents; 0 for none."""
    versions = table.c.version
    return connection.scalar(select(versions).where(versions > 0).order_by(versions.desc()).limit(1)) or 0
