"""Section `pins` of a data-subject export: states and times of PIN and e-card password, and who changed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.ecards import Ecards
from ecard_issuer.people import Seal
from ecard_issuer.pins.secret import Purpose, Secrets
from ecard_issuer.ports import Cards
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class PinData:
    """A `SubjectData`. Hashes stay where they are: they open something, and say nothing."""

    section = "pins"

    def __init__(self, register: Cards, ecards: Ecards, store: Secrets) -> None:
        self._register, self._ecards, self._store = register, ecards, store

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        cards = [card.card_ref for card in self._register.cards_of_holder(holder.holder_ref)]
        ids = self._ecards.ids_of(holder.holder_ref)
        found = [self._section(Purpose.CARD_PIN, "card_ref", card_ref) for card_ref in cards]
        found += [self._section(Purpose.ECARD_PASSWORD, "ecard_id", ecard_id) for ecard_id in ids]
        return [one for one in found if one is not None]

    def _section(self, purpose: Purpose, name: str, subject: str) -> Mapping[str, object] | None:
        row = self._store.find(purpose, subject)
        if row is None:
            return None
        return {
            "kind": purpose.value,
            name: subject,
            "chosen": row.hash is not None,
            "wrong_tries": row.tries,
            "unlocks": row.unlocks,
            "locked_at": rfc3339(row.locked_at) if row.locked_at else None,
            "acts": [
                {
                    "act": event.act.value,
                    "at": rfc3339(event.at),
                    "by": event.caller,
                    "ground": event.ground,
                    "mandate_id": event.mandate_id,
                }
                for event in self._store.events(purpose, subject)
            ],
        }
