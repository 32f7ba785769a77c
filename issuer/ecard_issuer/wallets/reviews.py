"""Requests that a person looks at before anything is issued."""

from __future__ import annotations

from datetime import datetime

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.names import person_key
from ecard_issuer.ports import Enrolments
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.values import BatchRow, BatchState


class Reviews:
    """The queue. `four_eyes`: who made an offer is not the one who approves what is asked for with it."""

    def __init__(self, store: WalletStore, enrolments: Enrolments, *, four_eyes: bool) -> None:
        self._store, self._enrolments, self._four_eyes = store, enrolments, four_eyes

    def waiting(self, now: datetime, after: str = "", limit: int = 100) -> tuple[BatchRow, ...]:
        """In order of their ids."""
        return self._store.waiting_batches(now, after, limit)

    def approve(self, batch_id: str, by: str, now: datetime) -> BatchRow:
        """Let it be issued: the wallet fetches it. Approving again changes nothing.

        Raises `NotFound` `wallet_review_unknown`; `Conflict` `wallet_review_decided`; `RuleViolation`
        `approval_own_request`.
        """
        batch = self._store.find_batch(batch_id)
        maker = self._store.offer_maker(batch.session_id) if batch is not None and self._four_eyes else None
        if maker is not None and person_key(maker) == person_key(by):
            raise RuleViolation("approval_own_request", "whoever made the offer does not review what comes of it")
        return self._decide(batch_id, BatchState.GRANTED, by, "", now)

    def refuse(self, batch_id: str, by: str, reason: str, now: datetime) -> BatchRow:
        """As `approve`, but for anybody; `reason` is for the record, and says nothing of the person."""
        return self._decide(batch_id, BatchState.REFUSED, by, reason, now)

    def card_of(self, batch: BatchRow) -> str | None:
        """Whose e-card is asked for; None for a link's, and where the proof was deleted since."""
        enrolment_id = batch.keys[0].enrolment_id
        try:
            return None if enrolment_id is None else self._enrolments.get_enrolment(enrolment_id).card_ref
        except NotFound:
            return None

    def _decide(self, batch_id: str, state: BatchState, by: str, reason: str, now: datetime) -> BatchRow:
        batch = self._store.decide_batch(batch_id, state, by, reason, now)
        if batch is None or batch.decided_at is None:
            raise NotFound("wallet_review_unknown", "no request of this id waits for a review")
        if batch.state is not state:
            raise Conflict("wallet_review_decided", "it was decided the other way")
        return batch
