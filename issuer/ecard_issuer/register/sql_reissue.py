"""Credentials made anew under another key, a batch in a transaction: port `Reissuing`.

The statements are for many rows at once. Each batch locks its cards in the order of their references, as every other
verb locks its one card, and sets all its status entries at the end: nothing here waits for another in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import BatchState, cards_of
from ecard_issuer.register.reissue_statements import News, end, ended_entries, ended_news, store, take_entries
from ecard_issuer.register.sql import (
    among,
    columns,
    fixed,
    insert_new,
    load_credential,
    many,
    one,
    set_entries,
    use_grant,
)
from ecard_issuer.register.sql_issuing import SqlIssuing
from ecard_issuer.register.sql_keys import require_signing
from ecard_issuer.register.sql_rows import insert_rows
from ecard_issuer.rows import (
    CardRow,
    CredentialRow,
    EntryChange,
    Grant,
    HolderRow,
    PlanRow,
    Reissuable,
    ReissueCount,
    ReissueRow,
    Successor,
)
from ecard_issuer.states import CredentialState, OutboxKind
from ecard_keys.key import KeyPurpose, KeyState

_cards, _credentials, _plans, _permits = tables.card, tables.credential, tables.plan, tables.reissue
_HOLDERS = select(tables.holder).where(among(tables.holder.c.holder_ref, "refs"))
_LIVE = _credentials.c.state == fixed(CredentialState.LIVE)


class SqlReissuing(SqlIssuing):
    def open_reissue(self, row: ReissueRow, *, grant: Grant | None = None) -> ReissueRow:
        keys = tables.signing_key
        with self._writing() as connection:
            known = select(keys.c.kid).where(keys.c.purpose == KeyPurpose.CREDENTIAL.value, keys.c.kid == row.key_id)
            if connection.scalar(known) is None:
                raise NotFound("key_unknown", "no credential key of this issuer has this id")
            before = one(connection, ReissueRow, _permit(row.key_id).with_for_update())
            if before is not None and before.end_replaced >= row.end_replaced:
                return before
            use_grant(connection, grant, row.opened_at)
            if not insert_new(connection, _permits, **columns(row)):
                connection.execute(update(_permits).where(_permits.c.key_id == row.key_id).values(columns(row)))
            return row

    def find_reissue(self, key_id: str) -> ReissueRow | None:
        with self._reading() as connection:
            return one(connection, ReissueRow, _permit(key_id))

    def count_reissuable(
        self, key_id: str, now: datetime, *, bounds: tuple[str, str | None] = ("", None)
    ) -> ReissueCount:
        with self._reading() as connection:
            waiting, replaced = (
                connection.scalar(
                    select(func.count()).select_from(_credentials).where(*_of_key(key_id, bounds, now), condition)
                )
                or 0
                for condition in (_credentials.c.replaced_by.is_(None), _credentials.c.replaced_by.is_not(None))
            )
        return ReissueCount(waiting, replaced)

    def to_reissue(
        self,
        key_id: str,
        now: datetime,
        *,
        after: tuple[str, bytes] | None = None,
        bounds: tuple[str, str | None] = ("", None),
        limit: int = 100,
    ) -> tuple[Reissuable, ...]:
        page = (
            select(_credentials)
            .where(*_of_key(key_id, bounds, now), _credentials.c.replaced_by.is_(None))
            .order_by(_credentials.c.card_ref, _credentials.c.credential_id)
            .limit(limit)
        )
        if after is not None:
            page = page.where(tuple_(_credentials.c.card_ref, _credentials.c.credential_id) > after)
        with self._reading() as connection:
            found = many(connection, CredentialRow, page)
            cards = cards_of(connection, {row.card_ref for row in found}, locked=False)
            holders = holders_of(connection, cards.values())
        return tuple(Reissuable(row, cards[row.card_ref], holders.get(cards[row.card_ref].holder_ref)) for row in found)

    def plan_reissues(self, plans: Sequence[PlanRow], now: datetime) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        with self._writing() as connection:
            for key_id in sorted({plan.key_id for plan in plans}):
                require_signing(connection, key_id, {KeyState.ACTIVE})
            state = BatchState.read(connection, plans)
            for plan in plans:
                code = state.refusal(plan, partial(self._effect, now=now))
                if code is None and state.open_plan(plan) is not None:
                    code = "issuance_in_progress"
                if code is not None:
                    refused[plan.plan_id] = code
            kept = [plan for plan in plans if plan.plan_id not in refused]
            if kept:
                take_entries(connection, kept)
                connection.execute(_plans.insert(), [columns(plan) for plan in kept])
        return refused

    def commit_reissues(
        self, successors: Sequence[Successor], now: datetime, *, end_replaced: bool
    ) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        with self._writing() as connection:
            for key_id in sorted({item.plan.key_id for item in successors}):
                require_signing(connection, key_id, {KeyState.ACTIVE, KeyState.VERIFY_ONLY})
            state = BatchState.read(connection, [item.plan for item in successors])
            for item in successors:
                code = state.refusal(item.plan, partial(self._effect, now=now))
                if state.open_plan(item.plan) != item.plan.plan_id:
                    code = "plan_voided"
                elif code is None and not item.on_plan:
                    code = "credential_off_plan"
                if code is not None:
                    refused[item.plan.plan_id] = code
            kept = [item for item in successors if item.plan.plan_id not in refused]
            if kept:
                store(connection, kept)
                news: list[News] = [(item.plan.card_ref, OutboxKind.ISSUED, item.body) for item in kept]
                entries = [
                    EntryChange(item.plan.list_id, item.plan.index, self._effect(state.card(item.plan), now))
                    for item in kept
                ]
                if end_replaced:
                    ended = end(connection, [state.replaced(item.plan) for item in kept])
                    entries += ended_entries(ended)
                    news += ended_news(ended)
                set_entries(connection, entries)
                self._post_many(connection, news, now)
        return refused

    def line_of(self, credential_id: bytes) -> tuple[CredentialRow, ...]:
        with self._reading() as connection:
            return tuple(lineage(connection, credential_id))

    def collect_successor(self, credential_id: bytes, now: datetime) -> CredentialRow:
        with self._writing() as connection:
            before = lineage(connection, credential_id)
            if not before:
                raise NotFound("credential_unknown", "no credential has this id")
            # A line may lead from card to card; it cannot lead to others than when it was read first, only on.
            cards_of(connection, {row.card_ref for row in before}, locked=True)
            *replaced, newest = lineage(connection, credential_id)[: len(before)]
            if not replaced:
                raise Conflict("credential_not_replaced", "this credential has no successor")
            if newest.state is not CredentialState.LIVE:
                raise RuleViolation("card_not_issuable", "the successor has ended with its card")
            self._end_and_tell(connection, [row for row in replaced if row.state is CredentialState.LIVE], now)
            return newest

    def end_replaced(self, key_id: str, now: datetime, *, limit: int = 100) -> int:
        waiting = (
            select(_credentials)
            .where(_credentials.c.key_id == key_id, _LIVE, _credentials.c.replaced_by.is_not(None))
            .order_by(_credentials.c.card_ref)
        )
        with self._writing() as connection:
            refs = {row.card_ref for row in many(connection, CredentialRow, waiting.limit(limit))}
            if refs:
                cards_of(connection, refs, locked=True)
                ended = many(connection, CredentialRow, waiting.where(_credentials.c.card_ref.in_(sorted(refs))))
                self._end_and_tell(connection, ended, now)
        return len(refs)

    def _end_and_tell(self, connection: Connection, rows: Sequence[CredentialRow], now: datetime) -> None:
        """End credentials whose cards are locked: final on the status list, told to followers."""
        if rows:
            ended = end(connection, rows)
            set_entries(connection, ended_entries(ended))
            self._post_many(connection, ended_news(ended), now)

    def _post_many(self, connection: Connection, news: Sequence[News], now: datetime) -> None:
        """Outbox rows of many locked cards; each card's ordinals go on from its own count."""
        more = Counter(card_ref for card_ref, _, _ in news)
        reached: dict[str, int] = {}
        for number in sorted(set(more.values())):
            refs = sorted(card_ref for card_ref, count in more.items() if count == number)
            raised = (
                update(_cards)
                .where(_cards.c.card_ref.in_(refs))
                .values(outbox_count=_cards.c.outbox_count + number)
                .returning(_cards.c.card_ref, _cards.c.outbox_count)
            )
            reached |= {card_ref: count - number for card_ref, count in connection.execute(raised)}
        prepared = []
        for card_ref, kind, body in news:
            reached[card_ref] += 1
            prepared.append(
                {
                    "card_ref": card_ref,
                    "outbox_id": f"{int(now.timestamp() * 1000):012x}{self._random(10).hex()}",
                    "ordinal": reached[card_ref],
                    "kind": kind,
                    "body": dict(body),
                    "created_at": now,
                }
            )
        insert_rows(connection, tables.outbox, prepared)


def _of_key(key_id: str, bounds: tuple[str, str | None], now: datetime) -> list[ColumnElement[bool]]:
    """Live, unexpired, of this key, with references within `bounds`."""
    low, high = bounds
    ref = _credentials.c.card_ref
    wanted = [_credentials.c.key_id == key_id, _LIVE, _credentials.c.expires_at > now, ref >= low]
    return wanted if high is None else [*wanted, ref < high]


def holders_of(connection: Connection, cards: Collection[CardRow]) -> dict[str, HolderRow]:
    refs = sorted({card.holder_ref for card in cards})
    if not refs:
        return {}
    return {row.holder_ref: row for row in many(connection, HolderRow, _HOLDERS, refs=refs)}


def _permit(key_id: str) -> Select[Any]:
    return select(_permits).where(_permits.c.key_id == key_id)


def lineage(connection: Connection, credential_id: bytes) -> list[CredentialRow]:
    """A credential, its successor, the successor's, and so on; nothing where there is none of this id."""
    line: list[CredentialRow] = []
    following: bytes | None = credential_id
    while following is not None:
        row = load_credential(connection, following)
        if row is None:
            break
        line.append(row)
        following = row.replaced_by
    return line
