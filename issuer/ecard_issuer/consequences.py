"""What a change of a key would bring: as data, and in words for whoever decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card import messages
from ecard_keys.key import KeyPurpose
from ecard_verifier.verdict import rfc3339


@dataclass(frozen=True, slots=True)
class Consequences:
    """What would come of a change. `live` credentials name the key, `planned` issuances are about to.

    `refused` is the code of the rule that forbids it now, None where none does, and `possible_from` when that rule
    permits it. Verifiers whose list is older than `stale_after` seconds may still act on the state before; the last of
    them has the new one at `everywhere_at`, None where a ceremony has to come first. `notes` are codes of the
    catalogue, in the order in which `words` says them; `facts` fill their gaps.
    """

    action: str
    subject: str
    purpose: KeyPurpose
    notes: tuple[str, ...]
    live: int = 0
    planned: int = 0
    last_expiry: datetime | None = None
    refused: str | None = None
    possible_from: datetime | None = None
    stale_after: int = 0
    everywhere_at: datetime | None = None
    successor: str | None = None
    stops_signing: bool = False
    ceremony: bool = False
    reissue: int = 0
    approvals: int = 0

    def words(self, language: messages.Language) -> tuple[str, ...]:
        """The same for a person, a sentence each."""
        facts = {
            "subject": self.subject,
            "purpose": self.purpose.value,
            "live": self.live,
            "planned": self.planned,
            "last_expiry": _moment(self.last_expiry),
            "possible_from": _moment(self.possible_from),
            "stale_after": self.stale_after,
            "everywhere_at": _moment(self.everywhere_at),
            "successor": self.successor or "",
            "reissue": self.reissue,
            "approvals": self.approvals,
        }
        said = [messages.text(note, language).format_map(facts) for note in self.notes]
        if self.refused is not None:
            refusal = messages.text(self.refused, language)
            said.append(messages.text("consequence_refused", language).format(refusal=refusal))
        return tuple(said)


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else rfc3339(moment)
