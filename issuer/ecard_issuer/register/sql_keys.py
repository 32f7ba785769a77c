"""Signing keys by their public half, and published trust lists: port `Keys`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one
from ecard_issuer.rows import SigningKeyRow, TrustListRow
from ecard_issuer.states import CredentialState, OutboxKind, PlanState
from ecard_keys.key import KeyState

_keys, _trust = tables.signing_key, tables.trust_list
_LATEST = select(_trust).where(_trust.c.version > 0).order_by(_trust.c.version.desc()).limit(1)
_ENDS = {KeyState.RETIRED: {KeyState.VERIFY_ONLY}, KeyState.COMPROMISED: set(KeyState) - {KeyState.COMPROMISED}}


class SqlKeys(Store):
    def add_key(self, key: SigningKeyRow) -> None:
        with self._writing() as connection:
            if not insert_new(connection, _keys, **columns(key)):
                taken = _find(connection, key.purpose, key.kid)
                if taken is not None:
                    raise Conflict("key_exists", "a key of this purpose and id is known")
                if key.state == KeyState.NEXT:
                    raise Conflict("next_key_exists", "promote the waiting key of this purpose first")
                raise Conflict("key_already_active", "this purpose has an active key")

    def list_keys(self, purposes: Collection[str]) -> tuple[SigningKeyRow, ...]:
        with self._reading() as connection:
            return many(
                connection,
                SigningKeyRow,
                select(_keys)
                .where(_keys.c.purpose.in_([str(purpose) for purpose in purposes]))
                .order_by(_keys.c.purpose, _keys.c.created_at, _keys.c.kid),
            )

    def activate_key(self, purpose: str, kid: str, now: datetime) -> SigningKeyRow:
        with self._writing() as connection:
            _require(connection, purpose, kid, {KeyState.NEXT})
            of_purpose = _keys.c.purpose == purpose
            connection.execute(
                update(_keys)
                .where(of_purpose, _keys.c.state == fixed(KeyState.ACTIVE))
                .values(state=KeyState.VERIFY_ONLY.value, retired_from=now)
            )
            connection.execute(
                update(_keys)
                .where(of_purpose, _keys.c.kid == kid)
                .values(state=KeyState.ACTIVE.value, activated_at=now)
            )
            return _require(connection, purpose, kid, {KeyState.ACTIVE})

    def end_key(self, purpose: str, kid: str, state: str, now: datetime) -> SigningKeyRow:
        if state not in _ENDS:
            raise RuleViolation("key_change_impossible", "a key ends as retired or compromised")
        target = KeyState(state)
        with self._writing() as connection:
            _require(connection, purpose, kid, _ENDS[target])
            changes: dict[str, object] = {"state": target.value}
            if target is KeyState.COMPROMISED:
                changes["compromised_from"] = now
            elif _still_named(connection, kid, now):
                raise RuleViolation("key_still_named", "live credentials or open plans name this key")
            connection.execute(update(_keys).where(_keys.c.purpose == purpose, _keys.c.kid == kid).values(changes))
            return _require(connection, purpose, kid, {target})

    def add_trust_list(self, trust_list: TrustListRow) -> None:
        with self._writing() as connection:
            latest = (
                connection.scalar(
                    select(_trust.c.version).where(_trust.c.version > 0).order_by(_trust.c.version.desc()).limit(1)
                )
                or 0
            )
            if trust_list.version <= latest or not insert_new(connection, _trust, **columns(trust_list)):
                raise Conflict("trust_list_version_taken", "a list of this or a later version is published")
            body = {"version": trust_list.version}
            self._put_outbox(connection, "", trust_list.version, OutboxKind.TRUST_LIST, body, trust_list.created_at)

    def latest_trust_list(self) -> TrustListRow | None:
        with self._reading() as connection:
            return one(
                connection,
                TrustListRow,
                select(_trust).where(_trust.c.version > 0).order_by(_trust.c.version.desc()).limit(1),
            )


def _find(connection: Connection, purpose: str, kid: str) -> SigningKeyRow | None:
    return one(connection, SigningKeyRow, select(_keys).where(_keys.c.purpose == purpose, _keys.c.kid == kid))


def _require(connection: Connection, purpose: str, kid: str, states: Collection[KeyState]) -> SigningKeyRow:
    """The key, if it is in one of `states`; its purpose's rows are locked until the transaction ends."""
    connection.execute(select(_keys.c.kid).where(_keys.c.purpose == purpose).with_for_update())
    key = _find(connection, purpose, kid)
    if key is None:
        raise NotFound("key_unknown", "no such key")
    if key.state not in states:
        raise RuleViolation("key_change_impossible", f"a {key.state} key cannot make this change")
    return key


def _still_named(connection: Connection, kid: str, now: datetime) -> bool:
    credential, plan = tables.credential, tables.plan
    live = select(credential.c.key_id).where(
        credential.c.key_id == kid,
        credential.c.state == fixed(CredentialState.LIVE),
        credential.c.expires_at > now,
    )
    planned = select(plan.c.key_id).where(plan.c.key_id == kid, plan.c.state == fixed(PlanState.PLANNED))
    return any(connection.scalar(statement.limit(1)) is not None for statement in (live, planned))
