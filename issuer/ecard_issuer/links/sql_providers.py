"""Port `ProviderStore` on SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from ecard_issuer.links.providers import IdentityProvider, KnownProvider
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, use_grant
from ecard_issuer.rows import Grant

_provider = tables.identity_provider


class SqlProviders(Store):
    def find_provider(self, provider_id: str) -> KnownProvider | None:
        this = select(_provider).where(_provider.c.provider_id == provider_id)
        with self._reading() as connection:
            row = connection.execute(this).mappings().one_or_none()
        return None if row is None else _known(row)

    def list_providers(self) -> Sequence[KnownProvider]:
        every = select(_provider).where(_provider.c.provider_id > "").order_by(_provider.c.provider_id)
        with self._reading() as connection:
            return [_known(row) for row in connection.execute(every).mappings()]

    def save_provider(
        self, provider: IdentityProvider, actor: str, now: datetime, *, removed: bool, grant: Grant | None
    ) -> None:
        values = {
            "name": provider.name,
            "methods": provider.methods,
            "keys": [dict(key) for key in provider.keys],
            "changed_by": actor,
            "changed_at": now,
            "removed_at": now if removed else None,
        }
        with self._writing() as connection:
            use_grant(connection, grant, now)
            if not insert_new(connection, _provider, provider_id=provider.provider_id, **values):
                this = _provider.c.provider_id == provider.provider_id
                connection.execute(update(_provider).where(this).values(values))


def _known(row: Mapping[Any, Any]) -> KnownProvider:
    provider = IdentityProvider(row["provider_id"], row["name"], tuple(row["methods"]), tuple(row["keys"]))
    return KnownProvider(provider, row["changed_by"], row["changed_at"], row["removed_at"])
