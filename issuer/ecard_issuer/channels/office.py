"""Admitting channels: one person applies or asks, another agrees; taking power away needs nobody else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ecard_card.errors import Conflict, InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_issuer.approvals import MAX_REASON, Approvals, Change
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.store import ChannelStore
from ecard_issuer.channels.values import (
    APP_ID,
    Channel,
    ChannelChange,
    Registration,
    only_takes_away,
    registration_from_json,
)
from ecard_issuer.rows import Grant


class ChannelOffice:
    """The use case. A `test` office admits test apps only, and any other one live apps only."""

    def __init__(self, store: ChannelStore, approvals: Approvals, *, test: bool = False) -> None:
        self._store = store
        self._approvals = approvals
        self.test = test

    def registration(self, document: Mapping[str, object]) -> Registration:
        """A registration as this office takes it. Raises `InvalidInput` `bad_channel`, `bad_jwk`, `bad_key_set`."""
        return registration_from_json(document, test=self.test)

    def apply(self, request_id: str, registration: Registration, actor: str, now: datetime) -> Channel:
        """Write an application down. The same again, by the same `actor` under the same `request_id`, is done once.

        Raises `Conflict` `app_request_differs` where that id was used for another application.
        """
        digest = hashlib.sha256(json.dumps(registration.to_json(), sort_keys=True).encode()).hexdigest()
        app_id = _app_id(actor, request_id, test=self.test)
        wanted = Channel(app_id, ChannelState.APPLIED, registration, digest, 1, now)
        stored = self._store.add(wanted, actor)
        if stored.request_hash != digest:
            raise Conflict("app_request_differs", "this request id was used for another application")
        return stored

    def approve(self, app_id: str, actor: str, now: datetime) -> Channel:
        """Admit an applicant. A second person agrees to exactly what was applied for.

        Raises `NotFound` `app_unknown`; `RuleViolation` `app_refused`, `app_suspended`; `ApprovalNeeded`
        `approval_needed`; `Conflict` `app_changed_meanwhile`.
        """
        channel = self.get(app_id)
        if channel.state is ChannelState.ACTIVE:
            return channel
        if channel.state is not ChannelState.APPLIED:
            raise _not_in(channel.state)
        grant = self._require("channel.admit", channel, {"registration": channel.registration.to_json()}, actor, now)
        return self._store.save(replace(channel, state=ChannelState.ACTIVE), "approved", actor, "", now, grant=grant)

    def refuse(self, app_id: str, reason: str, actor: str, now: datetime) -> Channel:
        """Refuse an applicant, with a reason that is kept. Raises `NotFound` `app_unknown`; `RuleViolation`
        `app_decided` for one that was admitted; `InvalidInput` `bad_reason`; `Conflict` `app_changed_meanwhile`."""
        channel = self.get(app_id)
        _require_reason(reason)
        if channel.state is ChannelState.REFUSED:
            return channel
        if channel.state is not ChannelState.APPLIED:
            raise RuleViolation("app_decided", "an app that was admitted can be suspended")
        return self._store.save(replace(channel, state=ChannelState.REFUSED), "refused", actor, reason, now)

    def suspend(self, app_id: str, reason: str, actor: str, now: datetime) -> Channel:
        """Let an admitted channel in no more, from this moment on: its tokens too. Raises `NotFound` `app_unknown`;
        `RuleViolation` `app_not_admitted`; `InvalidInput` `bad_reason`; `Conflict` `app_changed_meanwhile`."""
        channel = self.get(app_id)
        _require_reason(reason)
        if channel.state is ChannelState.SUSPENDED:
            return channel
        if channel.state is not ChannelState.ACTIVE:
            raise _not_in(channel.state)
        return self._store.save(replace(channel, state=ChannelState.SUSPENDED), "suspended", actor, reason, now)

    def resume(self, app_id: str, actor: str, now: datetime) -> Channel:
        """Let a suspended channel in again; a second person agrees. Raises as `approve`."""
        channel = self.get(app_id)
        if channel.state is ChannelState.ACTIVE:
            return channel
        if channel.state is not ChannelState.SUSPENDED:
            raise _not_in(channel.state)
        facts = {"registration": channel.registration.to_json(), "number": channel.number}
        grant = self._require("channel.resume", channel, facts, actor, now)
        return self._store.save(replace(channel, state=ChannelState.ACTIVE), "resumed", actor, "", now, grant=grant)

    def change(self, app_id: str, registration: Registration, actor: str, now: datetime) -> Channel:
        """Change what is registered; the same again changes nothing. Fewer scopes, calls, addresses or keys need
        nobody else; anything more is agreed to by a second person.

        Raises `NotFound` `app_unknown`; `RuleViolation` `app_refused`; `ApprovalNeeded` `approval_needed`;
        `Conflict` `app_changed_meanwhile`.
        """
        channel = self.get(app_id)
        if channel.registration == registration:
            return channel
        if channel.state is ChannelState.REFUSED:
            raise _not_in(channel.state)
        grant = None
        admitted = channel.state is not ChannelState.APPLIED
        if admitted and not only_takes_away(channel.registration, registration):
            facts = {"before": channel.registration.to_json(), "after": registration.to_json()}
            grant = self._require("channel.change", channel, facts, actor, now)
        return self._store.save(replace(channel, registration=registration), "changed", actor, "", now, grant=grant)

    def get(self, app_id: str) -> Channel:
        """Raises `NotFound` `app_unknown`."""
        found = self._store.find(app_id) if APP_ID.fullmatch(app_id) else None
        if found is None:
            raise NotFound("app_unknown", "no app has this id")
        return found

    def admitted(self, app_id: str) -> None:
        """Return for a channel that may act now: asked where something goes on that it began. Raises `NotAllowed`
        `app_suspended`."""
        found = self._store.find(app_id)
        if found is None or found.state is not ChannelState.ACTIVE:
            raise NotAllowed("app_suspended", "the authority has suspended this app")

    def list(self, state: ChannelState | None = None, after: str = "", limit: int = 100) -> tuple[Channel, ...]:
        """In order of their ids."""
        return self._store.list(state, after, limit)

    def changes(self, app_id: str) -> tuple[ChannelChange, ...]:
        """Every decision, oldest first. Raises `NotFound` `app_unknown`."""
        self.get(app_id)
        return self._store.changes(app_id)

    def _require(
        self, action: str, channel: Channel, facts: Mapping[str, object], actor: str, now: datetime
    ) -> Grant | None:
        return self._approvals.require(Change(action, channel.app_id, facts), actor, now)


def _app_id(actor: str, request_id: str, *, test: bool) -> str:
    """An id that follows from who applied and under which id, so that an application sent again finds itself."""
    digest = hashlib.sha256(f"{len(actor)} {actor} {request_id}".encode()).digest()
    return f"ek_{'test' if test else 'live'}_{base64.b32encode(digest[:15]).decode().lower()}"


def _not_in(state: ChannelState) -> RuleViolation:
    if state is ChannelState.REFUSED:
        return RuleViolation("app_refused", "this application was refused; apply anew")
    if state is ChannelState.SUSPENDED:
        return RuleViolation("app_suspended", "this app is suspended")
    return RuleViolation("app_not_admitted", "this app was not admitted yet")


def _require_reason(reason: str) -> None:
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise InvalidInput("bad_reason", "a reason is 1 to 200 printable characters")
