"""People whose cards and e-cards are really issued, cancelled and erased; and whoever looks at what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, LargeBinary, select
from starlette.testclient import TestClient

from ecard_card.card import IdNumber
from ecard_card.errors import CheckFailed
from ecard_card.status import CardChange
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.privacy.erasure import ErasureResult
from ecard_issuer.privacy.values import ErasureGround
from ecard_issuer.register.engine import reading
from ecard_issuer.register.schema import metadata
from ecard_issuer.web.app import create_app
from ecard_keys import protect
from ecard_keys.protect import FileProtector
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service
from tests.issuer.web.test_journey import issue, post


class Lives:
    """A service with an operator's client. A person is the serial of the synthetic chip of their first card."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.service: Service = open_service(folder, database_url=database_url)
        self.issuer = self.service.issuer
        headers = {"Authorization": f"Bearer {self.service.token(Role.OPERATOR)}"}
        self.client = TestClient(create_app(self.issuer), headers=headers)

    def close(self) -> None:
        self.client.close()
        self.issuer.close()

    @property
    def engine(self) -> Engine:
        return self.issuer.engine

    def id_number(self, person: int) -> IdNumber:
        return IdNumber(synthetic(person).id_number)

    def card(self, person: int, serial: int | None = None) -> str:
        """Register a card of the person; the first, or the one with that serial."""
        body = self.service.card_body(person if serial is None else serial)
        body["holder"] = self.service.card_body(person)["holder"]
        return str(post(self.client, "/v1/cards", body, 201)["card_ref"])

    def issue(self, serial: int) -> dict[str, Any]:
        return issue(self.service, self.client, serial, DeviceKey.generate())

    def challenge(self) -> str:
        """A challenge that nobody answers."""
        return str(post(self.client, "/v1/enrolments", {"terminal_id": "desk-1"}, 201)["enrolment_id"])

    def cancel(self, card_ref: str) -> None:
        self.issuer.lifecycle.change(card_ref, CardChange.CANCEL, self.service.clock())

    def erase(self, person: int, erasure_id: str = "e-1") -> ErasureResult:
        return self.issuer.privacy.erasing.erase(
            erasure_id, self.id_number(person), ErasureGround.REQUEST, "file 2026-17", "anna", self.service.clock()
        )

    def dispatch(self) -> None:
        self.issuer.dispatcher.turn()


def tables_of(engine: Engine) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table, as the database has it."""
    for table in metadata.sorted_tables:
        with reading(engine) as connection:
            for row in connection.execute(select(table)).mappings():
                yield table.name, dict(row)


def dump_of(engine: Engine) -> bytes:
    """All that a thief of the database reads: SQLite's file and log as they are, else the tables."""
    if engine.dialect.name == "sqlite":
        file = Path(engine.url.database or "")
        return b"".join(path.read_bytes() for path in (file, Path(f"{file}-wal")) if path.exists())
    values = [value for _, row in tables_of(engine) for value in row.values()]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def opened_by(engine: Engine, protector: FileProtector) -> list[bytes]:
    """All that a thief of the database and the key file can open: every binary value, with every data key that is
    left, under every name that stands anywhere in the database."""
    rows = list(tables_of(engine))
    names = {str(value) for _, row in rows for value in row.values() if isinstance(value, str) and len(value) <= 64}
    names |= {value.hex() for _, row in rows for value in row.values() if isinstance(value, bytes) and len(value) == 16}
    sealed = [
        row[column.name]
        for name, row in rows
        for column in metadata.tables[name].columns
        if isinstance(column.type, LargeBinary) and row[column.name]
    ]
    keys = []
    for blob in sealed:
        for name in names if len(blob) == 62 else ():
            try:
                keys.append(protector.unwrap(blob, context=name.encode()))
            except CheckFailed:
                continue
    found = []
    for blob in sealed:
        for kind in ("holder", "card", "credential", "evidence"):
            for name in names:
                for data_key in keys:
                    try:
                        found.append(protect.open_(data_key, blob, context=f"{kind}/{name}".encode()))
                    except CheckFailed:
                        continue
    return found
