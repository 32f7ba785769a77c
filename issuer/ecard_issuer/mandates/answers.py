"""From mandates to the answers of routes and commands."""

from __future__ import annotations

from datetime import datetime

from ecard_card.card import Holder
from ecard_issuer.mandates.desk import OpenedMandate
from ecard_issuer.mandates.subject import mandate_json
from ecard_issuer.mandates.values import MandateRow
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def mandate_answer(row: MandateRow, now: datetime) -> Json:
    """A `MandateAnswer`: nothing that names a person."""
    return mandate_json(row) | {"state": row.state_at(now)}


def opened_answer(opened: OpenedMandate, now: datetime) -> Json:
    """An `OpenedMandateAnswer`: both people, for the desk."""
    proof = opened.proof
    return {
        "mandate": mandate_answer(opened.row, now),
        "holder": _person(opened.holder),
        "agent": None if opened.agent is None else _person(opened.agent),
        "proof": {
            "form": proof.form.value,
            "reference": proof.reference,
            "given_at": rfc3339(proof.given_at),
            "given_by": proof.given_by,
        },
        "document": None if opened.document is None else {"media_type": opened.document[0], "size": opened.document[1]},
    }


def _person(holder: Holder) -> Json:
    return {"id_number": holder.id_number.text, "name": holder.name}
