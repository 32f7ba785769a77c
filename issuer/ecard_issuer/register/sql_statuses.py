"""Status lists: random places that are never given out twice, and what a publisher reads. Ports `Statuses` and
`Issuing.free_slot`, `Reissuing.free_slots`.

Several lists are open at once and each place is taken on a random one, so that neighbours in time do not share a list.

How full a list is, is judged by a sample: counting it, or keeping a counter, would make every issuance wait for one
row. A small list is judged whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, literal_column, select, update

from ecard_card.errors import NotFound, Unavailable
from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, fixed, insert_new, many
from ecard_issuer.rows import StatusListRow, StatusSlot, StatusSnapshot
from ecard_issuer.states import ListState

#: A list this full is closed, so that random proposals keep hitting free places.
FULL_AT = 0.8
#: Proposals looked up at once; and how many settle whether a list is full.
SAMPLE, CLOSER_SAMPLE = 64, 1024
_ATTEMPTS = 8
#: A list ends this long after its last credential can have expired: clocks differ, and plans were open when it filled.
END_MARGIN = timedelta(days=1)
_LARGEST_ID = 2**31 - 1

_lists, _entries = tables.status_list, tables.status_entry


class SqlStatuses(Store):
    def free_slot(self, now: datetime, randbelow: Callable[[int], int] = secrets.randbelow) -> StatusSlot:
        return self.free_slots(1, now, randbelow)[0]

    def free_slots(
        self, count: int, now: datetime, randbelow: Callable[[int], int] = secrets.randbelow
    ) -> tuple[StatusSlot, ...]:
        found: dict[StatusSlot, None] = {}
        crowded: int | None = None
        for _ in range(_ATTEMPTS * _ATTEMPTS):
            with self._reading() as connection:
                is_open = select(_lists).where(_lists.c.state == fixed(ListState.OPEN)).order_by(_lists.c.list_id)
                open_lists = many(connection, StatusListRow, is_open)
                if len(open_lists) >= self._open_lists:
                    chosen = open_lists[randbelow(len(open_lists))]
                    before = len(found)
                    free = self._look(connection, chosen, count - before, randbelow)
                    found.update((StatusSlot(chosen.list_id, index), None) for index in free)
                    if len(found) >= count:
                        return tuple(found)
                    if len(found) > before:
                        continue
                    crowded = chosen.list_id
            self._open_next(crowded, now)
        raise Unavailable("register_unavailable", "no free status indexes were found")

    @staticmethod
    def _look(
        connection: Connection, status_list: StatusListRow, count: int, randbelow: Callable[[int], int]
    ) -> list[int]:
        """Up to `count` free random places, or none if the list is full."""
        proposals, taken = _sample(connection, status_list, min(max(SAMPLE, count), CLOSER_SAMPLE), randbelow)
        free = [index for index in proposals if index not in taken]
        if not free or len(taken) >= FULL_AT * len(proposals):
            more, taken = _sample(connection, status_list, CLOSER_SAMPLE, randbelow)
            if len(taken) >= FULL_AT * len(more):
                return []
            free = [index for index in more if index not in taken]
        return free[:count]

    def _open_next(self, crowded: int | None, now: datetime) -> None:
        """Close the crowded list, and open others until there are as many as there should be."""
        with self._writing() as connection:
            if crowded is not None:
                connection.execute(
                    update(_lists)
                    .where(_lists.c.list_id == crowded, _lists.c.state == fixed(ListState.OPEN))
                    .values(state=ListState.FULL, ends_at=now + self._longest_life + END_MARGIN)
                )
            # First the newest list, then how many are open: a rival's lists in between make fewer of ours, never more.
            newest = select(_lists.c.list_id).where(_lists.c.list_id > 0).order_by(_lists.c.list_id.desc()).limit(1)
            last = connection.scalar(newest) or 0
            is_open = select(_lists.c.list_id).where(_lists.c.state == fixed(ListState.OPEN))
            missing = self._open_lists - len(connection.scalars(is_open.limit(self._open_lists)).all())
            for list_id in range(last + 1, last + 1 + missing):
                insert_new(
                    connection,
                    _lists,
                    list_id=list_id,
                    size=self._list_size,
                    state=ListState.OPEN,
                    version=0,
                    created_at=now,
                )

    def status_lists(self, after: int = -1, limit: int = 1000) -> tuple[StatusListRow, ...]:
        if after > _LARGEST_ID:
            return ()
        with self._reading() as connection:
            return many(
                connection,
                StatusListRow,
                select(_lists).where(_lists.c.list_id > after).order_by(_lists.c.list_id).limit(limit),
            )

    def status_value(self, list_id: int, index: int) -> EcardStatus | None:
        if not (0 <= list_id <= _LARGEST_ID and 0 <= index <= _LARGEST_ID):
            return None
        with self._reading() as connection:
            value = connection.scalar(
                select(_entries.c.value).where(_entries.c.list_id == list_id, _entries.c.index == index)
            )
        return None if value is None else EcardStatus(value)

    def status_snapshot(self, list_id: int) -> StatusSnapshot:
        found = None
        with self._reading() as connection:
            if 0 <= list_id <= _LARGEST_ID:
                # The version first: where a change slips in between, it is published again and not forgotten.
                found = connection.execute(
                    select(_lists.c.size, _lists.c.version).where(_lists.c.list_id == list_id)
                ).one_or_none()
            if found is None:
                raise NotFound("status_list_unknown", "no such status list")
            entries = connection.execute(
                select(_entries.c.index, _entries.c.value)
                .where(_entries.c.list_id == list_id, _entries.c.value != literal_column("0"))
                .order_by(_entries.c.index)
            )
            return StatusSnapshot(list_id, found.size, found.version, tuple((index, value) for index, value in entries))


def _sample(
    connection: Connection, status_list: StatusListRow, count: int, randbelow: Callable[[int], int]
) -> tuple[list[int], set[int]]:
    """Distinct random places (all of them, shuffled, where the list is no larger than `count`), and the taken ones."""
    size = status_list.size
    if size <= count:
        proposals = list(range(size))
        for last in range(size - 1, 0, -1):
            other = randbelow(last + 1)
            proposals[last], proposals[other] = proposals[other], proposals[last]
    else:
        proposals = list(dict.fromkeys(randbelow(size) for _ in range(count)))
    taken = connection.scalars(
        select(_entries.c.index).where(_entries.c.list_id == status_list.list_id, _entries.c.index.in_(proposals))
    )
    return proposals, set(taken)
