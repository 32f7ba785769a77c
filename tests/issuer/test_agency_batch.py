"""A large batch of an agency: cut in the middle, sent again, each person once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.identity_document import DocumentKind, IdentityDocument
from ecard_issuer.applying.batches import MOST_ROWS, AgencyRow
from ecard_issuer.applying.values import NewApplication, Residency
from ecard_issuer.mandates.values import Form, Proof
from tests.issuer.people_kit import number
from tests.issuer.service import START, Service

ROWS = 10_000


def rows() -> Iterator[AgencyRow]:
    proof = Proof(Form.WRITTEN, "同意书", START - timedelta(days=1))
    for row in range(1, ROWS + 1):
        born = date(1950, 1, 1) + timedelta(days=row)
        wish = NewApplication(
            document=IdentityDocument(DocumentKind.IDENTITY_CARD, number(born.isoformat(), row % 1000)),
            name=f"员工{row}",
            region="000000",
            residency=Residency.REGISTERED,
            channel=Channel.WEBSITE,
            acting=IN_PERSON,
        )
        yield AgencyRow(row, wish, proof)


def test_ten_thousand_rows_resume_after_a_cut(service: Service) -> None:
    batches = service.issuer.applications.batches
    everything = list(rows())
    pieces = [everything[at : at + MOST_ROWS] for at in range(0, ROWS, MOST_ROWS)]
    for piece in pieces[:30]:
        batches.submit("b", piece, "factory", START)
    assert batches.counts("b", "factory") == {"accepted": 30 * MOST_ROWS}
    outcomes: Counter[str] = Counter()
    applications = set()
    for piece in pieces[25:]:  # five pieces again: nobody knows what arrived
        for told in batches.submit("b", piece, "factory", START + timedelta(hours=1)):
            outcomes[told.outcome] += 1
            applications.add(told.application_id)
    assert outcomes == {"accepted": ROWS - 25 * MOST_ROWS} == {"accepted": len(applications)}
    assert batches.counts("b", "factory") == {"accepted": ROWS}
    (again,) = batches.submit("other", everything[:1], "factory", START)
    assert again.outcome == "application_open"
