"""Addresses of channels in the register: port `AddressStore`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update

from ecard_issuer.programme.description import Addresses
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new

_addresses = tables.channel_address


class SqlAddresses(Store):
    def addresses(self) -> Addresses:
        every = select(_addresses.c.channel_id, _addresses.c.address).where(_addresses.c.channel_id > "")
        with self._reading() as connection:
            return {row.channel_id: row.address for row in connection.execute(every)}

    def set_address(self, channel: str, address: str | None, changed_by: str, now: datetime) -> None:
        this = _addresses.c.channel_id == channel
        values = {"address": address, "changed_by": changed_by, "changed_at": now}
        with self._writing() as connection:
            if address is None:
                connection.execute(delete(_addresses).where(this))
            elif not insert_new(connection, _addresses, channel_id=channel, **values):
                connection.execute(update(_addresses).where(this).values(values))
