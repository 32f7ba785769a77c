"""Section `links` of a data-subject export: which apps may show the person's e-cards, and how the person was proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecard_issuer.links.store import LinkStore
from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class LinkData:
    """A `SubjectData`."""

    section = "links"

    def __init__(self, links: LinkStore) -> None:
        self._links = links

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        return [
            {
                "link_id": link.link_id,
                "app_id": link.app_id,
                "ecard_id": link.ecard_id,
                "holder_proof": link.proof.label,
                "identity_provider": link.provider,
                "method": link.method,
                "consent": link.consent,
                "claimed_at": rfc3339(link.claimed_at),
                "ended_at": rfc3339(link.ended_at) if link.ended_at else None,
                "mandate_id": link.mandate_id,
                "end": link.end.value if link.end else None,
                "device_keys": sum(right.sealed_key is None for right in self._links.rights_of(link.link_id)),
            }
            for link in self._links.links_of_holder(holder.holder_ref)
        ]
