"""Section `levels` of a data-subject export: when payment was opened and closed, on which consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.ecards import Ecards
from ecard_issuer.levels.opening import Openings
from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class LevelData:
    """A `SubjectData`."""

    section = "levels"

    def __init__(self, ecards: Ecards, openings: Openings) -> None:
        self._ecards, self._openings = ecards, openings

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        return [
            {
                "ecard_id": row.ecard_id,
                "opened_at": rfc3339(row.opened_at),
                "opened_by": row.opened_by,
                "ground": row.ground,
                "mandate_id": row.mandate_id,
                "consent": row.consent,
                "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
                "closed_by": row.closed_by,
                "closing": row.closing.value if row.closing else None,
            }
            for ecard_id in self._ecards.ids_of(holder.holder_ref)
            for row in self._openings.of_ecard(ecard_id)
        ]
