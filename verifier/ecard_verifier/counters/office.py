"""Groups, branches, counters, staff and tokens: made by an operator, and within a group by its own manager.

`Who` says which group somebody may see; what belongs to another group is not there for them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ecard_card.errors import InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_verifier.callers import CALLER_NAME, Caller, Role
from ecard_verifier.counters.model import (
    AUDIENCE,
    MOST_A_DAY,
    MOST_DEVICES,
    Branch,
    Counter,
    Group,
    GroupToken,
    Staff,
    good_name,
)
from ecard_verifier.counters.ports import Organisation
from ecard_verifier.counters.secret import GROUP_TOKEN_PREFIX, digest, good_pin, new_token, pin_hash
from ecard_verifier.purposes.purposes import Level, Purposes

#: Verifications a day where nobody said otherwise.
GROUP_A_DAY: Final = 100_000
COUNTER_A_DAY: Final = 5_000
PAGE: Final = 200  # things in one answer
_NOBODY: Final = "-"  # a group that there is not


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who manages: their name for records, and the group they are confined to (None: all)."""

    name: str
    group_id: str | None

    @classmethod
    def of(cls, caller: Caller) -> Who:
        """An operator sees all groups, everybody else their own; who has none sees nothing."""
        return cls(caller.name, None if caller.role is Role.OPERATOR else caller.group or _NOBODY)


class Office:
    """Safe from several threads, and beside other processes on one store."""

    def __init__(
        self,
        organisation: Organisation,
        purposes: Purposes,
        random_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._organisation, self._purposes, self._random_hex = organisation, purposes, random_hex

    def add_group(self, name: str, level: Level, purposes: Sequence[str], daily_limit: int, now: datetime) -> Group:
        """Raises `InvalidInput` `bad_counter_name`, `bad_daily_limit`; `NotFound` `purpose_unknown` for one that there
        is not, or that is not for this level."""
        for purpose in purposes:
            self._purposes.get(purpose, level)
        if not purposes:
            raise NotFound("purpose_unknown", "a group needs a purpose")
        kept = tuple(dict.fromkeys(purposes))
        group = Group("grp_" + self._random_hex(8), good_name(name), level, kept, _limit(daily_limit), now)
        self._organisation.add_group(group)
        return group

    def groups(self, who: Who, after: str) -> Sequence[Group]:
        return self._organisation.groups(who.group_id, after, PAGE)

    def group(self, who: Who, group_id: str) -> Group:
        return self._organisation.group(group_id, who.group_id)

    def add_token(self, who: Who, group_id: str, name: str, role: Role, now: datetime) -> tuple[GroupToken, str]:
        """A bearer token, which is stored as a hash only. A manager's is made by an operator alone.

        Raises `NotFound` `group_unknown`; `RuleViolation` `group_revoked`; `NotAllowed` `not_allowed`; `InvalidInput`
        `bad_operator_name`; `Conflict` `token_exists`.
        """
        self._standing_group(who, group_id)
        if role is Role.MERCHANT and who.group_id is not None:
            raise NotAllowed("not_allowed", "an operator makes the tokens of managers")
        if role not in (Role.MERCHANT, Role.COUNTER):
            raise InvalidInput("invalid_request", "want role merchant or counter")
        if not CALLER_NAME.fullmatch(name):
            raise InvalidInput("bad_operator_name", "want 1 to 64 letters, digits, spaces and . _ @ -")
        text = new_token(GROUP_TOKEN_PREFIX)
        token = GroupToken(group_id, name, role, now, digest("token", text))
        self._organisation.add_token(token)
        return token, text

    def tokens(self, who: Who, group_id: str) -> Sequence[GroupToken]:
        """Raises `NotFound` `group_unknown`."""
        return self._organisation.tokens(self.group(who, group_id).group_id)

    def drop_token(self, who: Who, group_id: str, name: str) -> None:
        """Out at the next request. Raises `NotFound` `group_unknown`, `token_unknown`; `NotAllowed` as `add_token`."""
        found = next((token for token in self.tokens(who, group_id) if token.name == name), None)
        if found is not None and found.role is Role.MERCHANT and who.group_id is not None:
            raise NotAllowed("not_allowed", "an operator takes the tokens of managers back")
        self._organisation.drop_token(group_id, name)

    def add_branch(self, who: Who, group_id: str, name: str, now: datetime) -> Branch:
        """Raises `NotFound` `group_unknown`; `RuleViolation` `group_revoked`; `InvalidInput` `bad_counter_name`."""
        group = self._standing_group(who, group_id)
        branch = Branch("br_" + self._random_hex(8), group.group_id, good_name(name), now)
        self._organisation.add_branch(branch)
        return branch

    def branches(self, who: Who, after: str) -> Sequence[Branch]:
        return self._organisation.branches(who.group_id, after, PAGE)

    def branch(self, who: Who, branch_id: str) -> Branch:
        return self._organisation.branch(branch_id, who.group_id)

    def require_free_audience(self, audience: str) -> None:
        """Whoever is no counter may not be called like one: a code made for that would be good here. Raises
        `InvalidInput` `bad_audience`."""
        if self._organisation.called(audience):
            raise InvalidInput("bad_audience", "a counter of a group is called so")

    def add_counter(
        self,
        who: Who,
        branch_id: str,
        name: str,
        now: datetime,
        *,
        audience: str | None = None,
        staff_needed: bool = False,
        devices: int = 1,
        daily_limit: int = COUNTER_A_DAY,
    ) -> Counter:
        """`audience` is by default the counter's own id.

        Raises `NotFound` `branch_unknown`; `RuleViolation` `branch_revoked`, `group_revoked`; `InvalidInput`
        `bad_counter_name`, `bad_audience`, `bad_daily_limit`, `bad_device_count`; `Conflict` `audience_taken`.
        """
        branch = self._standing_branch(who, branch_id)
        counter_id = "ctr_" + self._random_hex(8)
        if audience is not None and not AUDIENCE.fullmatch(audience):
            raise InvalidInput("bad_audience", "want 1 to 100 letters, digits and . _ : / -")
        if not 1 <= devices <= MOST_DEVICES:
            raise InvalidInput("bad_device_count", f"want 1 to {MOST_DEVICES} devices")
        counter = Counter(
            counter_id,
            branch.branch_id,
            branch.group_id,
            good_name(name),
            audience or counter_id,
            staff_needed,
            devices,
            _limit(daily_limit),
            now,
        )
        self._organisation.add_counter(counter)
        return counter

    def counters(self, who: Who, after: str) -> Sequence[Counter]:
        return self._organisation.counters(who.group_id, after, PAGE)

    def counter(self, who: Who, counter_id: str) -> Counter:
        return self._organisation.counter(counter_id, who.group_id)

    def add_staff(self, who: Who, branch_id: str, alias: str, pin: str, now: datetime) -> Staff:
        """Raises as `add_counter` for the branch; `InvalidInput` `bad_counter_name`, `staff_pin_bad`; `Conflict`
        `staff_exists`."""
        branch = self._standing_branch(who, branch_id)
        alias, pin = good_name(alias), good_pin(pin)
        staff = Staff(
            "stf_" + self._random_hex(8), branch.branch_id, branch.group_id, alias, 0, now, None, pin_hash(pin)
        )
        self._organisation.add_staff(staff)
        return staff

    def staff_of(self, who: Who, after: str) -> Sequence[Staff]:
        return self._organisation.staff_of(who.group_id, after, PAGE)

    def staff(self, who: Who, staff_id: str) -> Staff:
        return self._organisation.staff(staff_id, who.group_id)

    def set_pin(self, who: Who, staff_id: str, pin: str) -> Staff:
        """A new PIN; the way out for whoever is locked. Raises `NotFound` `staff_unknown`; `InvalidInput`
        `staff_pin_bad`; `RuleViolation` `staff_revoked`."""
        staff = self.staff(who, staff_id)
        if staff.revoked_at is not None:
            raise RuleViolation("staff_revoked", "this person was revoked")
        self._organisation.set_pin(staff_id, pin_hash(good_pin(pin)))
        return replace(staff, tries=0)

    def revoke_group(self, who: Who, group_id: str, now: datetime) -> Group:
        """Its counters and tokens are out at their next request. By an operator alone: `NotAllowed` `not_allowed`."""
        self.group(who, group_id)
        if who.group_id is not None:
            raise NotAllowed("not_allowed", "an operator revokes a group")
        self._organisation.revoke("group", group_id, now)
        return self.group(who, group_id)

    def revoke_branch(self, who: Who, branch_id: str, now: datetime) -> Branch:
        self.branch(who, branch_id)
        self._organisation.revoke("branch", branch_id, now)
        return self.branch(who, branch_id)

    def revoke_counter(self, who: Who, counter_id: str, now: datetime) -> Counter:
        self.counter(who, counter_id)
        self._organisation.revoke("counter", counter_id, now)
        return self.counter(who, counter_id)

    def revoke_staff(self, who: Who, staff_id: str, now: datetime) -> Staff:
        self.staff(who, staff_id)
        self._organisation.revoke("staff", staff_id, now)
        return self.staff(who, staff_id)

    def caller(self, token: str) -> Caller | None:
        """Whose token this is, None for one that is no group's (any more)."""
        if not token.startswith(GROUP_TOKEN_PREFIX):
            return None
        found = self._organisation.token(digest("token", token))
        return None if found is None else Caller(found.name, found.role, found.group_id)

    def _standing_group(self, who: Who, group_id: str) -> Group:
        group = self.group(who, group_id)
        if group.revoked_at is not None:
            raise RuleViolation("group_revoked", "this group was revoked")
        return group

    def _standing_branch(self, who: Who, branch_id: str) -> Branch:
        branch = self.branch(who, branch_id)
        if branch.revoked_at is not None:
            raise RuleViolation("branch_revoked", "this branch was revoked")
        self._standing_group(who, branch.group_id)
        return branch


def _limit(count: int) -> int:
    if not 1 <= count <= MOST_A_DAY:
        raise InvalidInput("bad_daily_limit", f"want 1 to {MOST_A_DAY} a day")
    return count
