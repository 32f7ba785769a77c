"""Channels in the register: port `ChannelStore`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from ecard_card.errors import Conflict
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.values import Channel, ChannelChange, registration_from_json
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, use_grant
from ecard_issuer.rows import Grant

_channels, _changes = tables.channel, tables.channel_change


class SqlChannels(Store):
    """See `ChannelStore`."""

    def add(self, channel: Channel, actor: str) -> Channel:
        with self._writing() as connection:
            new = insert_new(
                connection,
                _channels,
                app_id=channel.app_id,
                state=channel.state,
                registration=channel.registration.to_json(),
                request_hash=channel.request_hash,
                number=channel.number,
                applied_at=channel.applied_at,
            )
            if not new:
                stored = _find(connection, channel.app_id)
                if stored is None:
                    raise Conflict("register_conflict", "a channel is there and cannot be read")
                return stored
            _note(connection, channel, "applied", actor, "", channel.applied_at)
        return channel

    def save(
        self, channel: Channel, action: str, actor: str, reason: str, now: datetime, *, grant: Grant | None = None
    ) -> Channel:
        saved = replace(channel, number=channel.number + 1)
        with self._writing() as connection:
            use_grant(connection, grant, now)
            done = connection.execute(
                update(_channels)
                .where(_channels.c.app_id == channel.app_id, _channels.c.number == channel.number)
                .values(state=saved.state, registration=saved.registration.to_json(), number=saved.number)
            )
            if done.rowcount != 1:
                raise Conflict("app_changed_meanwhile", "somebody else changed this app since it was read")
            _note(connection, saved, action, actor, reason, now)
        return saved

    def find(self, app_id: str) -> Channel | None:
        with self._reading() as connection:
            return _find(connection, app_id)

    def suspended(self, app_id: str) -> bool:
        """Whether this channel is suspended now: for what goes on in its name without a call of its own."""
        state = select(_channels.c.state).where(_channels.c.app_id == app_id)
        with self._reading() as connection:
            return connection.scalar(state) is ChannelState.SUSPENDED

    def list(self, state: ChannelState | None, after: str, limit: int) -> tuple[Channel, ...]:
        beyond = select(_channels).where(_channels.c.app_id > after)
        if state is not None:
            beyond = beyond.where(_channels.c.state == state)
        with self._reading() as connection:
            rows = connection.execute(beyond.order_by(_channels.c.app_id).limit(limit)).mappings().all()
        return tuple(map(_channel, rows))

    def changes(self, app_id: str) -> tuple[ChannelChange, ...]:
        of_channel = select(_changes).where(_changes.c.app_id == app_id).order_by(_changes.c.number)
        with self._reading() as connection:
            rows = connection.execute(of_channel).mappings().all()
        return tuple(
            ChannelChange(
                row["number"],
                row["action"],
                row["state"],
                registration_from_json(row["registration"], test=_is_test(app_id)),
                row["changed_by"],
                row["reason"],
                row["changed_at"],
            )
            for row in rows
        )


def _find(connection: Connection, app_id: str) -> Channel | None:
    row = connection.execute(select(_channels).where(_channels.c.app_id == app_id)).mappings().one_or_none()
    return None if row is None else _channel(row)


def _channel(row: Mapping[Any, Any]) -> Channel:
    app_id = row["app_id"]
    registration = registration_from_json(row["registration"], test=_is_test(app_id))
    return Channel(app_id, row["state"], registration, row["request_hash"], row["number"], row["applied_at"])


def _is_test(app_id: str) -> bool:
    return app_id.startswith("ek_test_")


def _note(connection: Connection, channel: Channel, action: str, actor: str, reason: str, now: datetime) -> None:
    connection.execute(
        _changes.insert().values(
            app_id=channel.app_id,
            number=channel.number,
            action=action,
            changed_by=actor,
            reason=reason,
            state=channel.state,
            registration=channel.registration.to_json(),
            changed_at=now,
        )
    )
