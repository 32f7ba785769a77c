"""What this process itself publishes, for the verifier beside the issuer: as if fetched, without a network."""

from __future__ import annotations

from ecard_issuer.assembly import Issuer


class OwnStatuses:
    """The verifier's `PublishedSource` over an issuer in the same process. Raises what the routes answer with."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def deltas_from(self, position: int) -> list[str]:
        """As many as one answer holds."""
        return [row.token for row in self._issuer.publishing.deltas.since_position(position)]

    def deltas_since(self, number: int) -> list[str]:
        """As many as one answer holds."""
        return [row.token for row in self._issuer.publishing.deltas.since(number)]

    def bundle(self) -> bytes:
        """The bundle of this moment."""
        return self._issuer.publisher.bundle(self._issuer.clock()).body
