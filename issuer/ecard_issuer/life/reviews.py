"""What time alone changes: cards whose last day is over, and regions in which another policy holds. Port `Reviews`.

A card is due from the day after its last one until its entries were derived anew, in the transaction that does so; a
policy's region is walked card by card, and the place reached stands in the register. So nothing is skipped by a crash,
several processes may work beside each other, and a piece of work is as small as its `limit`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

from sqlalchemy import Connection, select, tuple_, update

from ecard_card.china import china_date
from ecard_card.status import CardChange
from ecard_issuer.card_effect import PolicyChanges
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.sql import columns, fixed, insert_new, many, one, set_entries
from ecard_issuer.register.sql_changes import SqlChanges, status_body
from ecard_issuer.rows import CardEventRow, CardRow, CredentialRow, EntryChange
from ecard_issuer.states import CredentialState, OutboxKind

_cards, _credentials, _state = tables.card, tables.credential, tables.policy_review
_SCOPE: Final = "policies"
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reviews(Protocol):
    """Derives entries anew. Each call is one transaction, and returns how many cards it looked at."""

    def review_expired(self, now: datetime, *, limit: int = 200) -> int:
        """Cards whose last day is over and that were not looked at since; 0 when there are none any more."""
        ...

    def review_policies(self, changes: PolicyChanges, now: datetime, *, limit: int = 200) -> int:
        """Cards of regions whose policy changed up to `now`; 0 when all changes known by now are worked in."""
        ...

    def review_region(self, region: str, now: datetime) -> None:
        """Have all cards under a region's code looked at by the next `review_policies`."""
        ...


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far the review of policies has come: all changes up to `since` are worked in, those up to `until` are being
    worked in for `regions`, of which the first is done up to and including (`after_region`, `after_card`)."""

    since: datetime
    until: datetime | None = None
    regions: tuple[str, ...] = ()
    after_region: str = ""
    after_card: str = ""
    scope: str = _SCOPE


class SqlReviews(SqlChanges):
    """`Reviews` over a register's engine."""

    def review_expired(self, now: datetime, *, limit: int = 200) -> int:
        """See `Reviews`."""
        today: date = china_date(now)
        due = _cards.c.expiry_due < today
        with self._writing() as connection:
            found = connection.scalars(
                select(_cards.c.card_ref)
                .where(_cards.c.expiry_due.is_not(None), due)
                .order_by(_cards.c.expiry_due, _cards.c.card_ref)
                .limit(limit)
            ).all()
            if not found:
                return 0
            self._rederive(connection, found, now)
            connection.execute(update(_cards).where(_cards.c.card_ref.in_(sorted(found)), due).values(expiry_due=None))
        return len(found)

    def review_policies(self, changes: PolicyChanges, now: datetime, *, limit: int = 200) -> int:
        """See `Reviews`."""
        with self._writing() as connection:
            walk = self._walk(connection)
            if walk.until is None:
                # Before the first walk every policy is news: entries may have been derived without any.
                walk = _Walk(walk.since, now, (*walk.regions, *sorted(changes(walk.since, now))))
            refs: Sequence[tuple[str, str]] = ()
            while walk.regions and not refs:
                refs = _next_cards(connection, walk, limit)
                if not refs:
                    walk = _Walk(walk.since, walk.until, walk.regions[1:])
            if refs:
                self._rederive(connection, [card_ref for _, card_ref in refs], now)
                walk = _Walk(walk.since, walk.until, walk.regions, *refs[-1])
            else:
                walk = _Walk(walk.until or now)
            _keep(connection, walk)
        return len(refs)

    def review_region(self, region: str, now: datetime) -> None:
        """See `Reviews`."""
        with self._writing() as connection:
            walk = self._walk(connection)
            later = (*walk.regions, region)
            _keep(connection, _Walk(walk.since, walk.until, later, walk.after_region, walk.after_card))

    def _walk(self, connection: Connection) -> _Walk:
        """The state of the review, locked; made where there is none."""
        insert_new(connection, _state, **columns(_Walk(_BEGINNING)))
        walk = one(connection, _Walk, select(_state).where(_state.c.scope == _SCOPE).with_for_update())
        return walk or _Walk(_BEGINNING)

    def _rederive(self, connection: Connection, refs: Collection[str], now: datetime) -> None:
        """Lock cards and derive their entries anew; what changed is an event of the card and told to verifiers."""
        cards = cards_of(connection, refs, locked=True)
        live = many(
            connection,
            CredentialRow,
            select(_credentials).where(
                _credentials.c.card_ref.in_(sorted(refs)), _credentials.c.state == fixed(CredentialState.LIVE)
            ),
        )
        by_place = {(row.list_id, row.index): row for row in live}
        wanted = [EntryChange(row.list_id, row.index, self._effect(cards[row.card_ref], now)) for row in live]
        changed: dict[str, list[EntryChange]] = {}
        for entry in set_entries(connection, wanted):
            changed.setdefault(by_place[entry.list_id, entry.index].card_ref, []).append(entry)
        for card_ref, entries in sorted(changed.items()):
            event = self._review_event(cards[card_ref], now)
            connection.execute(tables.card_event.insert().values(columns(event)))
            connection.execute(
                update(_cards).where(_cards.c.card_ref == card_ref).values(sequence=event.sequence, updated_at=now)
            )
            ids = {place: row.credential_id.hex() for place, row in by_place.items()}
            body = status_body(event, entries, ids, self._effect(cards[card_ref], now))
            self._post(connection, card_ref, OutboxKind.STATUS, body, now)

    def _review_event(self, card: CardRow, now: datetime) -> CardEventRow:
        return CardEventRow(
            card_ref=card.card_ref,
            sequence=card.sequence + 1,
            event_id=f"review-{self._random(16).hex()}",
            change=CardChange.REVIEW,
            previous=card.status,
            status=card.status,
            missed=0,
            occurred_at=now,
            recorded_at=now,
            reason="",
        )


def _next_cards(connection: Connection, walk: _Walk, limit: int) -> Sequence[tuple[str, str]]:
    """Region and reference of the next cards under the walk's first region."""
    prefix = walk.regions[0]
    while prefix.endswith("00"):
        prefix = prefix[:-2]
    region, card_ref = _cards.c.region, _cards.c.card_ref
    page = (
        select(region, card_ref)
        .where(region >= prefix.ljust(6, "0"), region <= prefix.ljust(6, "9"))
        .where(tuple_(region, card_ref) > (walk.after_region, walk.after_card))
        .order_by(region, card_ref)
        .limit(limit)
    )
    found: Sequence[Any] = connection.execute(page).all()
    return [(row[0], row[1]) for row in found]


def _keep(connection: Connection, walk: _Walk) -> None:
    connection.execute(update(_state).where(_state.c.scope == _SCOPE).values(columns(walk)))
