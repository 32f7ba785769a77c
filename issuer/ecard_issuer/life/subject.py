"""What is kept about a person's card business, for that person to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ecard_issuer.life.cases import Cases
from ecard_issuer.life.values import CaseRow
from ecard_issuer.people import Seal
from ecard_issuer.ports import Cards
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class CardBusiness:
    """The section `card_business` of a data-subject export: every case of every card, and every event of them."""

    section = "card_business"

    def __init__(self, register: Cards, cases: Cases) -> None:
        self._register = register
        self._cases = cases

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """One entry a card."""
        return [
            {
                "card_ref": card.card_ref,
                "region": card.region,
                "cases": [_case(case, seal) for case in self._cases.cases_of(card.card_ref)],
                "events": [
                    {
                        "change": event.change.value,
                        "status": int(event.status),
                        "occurred_at": rfc3339(event.occurred_at),
                        "recorded_at": rfc3339(event.recorded_at),
                        "source": event.source,
                        "reason": event.reason,
                    }
                    for event in self._register.events_of(card.card_ref)
                ],
            }
            for card in self._register.cards_of_holder(holder.holder_ref)
        ]


def _case(case: CaseRow, seal: Seal) -> Mapping[str, object]:
    details = json.loads(seal.open(case.sealed, f"card_case/{case.case_id}")) if case.sealed is not None else {}
    return {
        "kind": case.kind.value,
        "state": case.state.value,
        "why": case.why,
        "caller": case.caller,
        "channel": case.channel.value,
        "ground": case.ground.value,
        "mandate_id": case.mandate_id,
        "opened_at": rfc3339(case.opened_at),
        "details": details,
    }
