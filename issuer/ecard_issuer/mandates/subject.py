"""The section `mandates` of what the register keeps about a person."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence

from ecard_issuer.mandates.desk import proof_context, read_proof
from ecard_issuer.mandates.values import LifeStore, MandateRow, MandateStore
from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class MandateData:
    """`SubjectData`: mandates given with their proof, mandates had, and what is known of the person's life. Whom an
    agent acts for is the other person's data and is named by their reference only."""

    section = "mandates"

    def __init__(self, store: MandateStore, lives: LifeStore) -> None:
        self._store = store
        self._lives = lives

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        given = [self._given(row, seal) for row in self._store.of_holder(holder.holder_ref)]
        had = [mandate_json(row) | {"given": False} for row in self._store.of_agent(holder.holder_ref)]
        life = self._lives.find_life(holder.holder_ref)
        known = [] if life is None else [{"life": life.life.value, "since": life.since.isoformat()}]
        return [*given, *had, *known]

    def _given(self, row: MandateRow, seal: Seal) -> dict[str, object]:
        proof = read_proof(seal.open(row.sealed, proof_context(row.mandate_id)))
        said = mandate_json(row) | {
            "given": True,
            "proof": {
                "form": proof.form.value,
                "reference": proof.reference,
                "given_at": rfc3339(proof.given_at),
                "given_by": proof.given_by,
            },
        }
        document = self._store.find_document(row.mandate_id)
        if document is not None:
            content = seal.open(document.sealed, f"mandate-document/{row.mandate_id}")
            said["document"] = {"media_type": document.media_type, "content": b64encode(content).decode()}
        return said


def mandate_json(row: MandateRow) -> dict[str, object]:
    """A mandate without anything that names a person."""
    return {
        "mandate_id": row.mandate_id,
        "holder_ref": row.holder_ref,
        "agent_ref": row.agent_ref,
        "agency": row.agency,
        "ground": row.ground.value,
        "cause": row.cause.value,
        "relation": row.relation.value,
        "acts": list(row.acts),
        "starts_at": rfc3339(row.starts_at),
        "ends_at": None if row.closes_at is None else rfc3339(row.closes_at),
        "checked_by": row.checked_by,
        "created_at": rfc3339(row.created_at),
        "revoked_at": None if row.revoked_at is None else rfc3339(row.revoked_at),
        "revoked_by": row.revoked_by,
    }
