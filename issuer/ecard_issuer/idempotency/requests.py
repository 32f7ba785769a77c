"""The verb: a request begins under its key, and is then done, answered from what is kept, or refused."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, RuleViolation
from ecard_issuer.idempotency.answers import AnswerRow, Answers, KeptAnswer, Run
from ecard_keys.protect import Protector, new_data_key, open_, seal

#: How long an answer is kept.
KEPT: Final = timedelta(hours=24)
#: How long one run has the key to itself: longer than any request takes. What a crash cut short may be asked again
#: then.
LEASE: Final = timedelta(seconds=60)
_PURGE_BATCH: Final = 500


class InFlight(Conflict):
    """The same request is being done. `retry_after` is in seconds."""

    retryable = True
    retry_after = 1


class IdempotentRequests:
    """Answers at rest are encrypted, each under a key of its own that `protector` wraps. The caller's key is not kept:
    only a keyed hash of it, and so is what was asked, because a plain hash of a number could be guessed."""

    def __init__(
        self, answers: Answers, protector: Protector, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._answers = answers
        self._protector = protector
        self._random = random

    def begin(self, caller: str, route: str, key: str, asked: bytes, now: datetime) -> Run | KeptAnswer:
        """`caller` names who asks among all callers, `route` is method and template, `asked` all the rest of the
        request: path, query and a hash of the body.

        A `Run` is ended by `finish` or `abandon`. If it never is (a crash), the key is free for the same request when
        the lease ends; the work is then done again, so every use case must be repeatable by its own keys.

        Raises `RuleViolation` `idempotency_key_reused`, `Conflict` `idempotency_in_flight`, `Unavailable`.
        """
        slot = self._protector.mac("idempotency-slot", json.dumps([caller, route, key]).encode()).hex()
        fingerprint = self._protector.mac("idempotency-request", asked).hex()
        run = Run(slot, self._random(16).hex())
        found = self._answers.begin(AnswerRow(slot, fingerprint, run.run_id, now + LEASE, now + KEPT), now)
        if found is None:
            return run
        if found.fingerprint != fingerprint:
            raise RuleViolation("idempotency_key_reused", "this key was used for another request; want a new one")
        if found.sealed_answer is None or found.wrapped_key is None:
            raise InFlight("idempotency_in_flight", "the same request is being done; ask again in a second")
        data_key = self._protector.unwrap(found.wrapped_key, context=_context(slot))
        return KeptAnswer.from_bytes(open_(data_key, found.sealed_answer, context=_context(slot)))

    def finish(self, run: Run, answer: KeptAnswer) -> None:
        """Keep `answer` for whoever asks again. Raises `Unavailable`; the work is done all the same."""
        data_key, context = new_data_key(self._random), _context(run.slot)
        wrapped = self._protector.wrap(data_key, context=context)
        self._answers.finish(run, wrapped, seal(data_key, answer.to_bytes(), context=context, random=self._random))

    def abandon(self, run: Run) -> None:
        """Nothing is kept: the request may be sent again at once. Raises `Unavailable`."""
        self._answers.abandon(run)

    def upkeep(self, now: datetime) -> None:
        """Delete answers whose time is over. Raises `Unavailable`."""
        self._answers.purge(now, _PURGE_BATCH)


def _context(slot: str) -> bytes:
    return b"ecard-idempotent-answer/" + slot.encode()
