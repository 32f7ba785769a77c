"""Erasing people and exporting what is kept about them: the values, and the ports of the stores."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from ecard_card.acting import Ground
from ecard_card.errors import InvalidInput

if TYPE_CHECKING:
    from ecard_issuer.rows import Grant, HolderRow

_LONG_NUMBER: Final = re.compile(r"\d{11}")
MAX_PROOF: Final = 100


class ErasureGround(StrEnum):
    """Why a person is erased."""

    REQUEST = "request"  # the person wants it, or who acts for them
    DEATH = "death"
    EMIGRATION = "emigration"  # 出国（境）定居
    MISTAKE = "mistake"  # should never have been entered
    ORDER = "order"  # of a court or a supervising authority
    REPEATED = "repeated"  # erased before, and back by an old backup


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """That somebody was erased, on which ground and paper. Nothing says who."""

    erasure_id: str
    ground: ErasureGround
    proof: str
    asked_by: str
    erased_at: datetime

    def __post_init__(self) -> None:
        """Raises `InvalidInput` `bad_proof_reference`: a file's number, and nobody's own."""
        if not 1 <= len(self.proof) <= MAX_PROOF or not self.proof.isprintable() or _LONG_NUMBER.search(self.proof):
            raise InvalidInput("bad_proof_reference", "want 1 to 100 printable characters and no number of a person")


@dataclass(frozen=True, slots=True)
class ErasedPerson:
    """Who is to be erased again wherever the key of `key_mark` comes back: their former keyed reference."""

    former_ref: str
    key_mark: str
    erased_at: datetime


def key_mark(wrapped_data_key: bytes) -> str:
    """Which data key that was: hex SHA-256 of it as it was wrapped. Opens nothing."""
    return hashlib.sha256(wrapped_data_key).hexdigest()


@dataclass(frozen=True, slots=True)
class ExportRow:
    """That somebody was given a person's data."""

    holder_ref: str
    export_id: str
    caller: str
    ground: Ground
    mandate_id: str | None
    made_at: datetime


class Erasures(Protocol):
    """Where people are erased. Each verb is one transaction."""

    def find(self, erasure_id: str) -> ErasureRow | None: ...

    def hindrance(self, holder_ref: str) -> str | None:
        """What of the register's own stands in the way now: `cards`, `issuing`, or None."""
        ...

    def erase(self, holder: HolderRow, tombstone_ref: str, row: ErasureRow, *, grant: Grant | None = None) -> None:
        """Destroy the person's data key and every sealed record, and let what is left belong to `tombstone_ref`, which
        nothing leads to.

        `RuleViolation`: `erasure_card_live`, `erasure_business_open`, `approval_not_usable`. `Conflict`:
        `erasure_id_taken`; `holder_changed` (another data key by now, or erased in this moment)."""
        ...

    def scrub(self, *, whole: bool = False) -> bool:
        """Have the engine let go of what it keeps of deleted rows, as far as it can; with `whole` by rewriting its
        file. False: somebody is reading, or the engine does it in its own time: try later."""
        ...

    def erased(self) -> tuple[ErasedPerson, ...]:
        """All of them, by their references."""
        ...


class Exports(Protocol):
    """The record of exports."""

    def record(self, row: ExportRow) -> ExportRow:
        """Store it; the one of the same person and id that was stored before, if there is one."""
        ...

    def of(self, holder_ref: str) -> tuple[ExportRow, ...]:
        """Those of a person, oldest first."""
        ...


class OpenBusiness(Protocol):
    """Asked before somebody is erased: a room in which something of theirs may not be finished."""

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        """What is not finished, in one word for the operator ("application"); None where nothing is."""
        ...
