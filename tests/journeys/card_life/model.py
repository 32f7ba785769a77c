"""What must become of a card, said a second time: a hundred lines, no database, no clock, no code of the register."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

APPLIED, REPEATED = "applied", "repeated"
SEALED, NORMAL, LOST, LOCKED, TEMPORARY, CANCELLED = 0, 1, 2, 3, 4, 9
VALID, INVALID, SUSPENDED = 0, 1, 2
LEADS = {
    "enable": ({SEALED}, NORMAL),
    "report_temporary_loss": ({NORMAL}, TEMPORARY),
    "report_loss": ({NORMAL, TEMPORARY}, LOST),
    "release": ({LOST, TEMPORARY}, NORMAL),
    "lock": ({NORMAL}, LOCKED),
    "unlock": ({LOCKED}, NORMAL),
    "replace": ({NORMAL, LOST, LOCKED, TEMPORARY}, CANCELLED),
    "cancel": ({SEALED, NORMAL, LOST, LOCKED, TEMPORARY}, CANCELLED),
}
WORDS = {
    "holder_lock": ("locked", True),
    "holder_unlock": ("locked", False),
    "consent": ("consented", True),
    "withdraw_consent": ("consented", False),
}


@dataclass(frozen=True)
class Report:
    """What somebody says happened. `origin` is empty for our own desks, which number nothing."""

    change: str
    name: str
    at: datetime
    origin: str = ""
    number: int | None = None


@dataclass
class ModelCard:
    """One card; its credentials by any name, with whether they have ended."""

    status: int = NORMAL
    locked: bool = False
    consented: bool = False
    ecard: str | None = None
    ended: dict[object, bool] = field(default_factory=dict)
    known: list[Report] = field(default_factory=list)  # applied, in order

    def report(self, said: Report, now: datetime) -> str:
        """What the register must answer: `APPLIED`, `REPEATED`, or the code of a refusal."""
        before = self._before(said)
        if before is not None:
            same = before.change == said.change and said.number in (None, before.number)
            return REPEATED if same else "card_event_differs"
        if said.at > now + timedelta(minutes=5):
            return "card_event_from_future"
        numbers = [known.number for known in self.known if known.origin == said.origin and known.number]
        if said.number is not None and said.number <= max(numbers, default=0):
            return "card_change_superseded"
        answer = self._word(said) if said.change in WORDS else self._move(said)
        if answer == APPLIED:
            self.known.append(said)
        return answer

    def _before(self, said: Report) -> Report | None:
        own = [known for known in self.known if known.origin == said.origin]
        named = [known for known in own if known.name == said.name]
        return next(iter(named + [known for known in own if said.number and known.number == said.number]), None)

    def _word(self, said: Report) -> str:
        name, value = WORDS[said.change]
        if said.origin or getattr(self, name) is value or self.status == CANCELLED:
            return "card_change_impossible"
        setattr(self, name, value)
        return APPLIED

    def _move(self, said: Report) -> str:
        origins, target = LEADS[said.change]
        if said.origin and target == self.status and said.change != "replace":
            return APPLIED  # an echo
        if self.status not in origins:
            return "card_change_impossible"
        others = [k for k in self.known if k.change in LEADS and (said.number is None or k.origin != said.origin)]
        if said.origin and target == NORMAL and any(known.at > said.at for known in others):
            return "card_change_superseded"
        self.status, self.consented = target, False
        if target == CANCELLED:
            self.ended = dict.fromkeys(self.ended, True)
            self.ecard = None
        return APPLIED

    @property
    def usable(self) -> bool:
        """Whether the e-card may be used, where a temporary loss leaves that to the holder."""
        return not self.locked and (self.status == NORMAL or (self.status == TEMPORARY and self.consented))

    def value(self, credential: object) -> int:
        """What the status list must say of one of its credentials."""
        return INVALID if self.ended[credential] else VALID if self.usable else SUSPENDED
