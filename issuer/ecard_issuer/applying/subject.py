"""The section `applications` of what the register keeps about a person."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence

from ecard_issuer.applying.contexts import copy_context, details_context, note_context
from ecard_issuer.applying.store import ApplicationStore
from ecard_issuer.applying.values import ApplicationRow, DocumentCopy
from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339


class ApplicationData:
    """`SubjectData`: applications with their papers, what became of them, and who looked at them."""

    section = "applications"

    def __init__(self, store: ApplicationStore) -> None:
        self._store = store

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        return [self._one(row, seal) for row in self._store.of_holder(holder.holder_ref)]

    def _one(self, row: ApplicationRow, seal: Seal) -> dict[str, object]:
        application_id = row.application_id
        return {
            "application_id": application_id,
            "region": row.region,
            "kind": row.kind.value,
            "channel": row.channel.value,
            "state": row.state.value,
            "ground": row.ground.value,
            "mandate_id": row.mandate_id,
            "card_ref": row.card_ref,
            "details": json.loads(seal.open(row.sealed, details_context(application_id))),
            "steps": [
                {
                    "state": step.state.value,
                    "taken_by": step.taken_by,
                    "taken_at": rfc3339(step.taken_at),
                    "reason": step.reason,
                    "note": ""
                    if step.sealed_note is None
                    else seal.open(step.sealed_note, note_context(step)).decode(),
                }
                for step in self._store.steps_of(application_id)
            ],
            "documents": [
                self._copy(application_id, mark.kind, seal) for mark in self._store.copies_of(application_id)
            ],
            "opened": [
                {"by": access.caller, "at": rfc3339(access.opened_at)}
                for access in self._store.accesses_of(application_id)
            ],
        }

    def _copy(self, application_id: str, kind: DocumentCopy, seal: Seal) -> dict[str, object]:
        copy = self._store.find_copy(application_id, kind)
        if copy is None:
            return {"kind": kind.value}
        content = seal.open(copy.sealed, copy_context(application_id, kind))
        return {"kind": kind.value, "media_type": copy.media_type, "content": b64encode(content).decode()}
