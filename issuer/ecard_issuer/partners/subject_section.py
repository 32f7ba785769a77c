"""Who is told about a person's cards, for that person to read: their section of a data-subject export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ecard_issuer.partners.store import PartnerStore
from ecard_issuer.people import Seal
from ecard_issuer.rows import CardRow, HolderRow
from ecard_verifier.verdict import rfc3339


class PartnerSubjects:
    """`SubjectData`: the partners that are told when the status of one of the person's cards changes.

    Partners that are permitted whole regions are not listed: they hear of every card there, and nothing is kept of it
    with the person. `cards_of` gives the cards of a holder by reference.
    """

    section = "partners_told"

    def __init__(self, store: PartnerStore, cards_of: Callable[[str], Sequence[CardRow]]) -> None:
        self._store, self._cards_of = store, cards_of

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `ecard_issuer.subject_data.SubjectData`."""
        found: list[Mapping[str, object]] = []
        for card in self._cards_of(holder.holder_ref):
            for subject in self._store.subjects_of_card(card.card_ref):
                stream = self._store.find_stream(subject.stream_id)
                if stream is not None:
                    told = {"partner": stream.partner, "card_ref": card.card_ref, "since": rfc3339(subject.added_at)}
                    found.append(told)
        return found
