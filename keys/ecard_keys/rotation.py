"""When a key may be promoted, retired and destroyed, and what is due, late or unsafe: the rules of rotation, pure.

Verifiers that work offline set the pace: one that has just fetched a trust list believes it for as long as its cache
lasts, so a key may sign only after every verifier has had to fetch a list that names it (RFC 7583 §3.2.1: the
publication interval is the propagation delay plus the time to live). What must hold between settings is derived from
that, as SPIRE derives the life of its credentials from that of its keys (`pkg/server/ca/manager`), and not configured
a second time. Times are aware UTC; nothing here reads a clock or a register.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_keys.key import KeyPurpose, KeyState

#: Clocks of issuer and verifiers may differ by so much.
SKEW: Final = timedelta(seconds=60)
#: A retired key can still be fetched from its home for so long, should the retirement have been a mistake (AWS KMS:
#: 7 to 30 days, 30 by default).
WAIT_BEFORE_DESTRUCTION: Final = timedelta(days=30)
#: More keys than this verifying at one time make every trust list and every bundle long.
MANY_KEYS: Final = 12
_LEAST_MARGIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RotationRules:
    """The durations from which every date follows. Raises `InvalidInput` `bad_rotation_rules` for a negative one.

    `longest_cache`: the longest that any verifier goes on with the trust list it has; `credential_life` and
    `status_life`: the longest that what these keys sign is good for; `list_life`: a trust list's.
    """

    longest_cache: timedelta
    credential_life: timedelta
    status_life: timedelta
    list_life: timedelta
    wait: timedelta = WAIT_BEFORE_DESTRUCTION

    def __post_init__(self) -> None:
        if min(self.longest_cache, self.credential_life, self.status_life, self.list_life, self.wait) < timedelta(0):
            raise InvalidInput("bad_rotation_rules", "a duration is not negative")

    @property
    def margin(self) -> timedelta:
        """What a published list needs to reach every cache: one twenty-fourth of the longest, 1 h for a day."""
        return max(self.longest_cache / 24, _LEAST_MARGIN)

    @property
    def lead(self) -> timedelta:
        """Between the publication of a key and its first signature."""
        return self.longest_cache + self.margin

    def life(self, purpose: KeyPurpose) -> timedelta:
        """How long a signature of this purpose is good at most."""
        return self.credential_life if purpose is KeyPurpose.CREDENTIAL else self.status_life


@dataclass(frozen=True, slots=True)
class KeyLife:
    """One key and what happened to it so far. `live` unexpired credentials name it, and the last one ends, or ended, at
    `last_expiry`; `planned` issuances are going to name it."""

    kid: str
    purpose: KeyPurpose
    state: KeyState
    created_at: datetime
    published_at: datetime | None = None
    activated_at: datetime | None = None
    retired_from: datetime | None = None
    retired_at: datetime | None = None
    live: int = 0
    last_expiry: datetime | None = None
    planned: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rotate the keys of `purpose` every so often. Who may set one is not decided here."""

    purpose: KeyPurpose
    every: timedelta


@dataclass(frozen=True, slots=True)
class Published:
    """What the world was told last: until when the trust list holds, and whether it says what the register says."""

    issued_at: datetime
    expires_at: datetime
    current: bool


class AdviceKind(StrEnum):
    """How pressing it is."""

    DUE = "due"  # the time for it has come
    LATE = "late"  # it should have been done; nothing has broken yet
    UNSAFE = "unsafe"  # something is refused or believed that should not be, or will be unless a person acts


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding. `code` is stable and has a text in the catalogue; `since` is when it became true, `until` the time
    before which it should be done, where there is one."""

    kind: AdviceKind
    code: str
    purpose: KeyPurpose | None = None
    kid: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def earliest_promotion(key: KeyLife, rules: RotationRules) -> datetime | None:
    """When every verifier must have learned of a waiting key; None while no list names it (RFC 7583 §3.2.1)."""
    return None if key.published_at is None else key.published_at + rules.lead


def earliest_retirement(key: KeyLife, rules: RotationRules) -> datetime | None:
    """When nothing that the key signed needs it any more, and it may leave the trust list.

    None for a key that is not verify-only, one that open issuances are going to name, and one of events or statements:
    the feed keeps every event for ever, people keep confirmations, and who reads them needs the key of each.
    """
    if key.state is not KeyState.VERIFY_ONLY or key.retired_from is None or key.planned:
        return None
    if key.purpose in (KeyPurpose.EVENT, KeyPurpose.STATEMENT):
        return None
    ends = key.retired_from
    if key.purpose is KeyPurpose.CREDENTIAL:
        ends = max(ends, key.last_expiry or ends)
    else:
        ends += rules.life(key.purpose)
    return ends + SKEW + rules.margin


def earliest_destruction(key: KeyLife, rules: RotationRules) -> datetime | None:
    """When a home may forget the key: at once if no list ever named it, else a while after its retirement."""
    if key.state is KeyState.GENERATED:
        return key.created_at
    return key.retired_at + rules.wait if key.state is KeyState.RETIRED and key.retired_at else None


def rotation_due(key: KeyLife, schedule: Schedule) -> datetime | None:
    """When the successor of an active key shall sign."""
    return None if key.activated_at is None else key.activated_at + schedule.every


def preparation_due(key: KeyLife, schedule: Schedule, rules: RotationRules) -> datetime | None:
    """When the successor of an active key must be made: two leads before it signs, but not before half its
    predecessor's life (as SPIRE: remaining life ≤ life/2), so that a ceremony or a fault has a lead's time to spare."""
    due = rotation_due(key, schedule)
    return None if due is None else due - min(2 * rules.lead, schedule.every / 2)


def judge_settings(rules: RotationRules, schedules: Sequence[Schedule]) -> tuple[Advice, ...]:
    """What the settings contradict, however well every key is doing. Empty where all invariants hold.

    A list is renewed at half its life, so a cache longer than that half may find it expired; a schedule shorter than
    two leads cannot have its next key ready; one much shorter than what it signs lives fills every list with keys.
    """
    found = []
    if rules.longest_cache > rules.list_life / 2:
        found.append(Advice(AdviceKind.UNSAFE, "list_life_too_short"))
    for schedule in schedules:
        if schedule.every < 2 * rules.lead:
            found.append(Advice(AdviceKind.UNSAFE, "schedule_shorter_than_lead", schedule.purpose))
        elif rules.life(schedule.purpose) > MANY_KEYS * schedule.every:
            found.append(Advice(AdviceKind.UNSAFE, "schedule_keeps_many_keys", schedule.purpose))
    return tuple(found)


def advise(
    keys: Sequence[KeyLife],
    rules: RotationRules,
    schedules: Sequence[Schedule],
    now: datetime,
    *,
    purposes: Sequence[KeyPurpose],
    published: Published | None,
) -> tuple[Advice, ...]:
    """Everything an admin should know now: unsafe first, then late, then due; within one kind, oldest first.

    `purposes` are those that must have an active key, `published` the newest trust list.
    """
    by_purpose = {schedule.purpose: schedule for schedule in schedules}
    found = [*judge_settings(rules, schedules), *_of_list(keys, published, rules, now)]
    for purpose in purposes:
        own = [key for key in keys if key.purpose is purpose]
        found += _of_signing(purpose, own, by_purpose.get(purpose), rules, now)
        found += [advice for key in own for advice in _of_past(key, rules, now)]
    pressing = list(reversed(AdviceKind))
    return tuple(sorted(found, key=lambda advice: (pressing.index(advice.kind), advice.since or _LONG_AGO)))


def counted(advice: Sequence[Advice]) -> Mapping[AdviceKind, int]:
    """How many findings of each kind, those with none too."""
    return {kind: sum(item.kind is kind for item in advice) for kind in AdviceKind}


def _of_signing(
    purpose: KeyPurpose, keys: Sequence[KeyLife], schedule: Schedule | None, rules: RotationRules, now: datetime
) -> Iterator[Advice]:
    """The key that signs and the one that waits."""
    active = next((key for key in keys if key.state is KeyState.ACTIVE), None)
    waiting = next((key for key in keys if key.state in (KeyState.GENERATED, KeyState.NEXT)), None)
    if active is None:
        yield Advice(AdviceKind.UNSAFE, "key_none_active", purpose)
    due = None if active is None or schedule is None else rotation_due(active, schedule)
    if active is not None and schedule is not None and due is not None:
        prepare = preparation_due(active, schedule, rules)
        if waiting is None and prepare is not None and now >= prepare:
            last_chance = due - rules.lead
            kind = AdviceKind.DUE if now <= last_chance else AdviceKind.LATE
            yield Advice(kind, "key_next_missing", purpose, active.kid, prepare, last_chance)
        if now > due + rules.lead:
            yield Advice(AdviceKind.LATE, "key_older_than_schedule", purpose, active.kid, due)
    if waiting is None:
        return
    ready = earliest_promotion(waiting, rules)
    if ready is None:
        late = due is not None and now > due - rules.lead
        until = None if due is None else due - rules.lead
        kind = AdviceKind.LATE if late else AdviceKind.DUE
        yield Advice(kind, "key_not_published", purpose, waiting.kid, waiting.created_at, until)
        return
    time_has_come = ready if due is None else max(ready, due)
    if now >= time_has_come:
        late = due is not None and now > time_has_come + rules.margin
        yield Advice(
            AdviceKind.LATE if late else AdviceKind.DUE, "key_promotion_due", purpose, waiting.kid, time_has_come
        )


def _of_past(key: KeyLife, rules: RotationRules, now: datetime) -> Iterator[Advice]:
    """A key that signs no more."""
    retirement = earliest_retirement(key, rules)
    if retirement is not None and now >= retirement:
        yield Advice(AdviceKind.DUE, "key_retire_possible", key.purpose, key.kid, retirement)
    if key.state is KeyState.VERIFY_ONLY and key.retired_from is not None and key.last_expiry is not None:
        longest = key.retired_from + rules.life(key.purpose) + SKEW
        if key.last_expiry > longest:  # a credential that outlives what this issuer promises
            yield Advice(AdviceKind.UNSAFE, "key_verify_only_without_end", key.purpose, key.kid, key.retired_from)
    destruction = earliest_destruction(key, rules)
    if key.state is KeyState.RETIRED and destruction is not None and now >= destruction:
        yield Advice(AdviceKind.DUE, "key_destroy_possible", key.purpose, key.kid, destruction)


def _of_list(
    keys: Sequence[KeyLife], published: Published | None, rules: RotationRules, now: datetime
) -> Iterator[Advice]:
    """The trust list: there, in time, and saying what the register says."""
    if published is None:
        yield Advice(AdviceKind.UNSAFE, "trust_list_none")
        return
    if now >= published.expires_at:
        yield Advice(AdviceKind.UNSAFE, "trust_list_over", since=published.expires_at)
    elif now > published.expires_at - rules.lead:  # a verifier that has just fetched it will outlive it
        yield Advice(
            AdviceKind.LATE, "trust_list_expiring", since=published.expires_at - rules.lead, until=published.expires_at
        )
    elif now > (half := published.issued_at + (published.expires_at - published.issued_at) / 2) + rules.margin:
        yield Advice(AdviceKind.DUE, "trust_list_expiring", since=half, until=published.expires_at - rules.lead)
    if not published.current:
        stolen = any(key.state is KeyState.COMPROMISED for key in keys)
        yield Advice(AdviceKind.UNSAFE if stolen else AdviceKind.LATE, "trust_list_behind", since=published.issued_at)


_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
