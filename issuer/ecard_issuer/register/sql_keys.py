"""Signing keys by their public half, what names them, and when they rotate: port `Keys`, but for the trust list.

A key is not taken away from under an issuance: whoever plans or keeps one holds the key's row shared
(`require_signing`), whoever changes a key locks the rows of its purpose. A trigger of the schema says the same to
other clients of the database.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.jose import b64url_encode
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one, use_grant
from ecard_issuer.rows import Grant, KeyScheduleRow, KeyUsage, SigningKeyRow
from ecard_issuer.states import CredentialState, OutboxKind, PlanState
from ecard_keys.key import KeyPurpose, KeyState

_keys, _schedules = tables.signing_key, tables.key_schedule
_SIGNING = (
    select(_keys.c.state)
    .where(_keys.c.purpose == KeyPurpose.CREDENTIAL.value, _keys.c.kid == bindparam("kid"))
    .with_for_update(read=True)
)
_WAITING = (KeyState.GENERATED, KeyState.NEXT)


class SqlKeys(Store):
    def add_key(self, key: SigningKeyRow) -> None:
        with self._writing() as connection:
            if not insert_new(connection, _keys, **columns(key)):
                taken = _find(connection, key.purpose, key.kid)
                if taken is not None:
                    raise Conflict("key_exists", "a key of this purpose and id is known")
                if key.state in _WAITING:
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

    def activate_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            _require(connection, purpose, kid, {KeyState.NEXT})
            connection.execute(
                update(_keys)
                .where(_keys.c.purpose == purpose, _keys.c.state == fixed(KeyState.ACTIVE))
                .values(state=KeyState.VERIFY_ONLY.value, retired_from=now)
            )
            return _change(connection, purpose, kid, KeyState.ACTIVE, activated_at=now)

    def retire_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            _require(connection, purpose, kid, {KeyState.VERIFY_ONLY})
            usage = _usage(connection, purpose, kid, now)
            if usage.live or usage.planned:
                raise RuleViolation("key_still_named", "live credentials or open plans name this key")
            return _change(connection, purpose, kid, KeyState.RETIRED, retired_at=now)

    def compromise_key(
        self,
        purpose: str,
        kid: str,
        cut_off: datetime | None,
        now: datetime,
        *,
        successor: str | None = None,
        grant: Grant | None = None,
    ) -> SigningKeyRow:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            key = _require(connection, purpose, kid, set(KeyState))
            again = key.state == KeyState.COMPROMISED
            if key.state not in (KeyState.ACTIVE, KeyState.VERIFY_ONLY, KeyState.COMPROMISED):
                cut_off = None  # nothing of its signatures stood before; the theft gives none of them back
            if again and not _earlier(cut_off, key.compromised_from):
                raise RuleViolation("key_change_impossible", "what was said of a stolen key is only ever made stricter")
            stolen = _change(
                connection,
                purpose,
                kid,
                KeyState.COMPROMISED,
                compromised_from=cut_off,
                compromised_at=key.compromised_at if again else now,
            )
            if successor is not None:
                self._succeed(connection, purpose, successor, now)
            self._tell(connection, stolen, now)
            return stolen

    def destroy_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            _require(connection, purpose, kid, {KeyState.GENERATED, KeyState.RETIRED})
            return _change(connection, purpose, kid, KeyState.DESTROYED, destroyed_at=now)

    def key_usage(self, purpose: str, kid: str, now: datetime) -> KeyUsage:
        with self._reading() as connection:
            return _usage(connection, purpose, kid, now)

    def set_schedule(self, row: KeyScheduleRow, *, grant: Grant | None = None) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, row.set_at)
            if not insert_new(connection, _schedules, **columns(row)):
                connection.execute(update(_schedules).where(_schedules.c.purpose == row.purpose).values(columns(row)))

    def clear_schedule(self, purpose: str, now: datetime, *, grant: Grant | None = None) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            if connection.execute(delete(_schedules).where(_schedules.c.purpose == purpose)).rowcount != 1:
                raise NotFound("key_schedule_unknown", "the keys of this purpose have no schedule")

    def schedules(self) -> tuple[KeyScheduleRow, ...]:
        with self._reading() as connection:
            found = select(_schedules).where(_schedules.c.purpose > "").order_by(_schedules.c.purpose)
            return many(connection, KeyScheduleRow, found)

    @staticmethod
    def _succeed(connection: Connection, purpose: str, kid: str, now: datetime) -> None:
        """The successor signs from now on, published or not: it takes the place of an active key that was stolen."""
        _require(connection, purpose, kid, set(_WAITING))
        active = select(_keys.c.kid).where(_keys.c.purpose == purpose, _keys.c.state == fixed(KeyState.ACTIVE))
        if connection.scalar(active) is not None:
            raise RuleViolation("key_change_impossible", "another key is active and needs no successor")
        _change(connection, purpose, kid, KeyState.ACTIVE, activated_at=now)

    def _tell(self, connection: Connection, key: SigningKeyRow, now: datetime) -> None:
        """The news has a queue of its own: it does not wait behind trust lists."""
        queue, outbox = f"{key.purpose}/{key.kid}", tables.outbox
        told = connection.scalar(select(func.max(outbox.c.ordinal)).where(outbox.c.card_ref == queue)) or 0
        body = {
            "purpose": key.purpose,
            "kid": key.kid,
            "public": b64url_encode(key.public),
            "algorithm": key.algorithm,
            "cut_off": None if key.compromised_from is None else int(key.compromised_from.timestamp()),
        }
        self._put_outbox(connection, queue, told + 1, OutboxKind.KEY_COMPROMISED, body, now)


def require_signing(connection: Connection, kid: str, states: Collection[KeyState]) -> None:
    """That the credential key `kid` is in one of `states`, and stays so until the transaction ends.

    Raises `RuleViolation` `key_not_active`, also for a key that the register does not know.
    """
    if connection.scalar(_SIGNING, {"kid": kid}) not in states:
        raise RuleViolation("key_not_active", "the planned key does not sign credentials, or no longer")


def _find(connection: Connection, purpose: str, kid: str) -> SigningKeyRow | None:
    return one(connection, SigningKeyRow, select(_keys).where(_keys.c.purpose == purpose, _keys.c.kid == kid))


def _require(connection: Connection, purpose: str, kid: str, states: Collection[KeyState]) -> SigningKeyRow:
    """The key, if it is in one of `states`; its purpose's rows are locked until the transaction ends."""
    of_purpose = select(_keys.c.kid).where(_keys.c.purpose == purpose).order_by(_keys.c.kid)
    connection.execute(of_purpose.with_for_update())
    key = _find(connection, purpose, kid)
    if key is None:
        raise NotFound("key_unknown", "no such key")
    if key.state not in states:
        raise RuleViolation("key_change_impossible", f"a {key.state} key cannot make this change")
    return key


def _change(connection: Connection, purpose: str, kid: str, state: KeyState, **times: datetime | None) -> SigningKeyRow:
    """The key in its new state. Its rows are locked, so it is there."""
    this = (_keys.c.purpose == purpose, _keys.c.kid == kid)
    connection.execute(update(_keys).where(*this).values(state=state.value, **times))
    changed = one(connection, SigningKeyRow, select(_keys).where(*this))
    assert changed is not None  # noqa: S101 - for the type checker
    return changed


def _earlier(cut_off: datetime | None, than: datetime | None) -> bool:
    """Whether a cut-off takes away more than another; none at all takes away everything."""
    return than is not None and (cut_off is None or cut_off < than)


def _usage(connection: Connection, purpose: str, kid: str, now: datetime) -> KeyUsage:
    if purpose != KeyPurpose.CREDENTIAL:
        return KeyUsage(0, None, 0)
    credential, plan = tables.credential, tables.plan
    named = credential.c.key_id == kid, credential.c.state == fixed(CredentialState.LIVE)
    live = connection.scalar(select(func.count()).where(*named, credential.c.expires_at > now))
    last = connection.scalar(select(func.max(credential.c.expires_at)).where(*named))
    planned = connection.scalar(
        select(func.count()).select_from(plan).where(plan.c.key_id == kid, plan.c.state == fixed(PlanState.PLANNED))
    )
    return KeyUsage(live or 0, last, planned or 0)
