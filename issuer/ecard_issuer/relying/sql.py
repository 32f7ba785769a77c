"""Relying services in the register: port `RelyingStore`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update

from ecard_card.errors import CheckFailed, Conflict
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one, use_grant
from ecard_issuer.relying.records import AccessRow, ConfirmationRow, ServiceChange, SubjectRow, Used
from ecard_issuer.relying.services import RelyingService, service_from_json
from ecard_issuer.rows import Grant

_services, _changes = tables.relying_service, tables.relying_change
_accesses, _subjects, _used = tables.relying_access, tables.relying_subject, tables.shown_code
_confirmations, _directory = tables.confirmation, tables.confirmation_directory


class SqlRelying(Store):
    def save_service(
        self, service: RelyingService, action: str, changed_by: str, now: datetime, *, grant: Grant | None = None
    ) -> None:
        this = _services.c.service_id == service.service_id
        values = {"owner": service.owner, "document": service.to_json()}
        with self._writing() as connection:
            use_grant(connection, grant, now)
            if insert_new(connection, _services, service_id=service.service_id, number=1, **values):
                number = 1
            else:
                number = connection.execute(
                    update(_services)
                    .where(this)
                    .values(number=_services.c.number + 1, **values)
                    .returning(_services.c.number)
                ).scalar_one()
            connection.execute(
                _changes.insert().values(
                    service_id=service.service_id,
                    number=number,
                    action=action,
                    document=service.to_json(),
                    changed_by=changed_by,
                    changed_at=now,
                )
            )

    def find_service(self, service_id: str) -> RelyingService | None:
        with self._reading() as connection:
            document = connection.scalar(select(_services.c.document).where(_services.c.service_id == service_id))
        return None if document is None else service_from_json(document)

    def list_services(self, after: str = "", limit: int = 100) -> tuple[RelyingService, ...]:
        beyond = select(_services.c.document).where(_services.c.service_id > after)
        with self._reading() as connection:
            documents = connection.scalars(beyond.order_by(_services.c.service_id).limit(limit)).all()
        return tuple(service_from_json(document) for document in documents)

    def service_changes(self, service_id: str) -> tuple[ServiceChange, ...]:
        of_service = select(_changes).where(_changes.c.service_id == service_id).order_by(_changes.c.number)
        with self._reading() as connection:
            rows = connection.execute(of_service).mappings().all()
        return tuple(
            ServiceChange(
                row["number"],
                row["action"],
                service_from_json(row["document"]),
                row["changed_by"],
                row["changed_at"],
            )
            for row in rows
        )

    def admit(self, access: AccessRow, used: Used, standing: SubjectRow | None) -> None:
        with self._writing() as connection:
            if not insert_new(connection, _used, request_hash=access.request_hash, **columns(used)):
                first = connection.scalar(select(_used.c.request_hash).where(_used.c.code_key == used.code_key))
                if first != access.request_hash:
                    raise CheckFailed("replayed", "another request used this up before")
            _note(connection, access)
            if standing is not None and not insert_new(connection, _subjects, **columns(standing)):
                connection.execute(
                    update(_subjects)
                    .where(_subjects.c.subject == standing.subject, _subjects.c.until < standing.until)
                    .values(until=standing.until)
                )

    def note(self, access: AccessRow) -> None:
        with self._writing() as connection:
            _note(connection, access)

    def accesses_of(self, holder_ref: str) -> tuple[AccessRow, ...]:
        of_person = select(_accesses).where(_accesses.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, AccessRow, of_person.order_by(_accesses.c.at, _accesses.c.access_id))

    def find_subject(self, subject: str) -> SubjectRow | None:
        with self._reading() as connection:
            return one(connection, SubjectRow, select(_subjects).where(_subjects.c.subject == subject))

    def subjects_of(self, holder_ref: str) -> tuple[SubjectRow, ...]:
        of_person = select(_subjects).where(_subjects.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, SubjectRow, of_person.order_by(_subjects.c.service_id))

    def purge(self, before: datetime, limit: int) -> int:
        old = select(_accesses.c.holder_ref, _accesses.c.access_id).where(_accesses.c.at < before).limit(limit)
        with self._writing() as connection:
            keys = connection.execute(old).all()
            for holder_ref, access_id in keys:
                connection.execute(
                    delete(_accesses).where(_accesses.c.holder_ref == holder_ref, _accesses.c.access_id == access_id)
                )
        return len(keys)

    def purge_used(self, before: datetime, limit: int) -> int:
        with self._writing() as connection:
            return _forget(connection, _used, "code_key", before, limit) + _forget(
                connection, _subjects, "subject", before, limit
            )

    def find_confirmation(self, confirmation_id: str) -> ConfirmationRow | None:
        with self._reading() as connection:
            return _confirmation(connection, confirmation_id)

    def confirmation_service(self, confirmation_id: str) -> str | None:
        with self._reading() as connection:
            return connection.scalar(
                select(_directory.c.service_id).where(_directory.c.confirmation_id == confirmation_id)
            )

    def add_confirmation(self, row: ConfirmationRow, service_id: str) -> ConfirmationRow:
        entry = {"confirmation_id": row.confirmation_id, "holder_ref": row.holder_ref}
        with self._writing() as connection:
            if insert_new(connection, _directory, service_id=service_id, **entry):
                connection.execute(_confirmations.insert().values(**columns(row)))
            stored = _confirmation(connection, row.confirmation_id)
        if stored is None:
            raise Conflict("register_conflict", "a confirmation is in the directory and not in its place")
        return stored

    def confirmations_of(self, holder_ref: str) -> tuple[ConfirmationRow, ...]:
        of_person = select(_confirmations).where(_confirmations.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, ConfirmationRow, of_person.order_by(_confirmations.c.created_at))


def _note(connection: Connection, access: AccessRow) -> None:
    if insert_new(connection, _accesses, **columns(access)):
        return
    first = connection.scalar(
        select(_accesses.c.request_hash).where(
            _accesses.c.holder_ref == access.holder_ref, _accesses.c.access_id == access.access_id
        )
    )
    if first != access.request_hash:
        raise Conflict("relying_request_differs", "this request id was used for another request")


def _confirmation(connection: Connection, confirmation_id: str) -> ConfirmationRow | None:
    entry = select(_directory.c.holder_ref).where(_directory.c.confirmation_id == confirmation_id)
    holder_ref = connection.scalar(entry)
    if holder_ref is None:
        return None
    return one(
        connection,
        ConfirmationRow,
        select(_confirmations).where(
            _confirmations.c.holder_ref == holder_ref, _confirmations.c.confirmation_id == confirmation_id
        ),
    )


def _forget(connection: Connection, table: Table, key: str, before: datetime, limit: int) -> int:
    column: Any = table.c[key]
    keys = connection.scalars(select(column).where(table.c.until < before).limit(limit)).all()
    for value in keys:
        connection.execute(delete(table).where(column == value))
    return len(keys)
