"""The rules of rotation: dates that follow from caches and lives, and what they make of the keys there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import messages
from ecard_card.errors import InvalidInput
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.rotation import (
    SKEW,
    Advice,
    AdviceKind,
    KeyLife,
    Published,
    RotationRules,
    Schedule,
    advise,
    counted,
    earliest_destruction,
    earliest_promotion,
    earliest_retirement,
    judge_settings,
    preparation_due,
    rotation_due,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = RotationRules(DAY, 365 * DAY, DAY, 30 * DAY)
YEARLY = Schedule(KeyPurpose.CREDENTIAL, 365 * DAY)
FRESH = Published(T0, T0 + 30 * DAY, current=True)
durations = st.timedeltas(timedelta(0), timedelta(days=400))


def key(
    state: KeyState, kid: str = "0000000a", purpose: KeyPurpose = KeyPurpose.CREDENTIAL, **times: object
) -> KeyLife:
    return replace(KeyLife(kid, purpose, state, T0), **times)  # type: ignore[arg-type]


ACTIVE = key(KeyState.ACTIVE, published_at=T0, activated_at=T0)


def findings(
    keys: Sequence[KeyLife],
    now: datetime,
    *,
    schedules: Sequence[Schedule] = (),
    rules: RotationRules = RULES,
    published: Published | str | None = "fresh",
) -> list[tuple[str, str]]:
    """Kind and code of what is advised for credential keys; the list is fresh unless one is given."""
    told = Published(now, now + rules.list_life, current=True) if isinstance(published, str) else published
    advice = advise(keys, rules, schedules, now, purposes=(KeyPurpose.CREDENTIAL,), published=told)
    return [(str(item.kind), item.code) for item in advice]


def test_the_lead_is_the_longest_cache_and_a_margin_on_top() -> None:
    assert RULES.lead == timedelta(hours=25)
    assert replace(RULES, longest_cache=timedelta(0)).lead == timedelta(seconds=1)


@given(cache=durations, age=durations)
def test_a_verifier_with_any_cache_up_to_the_longest_knows_a_key_that_may_be_promoted(
    cache: timedelta, age: timedelta
) -> None:
    """Whatever the age of its list: fetched before the key was published, it was dropped before the promotion."""
    rules = replace(RULES, longest_cache=cache)
    promotion = earliest_promotion(key(KeyState.NEXT, published_at=T0), rules)
    assert promotion is not None
    fetched_last_without_the_key = T0  # at the latest
    assert promotion > fetched_last_without_the_key + min(age, cache)


@given(last=durations, retired=durations, cache=durations)
def test_no_key_retires_while_anything_it_signed_is_good_somewhere(
    last: timedelta, retired: timedelta, cache: timedelta
) -> None:
    old = key(KeyState.VERIFY_ONLY, activated_at=T0, retired_from=T0 + retired, live=1, last_expiry=T0 + last)
    retirement = earliest_retirement(old, replace(RULES, longest_cache=cache))
    assert retirement is not None
    assert retirement >= T0 + last + SKEW
    assert retirement >= T0 + retired + SKEW


@given(every=st.timedeltas(timedelta(hours=1), timedelta(days=800)), cache=durations)
def test_the_next_key_is_prepared_a_lead_before_it_signs_wherever_the_settings_hold(
    every: timedelta, cache: timedelta
) -> None:
    rules, schedule = replace(RULES, longest_cache=cache), Schedule(KeyPurpose.CREDENTIAL, every)
    due, prepared = rotation_due(ACTIVE, schedule), preparation_due(ACTIVE, schedule, rules)
    assert due is not None
    assert prepared is not None
    contradicted = "schedule_shorter_than_lead" in {advice.code for advice in judge_settings(rules, [schedule])}
    assert (due - prepared >= rules.lead) or contradicted
    assert prepared >= T0


def test_a_key_that_no_list_names_has_no_promotion_date() -> None:
    assert earliest_promotion(key(KeyState.GENERATED), RULES) is None


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        pytest.param(key(KeyState.ACTIVE, activated_at=T0), None, id="active"),
        pytest.param(key(KeyState.VERIFY_ONLY, retired_from=T0, planned=1), None, id="open issuance"),
        pytest.param(key(KeyState.VERIFY_ONLY, purpose=KeyPurpose.EVENT, retired_from=T0), None, id="events are kept"),
        pytest.param(
            key(KeyState.VERIFY_ONLY, purpose=KeyPurpose.STATUS, retired_from=T0),
            T0 + DAY + SKEW + RULES.margin,
            id="status",
        ),
        pytest.param(key(KeyState.VERIFY_ONLY, retired_from=T0), T0 + SKEW + RULES.margin, id="nothing live"),
        pytest.param(
            key(KeyState.VERIFY_ONLY, retired_from=T0, live=2, last_expiry=T0 + 9 * DAY),
            T0 + 9 * DAY + SKEW + RULES.margin,
            id="live",
        ),
    ],
)
def test_the_earliest_retirement(old: KeyLife, expected: datetime | None) -> None:
    assert earliest_retirement(old, RULES) == expected


def test_destruction_waits_a_month_after_retirement_and_not_for_a_key_nobody_saw() -> None:
    assert earliest_destruction(key(KeyState.RETIRED, retired_at=T0), RULES) == T0 + 30 * DAY
    assert earliest_destruction(key(KeyState.GENERATED), RULES) == T0
    assert earliest_destruction(key(KeyState.VERIFY_ONLY, retired_from=T0), RULES) is None
    assert earliest_destruction(key(KeyState.COMPROMISED), RULES) is None


def test_a_year_of_one_key_in_advice() -> None:
    """Nothing, then the next key is due, late, over its time; each at its minute."""
    due = T0 + 365 * DAY
    assert findings([ACTIVE], due - 3 * DAY, schedules=[YEARLY]) == []
    assert findings([ACTIVE], due - timedelta(hours=50), schedules=[YEARLY]) == [("due", "key_next_missing")]
    assert findings([ACTIVE], due - timedelta(hours=24), schedules=[YEARLY]) == [("late", "key_next_missing")]
    assert findings([ACTIVE], due + 2 * DAY, schedules=[YEARLY]) == [
        ("late", "key_next_missing"),
        ("late", "key_older_than_schedule"),
    ]
    assert findings([ACTIVE], due + 2 * DAY) == [], "without a schedule no age is too high"


def test_a_waiting_key_is_promoted_when_its_lead_and_its_predecessors_time_are_over() -> None:
    made = T0 + 363 * DAY
    waiting = key(KeyState.NEXT, "0000000b", created_at=made, published_at=made)
    assert findings([ACTIVE, waiting], made + timedelta(hours=26), schedules=[YEARLY]) == []
    assert findings([ACTIVE, waiting], T0 + 365 * DAY, schedules=[YEARLY]) == [("due", "key_promotion_due")]
    assert findings([ACTIVE, waiting], T0 + 366 * DAY, schedules=[YEARLY]) == [("late", "key_promotion_due")]
    assert findings([ACTIVE, waiting], made + timedelta(hours=24)) == []
    assert findings([ACTIVE, waiting], made + timedelta(hours=25)) == [("due", "key_promotion_due")]


def test_an_unpublished_key_is_due_and_later_late() -> None:
    waiting = key(KeyState.GENERATED, "0000000b", created_at=T0 + 363 * DAY)
    assert findings([ACTIVE, waiting], T0 + 363 * DAY, schedules=[YEARLY]) == [("due", "key_not_published")]
    assert findings([ACTIVE, waiting], T0 + 365 * DAY, schedules=[YEARLY]) == [("late", "key_not_published")]


def test_a_purpose_without_a_signing_key_is_unsafe_and_comes_first() -> None:
    waiting = key(KeyState.NEXT, "0000000b", published_at=T0 - 2 * DAY)
    assert findings([waiting], T0) == [("unsafe", "key_none_active"), ("due", "key_promotion_due")]


def test_what_becomes_of_old_keys() -> None:
    over = key(KeyState.VERIFY_ONLY, "0000000b", retired_from=T0)
    endless = key(KeyState.VERIFY_ONLY, "0000000c", retired_from=T0, live=1, last_expiry=T0 + 900 * DAY)
    stored = key(KeyState.RETIRED, "0000000d", retired_at=T0)
    gone = key(KeyState.DESTROYED, "0000000e", retired_at=T0)
    assert findings([ACTIVE, over, endless, stored, gone], T0 + 40 * DAY) == [
        ("unsafe", "key_verify_only_without_end"),
        ("due", "key_retire_possible"),
        ("due", "key_destroy_possible"),
    ]


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        pytest.param(None, [("unsafe", "trust_list_none")], id="none"),
        pytest.param(FRESH, [], id="fresh"),
        pytest.param(Published(T0 - 16 * DAY, T0 + 14 * DAY, True), [("due", "trust_list_expiring")], id="past half"),
        pytest.param(Published(T0 - 29 * DAY, T0 + DAY, True), [("late", "trust_list_expiring")], id="within a cache"),
        pytest.param(Published(T0 - 30 * DAY, T0, True), [("unsafe", "trust_list_over")], id="over"),
        pytest.param(Published(T0, T0 + 30 * DAY, False), [("late", "trust_list_behind")], id="behind"),
    ],
)
def test_the_trust_list_itself(published: Published | None, expected: list[tuple[str, str]]) -> None:
    assert findings([ACTIVE], T0, published=published) == expected


def test_a_list_that_does_not_say_yet_that_a_key_was_stolen_is_unsafe() -> None:
    stolen = key(KeyState.COMPROMISED, "0000000b")
    behind = Published(T0, T0 + 30 * DAY, False)
    assert findings([ACTIVE, stolen], T0, published=behind) == [("unsafe", "trust_list_behind")]


@pytest.mark.parametrize(
    ("rules", "schedules", "codes"),
    [
        pytest.param(RULES, [YEARLY], [], id="the defaults"),
        pytest.param(replace(RULES, list_life=DAY), [], ["list_life_too_short"], id="cache over half the list"),
        pytest.param(
            RULES, [Schedule(KeyPurpose.EVENT, 2 * DAY)], ["schedule_shorter_than_lead"], id="no time to publish"
        ),
        pytest.param(
            RULES, [Schedule(KeyPurpose.CREDENTIAL, 7 * DAY)], ["schedule_keeps_many_keys"], id="52 keys at a time"
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(
    rules: RotationRules, schedules: list[Schedule], codes: list[str]
) -> None:
    assert [advice.code for advice in judge_settings(rules, schedules)] == codes


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(InvalidInput, match="bad_rotation_rules"):
        replace(RULES, wait=-DAY)


@given(
    state=st.sampled_from(list(KeyState)),
    now=st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    published=st.none() | st.just(T0),
    every=st.timedeltas(timedelta(0), timedelta(days=900)),
)
def test_whatever_the_keys_every_finding_has_words_and_a_place(
    state: KeyState, now: datetime, published: datetime | None, every: timedelta
) -> None:
    keys = [key(state, published_at=published, activated_at=T0, retired_from=T0, retired_at=T0), ACTIVE]
    schedules = [Schedule(KeyPurpose.CREDENTIAL, every)]
    advice = advise(keys, RULES, schedules, now, purposes=(KeyPurpose.CREDENTIAL,), published=FRESH)
    assert all(item.code in messages.codes() for item in advice)
    order = [AdviceKind.UNSAFE, AdviceKind.LATE, AdviceKind.DUE]
    assert [item.kind for item in advice] == sorted((item.kind for item in advice), key=order.index)


def test_findings_are_counted_by_kind() -> None:
    assert counted([Advice(AdviceKind.DUE, "key_next_missing")]) == {"due": 1, "late": 0, "unsafe": 0}
