"""Payments in what a person is told about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_issuer.settlements.store import PaymentStore, context_of


class SettlementData:
    """`SubjectData`: what a person agreed to have paid, as signed, and what became of it."""

    section = "settlements"

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`. Oldest first."""
        return [
            {
                "transaction_id": row.transaction_id,
                "state": row.state.value,
                "signed": seal.open(row.sealed, context_of(row.transaction_id)).decode(),
            }
            for row in self._store.of_holder(holder.holder_ref)
            if row.sealed
        ]
