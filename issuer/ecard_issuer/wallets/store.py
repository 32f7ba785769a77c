"""Port `WalletStore`: what each verb promises to the use cases. Every verb is one transaction; races are settled by
keys and locked rows. All may raise `Unavailable`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from ecard_issuer.wallets.values import (
    BatchRow,
    BatchState,
    OfferRow,
    RequestRow,
    SessionRow,
    WalletClient,
    WalletEvent,
)


class WalletClients(Protocol):
    """The registry of wallets."""

    def find_client(self, client_id: str) -> WalletClient | None: ...

    def list_clients(self, after: str = "", limit: int = 100) -> tuple[WalletClient, ...]: ...

    def save_client(self, client: WalletClient) -> None:
        """Add it, or put it in the place of what was there."""


class WalletStore(WalletClients, Protocol):
    """Offers, requests, sessions and batches. Rows go some time after they are over."""

    def add_offer(self, offer: OfferRow) -> OfferRow:
        """Keep it; of an id that is there already, what is kept."""

    def find_offer(self, offer_id: str) -> OfferRow | None: ...

    def redeem_offer(
        self, offer_id: str, right: bool, opened: Callable[[OfferRow], SessionRow], now: datetime
    ) -> OfferRow | None:
        """Take an open offer and keep the session `opened` of it where the transaction code was `right`, else count one
        wrong try, after the last of which it is dead. Returns the offer as it is then; None, and nothing changes, for
        an unknown id and for one that is not open or is over. Locked first: of many at once, one is right, and no
        guess is free."""

    def add_request(self, request: RequestRow) -> None: ...

    def find_request(self, request_id: str) -> RequestRow | None: ...

    def open_request(self, request_id: str, browser_hash: str) -> bool:
        """Bind a pushed request to the first browser that shows it; False where another one has it, or it is gone."""

    def take_request_try(self, request_id: str, limit: int, now: datetime) -> bool:
        """Count one try at our page before it is judged; False where none is left, or the request is over."""

    def grant_request(self, request: RequestRow, right: bool, now: datetime) -> bool:
        """The person proved themself, by `request.offer_id`'s transaction code where it names an offer (judged as in
        `redeem_offer`), else another way: keep what `request` says of the right. False where it was not to be."""

    def refuse_request(self, request_id: str) -> bool:
        """The person said no. False where it was not pushed."""

    def redeem_request(self, request_id: str, session: SessionRow, now: datetime) -> bool:
        """Open the session of a granted request, once."""

    def find_session(self, session_id: str) -> SessionRow | None: ...

    def add_batch(self, batch: BatchRow, taken: int, most: int) -> BatchRow | None:
        """Keep a batch and count its keys, where its session has `taken` so far and stays within `most`. Where a batch
        of this id is kept already, that one and nothing changes; None where the session has other keys meanwhile, or
        would have too many. A waiting batch keeps its session, and what that came of, until the batch's own end."""

    def offer_maker(self, session_id: str) -> str | None:
        """Who made the offer that a session came of, at once or by way of our page; None where it came of none."""

    def find_batch(self, batch_id: str) -> BatchRow | None: ...

    def waiting_batches(self, now: datetime, after: str = "", limit: int = 100) -> tuple[BatchRow, ...]:
        """Those to be reviewed, in order of their ids."""

    def decide_batch(self, batch_id: str, state: BatchState, by: str, reason: str, now: datetime) -> BatchRow | None:
        """Decide a waiting one; returns the batch as it is then, None for an unknown id or one that is over."""

    def end_issued(self, enrolment_ids: Sequence[str], now: datetime) -> None:
        """End what was issued on these enrolments, and what followed it, for good: the card and its e-card stay as
        they are. An enrolment that is not spent yet is spent by this."""

    def note_event(self, batch_id: str, event: WalletEvent) -> None:
        """The last event stands."""

    def purge(self, before: datetime, limit: int) -> int:
        """Delete what ended before then, at most so much of each kind; says how much went."""
