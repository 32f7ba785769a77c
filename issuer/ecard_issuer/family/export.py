"""Section `family` of a data-subject export: links on either side and their showings, without the other's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.family.link import Links, Side
from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class FamilyData:
    """A `SubjectData`. Who the other one is stays theirs: a link is named by its id and relation."""

    section = "family"

    def __init__(self, links: Links) -> None:
        self._links = links

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        shown: dict[str, list[Mapping[str, object]]] = {}
        for row in self._links.showings(holder.holder_ref):
            shown.setdefault(row.link_id, []).append({"at": rfc3339(row.shown_at), "by": row.shown_by})
        return [
            {
                "link_id": link.link_id,
                "side": side.value,
                "relation": link.relation.value,
                "proof": link.proof.value,
                "mandate_id": link.mandate_id,
                "consent": link.consent,
                "entered_by": link.entered_by,
                "started_at": rfc3339(link.started_at),
                "ends_at": rfc3339(link.ends_at) if link.ends_at else None,
                "ended_at": rfc3339(link.ended_at) if link.ended_at else None,
                "end": link.end.value if link.end else None,
                "shown": shown.get(link.link_id, []),
            }
            for side in Side
            for link in self._links.of(holder.holder_ref, side)
        ]
