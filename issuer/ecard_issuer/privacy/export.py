"""What is kept about a person, for that person: one document with a section from each room that keeps something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ecard_card import messages
from ecard_card.acting import Act, Acting
from ecard_card.card import IdNumber
from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.answers import Json
from ecard_issuer.people import People
from ecard_issuer.privacy.values import ExportRow, Exports
from ecard_issuer.subject_data import SubjectData
from ecard_verifier.verdict import rfc3339

FORMAT: Final = "ecard-subject-data/1"
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Exporting:
    """The use case. `sections` are shown in their order."""

    def __init__(self, people: People, store: Exports, rules: ActingRules, sections: Sequence[SubjectData]) -> None:
        self._people = people
        self._store = store
        self._rules = rules
        self.sections = tuple(sections)

    def export(self, export_id: str, id_number: IdNumber, acting: Acting, caller: str, now: datetime) -> Json:
        """Everything kept about the person with this number, as JSON values with headings in both languages.

        That it was asked for is on record before anything is opened; the same `export_id` again is one record. Raises
        `NotFound` `person_unknown`, `InvalidInput` `bad_export_id`, those of `ActingRules.require`, and `Unavailable`.
        """
        if not _ID.fullmatch(export_id):
            raise InvalidInput("bad_export_id", "want 1 to 64 letters, digits and . _ : -")
        holder = self._people.find(id_number)
        if holder is None:
            raise NotFound("person_unknown", "nobody of this number is in the register")
        self._rules.require(acting, holder.holder_ref, Act.READ_RECORDS, now)
        self._store.record(ExportRow(holder.holder_ref, export_id, caller, acting.ground, acting.mandate_id, now))
        seal = self._people.seal_of(holder)
        return {
            "format": FORMAT,
            "made_at": rfc3339(now),
            "sections": [
                {
                    "section": room.section,
                    "title": _title(room.section),
                    "records": [dict(record) for record in room.of_holder(holder, seal)],
                }
                for room in self.sections
            ],
        }


def _title(section: str) -> Json:
    code = f"section_{section}"
    return {"en": messages.text(code, "en"), "zh": messages.text(code, "zh")}
