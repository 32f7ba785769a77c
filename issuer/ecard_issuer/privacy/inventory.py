"""Every table in which something hangs on a person or their card: who reads it, and what lies under their key.

A test compares this with the tables that there are, so that nothing is kept which an export forgets or an erasure
leaves readable. `docs/privacy.md` says the same for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Kept:
    """One table. `section` of the export shows it; where none does, `why` says why. `sealed` columns lie under the
    person's data key and are emptied by an erasure; `plain` names the binary columns that do not. Rows that name an
    erased person name the tombstone from then on, or are deleted where the table `goes`: because they would lead from
    the number to the tombstone."""

    section: str | None
    why: str = ""
    sealed: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    goes: bool = False


INVENTORY: Final[Mapping[str, Kept]] = MappingProxyType(
    {
        "holder": Kept("person", sealed=("wrapped_data_key", "sealed")),
        "card": Kept("cards", sealed=("sealed_identity",)),
        "card_event": Kept("events"),
        "binding": Kept("bindings", sealed=("evidence",)),
        "binding_history": Kept("bindings", sealed=("evidence",)),
        "enrolment": Kept("enrolments", sealed=("evidence",), plain=("challenge", "credential_id")),
        "plan": Kept("credentials", plain=("credential_id", "device_key_thumbprint", "replaces")),
        "credential": Kept(
            "credentials",
            sealed=("sealed_sd_jwt",),
            plain=("credential_id", "cwt", "device_key_thumbprint", "replaced_by"),
        ),
        "subject_export": Kept("exports"),
        "status_entry": Kept(
            None, "the published value at the place that `credentials` names", plain=("credential_id",)
        ),
        "credential_directory": Kept(None, "only finds the card of a credential", plain=("credential_id",)),
        "ecard_binding": Kept(None, "only finds the card of an e-card"),
        "chip_key": Kept(None, "only finds the card of a chip's key"),
        "outbox": Kept(None, "what `events` and `credentials` show, on its way to verifiers"),
        "erased_person": Kept(None, "of people whose data is gone"),
    }
)

#: Columns that name a person by their keyed reference: an erasure changes them, in whichever table they stand.
HOLDER_REFERENCES: Final = frozenset({"holder_ref"})
#: Columns that end in `_ref` and name a card, a chip's key, or somebody who was erased. Any other one needs a decision.
OTHER_REFERENCES: Final = frozenset({"card_ref", "chip_key_ref", "former_ref"})
