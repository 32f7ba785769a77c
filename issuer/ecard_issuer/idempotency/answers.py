"""What is kept of a request with an idempotency key, and the port to where it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecard_card import jose
from ecard_card.errors import CheckFailed

#: Answers that say nothing about the request itself, or that a little later may be others: never kept.
_PASSING = frozenset({202, 401, 403, 408, 413, 415, 425, 429})
_MOST_KEPT = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was given the first time. May hold credentials and codes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"KeptAnswer(status={self.status})"

    def to_bytes(self) -> bytes:
        """One line of JSON, then the body."""
        head = json.dumps([self.status, [list(pair) for pair in self.headers]]).encode()
        return head + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> KeptAnswer:
        """Inverse of `to_bytes`. Raises `CheckFailed` `sealed_data_refused`."""
        head, _, body = data.partition(b"\n")
        parsed = jose.parse_json(head)
        if not (isinstance(parsed, list) and len(parsed) == 2 and isinstance(parsed[0], int)):
            raise CheckFailed("sealed_data_refused", "not an answer that was kept here")
        pairs = parsed[1] if isinstance(parsed[1], list) else []
        return cls(parsed[0], tuple((str(pair[0]), str(pair[1])) for pair in pairs if isinstance(pair, list)), body)


@dataclass(frozen=True, slots=True)
class Run:
    """The right to do the work of one request, until the lease ends."""

    slot: str
    run_id: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A key that was used. `slot` stands for caller, route and key, `fingerprint` for what was asked; both are keyed
    hashes. Without `sealed_answer` the work is being done, or was cut short."""

    slot: str
    fingerprint: str
    run_id: str
    leased_until: datetime
    expires_at: datetime
    wrapped_key: bytes | None = None
    sealed_answer: bytes | None = None


class Answers(Protocol):
    """Where they are kept. Of any number of servers and threads that begin one slot at once, one gets it."""

    def begin(self, row: AnswerRow, now: datetime) -> AnswerRow | None:
        """Take `row.slot` for `row.run_id`; None if that succeeded, else the row that stands in the way.

        A row whose `expires_at` has come stands in nobody's way; one without an answer whose lease has ended stands in
        the way of other fingerprints only.
        """
        ...

    def finish(self, run: Run, wrapped_key: bytes, sealed_answer: bytes) -> bool:
        """Keep the answer. False where another run has taken the slot meanwhile, or it has an answer."""
        ...

    def abandon(self, run: Run) -> None:
        """Forget the run as if it had never begun. Nothing happens where it has an answer, or is another's by now."""
        ...

    def purge(self, now: datetime, limit: int) -> int:
        """Delete at most `limit` rows whose `expires_at` has come; how many went."""
        ...


def is_kept(status: int, code: str, size: int) -> bool:
    """Whether an answer is what every repetition gets.

    Not: what waits for another person's consent (202: the same request is sent again when it was given); faults of
    ours; who may not ask (tokens change); what came too often; what was refused before anything was done
    (`invalid_request`, `bad_json`: it may be corrected under the same key); what is larger than a MiB.
    """
    return (
        status < 500 and status not in _PASSING and code not in ("invalid_request", "bad_json") and size <= _MOST_KEPT
    )
