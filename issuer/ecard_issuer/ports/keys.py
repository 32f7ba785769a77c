"""Port `Keys`: signing keys, their schedules, trust lists and roots."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from ecard_issuer.rows import Grant, KeyScheduleRow, KeyUsage, SigningKeyRow, TrustListRow, TrustRootRow


class Keys(Protocol):
    """A verb that takes a `grant` uses that approval up in its own transaction, and raises `RuleViolation`
    `approval_not_usable` where it is not approved, expired, used before, or given for another change."""

    def add_key(self, key: SigningKeyRow) -> None:
        """One active key per purpose, and one that waits (generated or next): `Conflict` `key_exists`,
        `key_already_active`, `next_key_exists`."""

    def list_keys(self, purposes: Collection[str]) -> tuple[SigningKeyRow, ...]: ...

    def activate_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`next` to `active`; the purpose's active key, if any, becomes `verify-only`, retired from `now`, in the same
        moment. `NotFound` `key_unknown`; `RuleViolation` `key_change_impossible`."""

    def retire_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`verify-only` to `retired`. `NotFound` `key_unknown`; `RuleViolation` `key_change_impossible`,
        `key_still_named` (an unexpired live credential or an open plan names it)."""

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
        """Any state to `compromised`, with a `key_compromised` outbox row; what it signed after `cut_off` is refused,
        without one all of it. Said again it may only take more trust away: an earlier cut-off.

        `successor`, generated or next, becomes active in the same transaction. `NotFound` `key_unknown`;
        `RuleViolation` `key_change_impossible` (also for a successor while another key is active)."""

    def destroy_key(self, purpose: str, kid: str, now: datetime, *, grant: Grant | None = None) -> SigningKeyRow:
        """`generated` or `retired` to `destroyed`. `NotFound` `key_unknown`; `RuleViolation`
        `key_change_impossible`."""

    def key_usage(self, purpose: str, kid: str, now: datetime) -> KeyUsage:
        """What names a key of this id. Only keys of purpose `credential` are named by anything."""

    def set_schedule(self, row: KeyScheduleRow, *, grant: Grant | None = None) -> None:
        """Set, or replace, when the keys of a purpose rotate. The grant is judged at the row's `set_at`."""

    def clear_schedule(self, purpose: str, now: datetime, *, grant: Grant | None = None) -> None:
        """`NotFound` `key_schedule_unknown`."""

    def schedules(self) -> tuple[KeyScheduleRow, ...]: ...

    def add_trust_list(
        self,
        trust_list: TrustListRow,
        published: Collection[tuple[str, str]] = (),
        *,
        grant: Grant | None = None,
    ) -> None:
        """Store it with a `trust_list` outbox row. The keys it names, as (purpose, kid), count as published from its
        `created_at` on, and a generated one becomes `next`. `Conflict` `trust_list_version_taken`: versions only
        grow."""

    def latest_trust_list(self) -> TrustListRow | None: ...

    def add_trust_root(self, row: TrustRootRow, *, grant: Grant | None = None) -> None:
        """`Conflict` `trust_root_version_taken`: each version follows the one before it."""

    def trust_roots(self) -> tuple[TrustRootRow, ...]:
        """In order of their versions."""
