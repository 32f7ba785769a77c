"""An offline verifier takes deltas in their order or not at all, and never knows less for having taken one."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.status import EcardStatus
from ecard_sdk.offline import OfflineVerifier
from ecard_verifier.bundle import extend_bundle, make_bundle, open_bundle
from ecard_verifier.verdict import Outcome
from tests.verifier.delta_kit import POSITION, Chain, bundle_of, judged, opened, reading
from tests.world import NOW, World, seconds

VALID, INVALID, SUSPENDED = EcardStatus.VALID, EcardStatus.INVALID, EcardStatus.SUSPENDED


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_a_loss_and_a_return_reach_the_offline_verifier_by_deltas(world: World) -> None:
    bundle, chain = opened(world), Chain(world)
    assert judged(world, bundle, NOW).outcome is Outcome.VALID
    bundle.statuses.apply(chain.next((7, SUSPENDED)), chain.at)
    verdict = judged(world, bundle, chain.at)
    assert (verdict.reason, verdict.status_as_of) == ("suspended", chain.at)
    bundle.statuses.apply(chain.next((7, VALID)), chain.at)
    assert judged(world, bundle, chain.at).outcome is Outcome.VALID
    bundle.statuses.apply(chain.next((7, INVALID)), chain.at)
    assert judged(world, bundle, chain.at).reason == "ended"


def test_an_empty_delta_moves_the_time_and_nothing_else(world: World) -> None:
    bundle, chain = opened(world, {9: SUSPENDED}), Chain(world)
    before = bundle.statuses.places()
    bundle.statuses.apply(chain.next(after_seconds=60), chain.at)
    after = bundle.statuses.places()[world.issuer]
    assert after.position == before[world.issuer].position == POSITION
    assert after.as_of == seconds(NOW) + 60
    assert (reading(world, bundle, 7).value, reading(world, bundle, 9).value) == (0, 2)
    assert reading(world, bundle, 7).as_of == seconds(NOW) + 60


def test_deltas_keep_a_bundle_useful_beyond_its_own_end_but_not_beyond_its_trust_list(world: World) -> None:
    bundle, chain = opened(world), Chain(world)
    late = NOW + timedelta(days=1, minutes=5)
    assert judged(world, bundle, late).reason == "status_expired"
    bundle.statuses.apply(chain.next(after_seconds=86_400), late)
    assert judged(world, bundle, late).outcome is Outcome.VALID
    assert bundle.until == seconds(NOW + timedelta(days=2))
    bundle.statuses.apply(chain.next(after_seconds=6 * 86_400 - 3600), NOW + timedelta(days=7))
    assert bundle.until == bundle.trust.expires_at


def test_a_delta_that_names_a_newer_trust_list_lengthens_nothing(world: World) -> None:
    """That list may name a stolen key: whoever has the old one takes the changes, and must fetch it by the old end."""
    bundle, chain = opened(world), Chain(world)
    before = bundle.until
    bundle.statuses.apply(chain.next((7, SUSPENDED), after_seconds=3600, trust_list=2), chain.at)
    assert bundle.until == before
    assert judged(world, bundle, chain.at).reason == "suspended"
    assert judged(world, bundle, NOW + timedelta(days=1, minutes=5), index=8).reason == "status_expired"


def test_invalid_is_final_whatever_a_later_delta_says(world: World) -> None:
    bundle, chain = opened(world, {5: INVALID}), Chain(world)
    bundle.statuses.apply(chain.next((5, VALID), (6, INVALID)), chain.at)
    bundle.statuses.apply(chain.next((6, VALID)), chain.at)
    assert [reading(world, bundle, index).value for index in (5, 6)] == [INVALID, INVALID]


def test_what_a_list_knows_ahead_of_the_deltas_is_not_undone_by_them(world: World) -> None:
    """The list was signed after its holder lost the card again; the delta on its way still says that it was found."""
    data = bundle_of(world, {7: SUSPENDED}, issued_at=NOW + timedelta(seconds=50))
    bundle = open_bundle(data, NOW + timedelta(seconds=50), world.root)
    chain = Chain(world)
    bundle.statuses.apply(chain.next((7, VALID), (8, SUSPENDED)), NOW + timedelta(seconds=50))
    assert reading(world, bundle, 7).value == SUSPENDED
    assert reading(world, bundle, 8).value == SUSPENDED
    assert reading(world, bundle, 7).as_of == seconds(NOW) + 50
    bundle.statuses.apply(chain.next((9, SUSPENDED), after_seconds=20), NOW + timedelta(seconds=50))
    assert reading(world, bundle, 7).value == VALID  # all up to the list's own time is in: the last word counts


HISTORIES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([VALID, SUSPENDED, SUSPENDED, INVALID])), min_size=1, max_size=19
)


@settings(max_examples=30, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_lists_and_deltas_together_say_what_the_events_say(
    world: World, changes: list[tuple[int, EcardStatus]], drawn: random.Random
) -> None:
    """Any history, cut into deltas anywhere, over a list taken anywhere in it: the end is the same."""
    truth, known = dict.fromkeys(range(4), VALID), drawn.randrange(len(changes) + 1)
    moment = NOW + timedelta(seconds=10 * known)
    listed: dict[int, EcardStatus] = {}
    for place, (index, value) in enumerate(changes):
        if place == known:
            listed = dict(truth)
        if truth[index] is not INVALID:
            truth[index] = value
    listed = listed or dict(truth)
    position = drawn.randrange(known + 1)  # the feed was behind the register
    bundle = open_bundle(bundle_of(world, listed, position=POSITION + position, issued_at=moment), moment, world.root)
    chain = Chain(world)
    rest = drawn.randrange(position + 1)
    chain.number, chain.upto, chain.previous = 3, POSITION + rest, "A" * 43
    while rest < len(changes):
        taken = drawn.randrange(1, len(changes) - rest + 1)
        folded: dict[int, EcardStatus] = {}
        for index, value in changes[rest : rest + taken]:
            if folded.get(index) is not INVALID:
                folded[index] = value
        rest += taken
        at = NOW + timedelta(seconds=10 * rest)
        token = chain.next(*folded.items(), events=taken, after_seconds=(at - chain.at).total_seconds())
        if rest >= position:
            bundle.statuses.apply(token, NOW + timedelta(hours=1))
    if chain.upto >= POSITION + position and bundle.statuses.places()[world.issuer].number:
        for index, value in truth.items():
            assert reading(world, bundle, index).value == value


def test_a_bundle_carries_its_deltas_and_refuses_to_open_with_a_wrong_one(world: World) -> None:
    data, chain = bundle_of(world), Chain(world)
    first, second, third = chain.next((7, SUSPENDED)), chain.next(), chain.next((8, INVALID))
    longer = extend_bundle(extend_bundle(data, [first], chain.at), [second, third], chain.at, world.root)
    bundle = open_bundle(longer, chain.at, world.root)
    assert [reading(world, bundle, index).value for index in (7, 8, 9)] == [2, 1, 0]
    assert bundle.statuses.places()[world.issuer].number == 3
    assert extend_bundle(data, [], chain.at) == data
    for wrong, code in (([second], "delta_old"), ([third], "delta_repeated")):
        with pytest.raises(CheckFailed, match=code):
            extend_bundle(longer, wrong, chain.at)
    with pytest.raises(CheckFailed, match="delta_gap"):
        extend_bundle(extend_bundle(data, [first], chain.at), [third], chain.at)


def test_lists_that_do_not_say_what_they_know_of_take_no_delta(world: World) -> None:
    known, silent = world.status_token(position=POSITION), world.status_token(list_id=2)
    for tokens in ([silent], [known, silent], [silent, known]):
        data = make_bundle(world.root, world.trust_document(), tokens, made_at=NOW)
        bundle = open_bundle(data, NOW)
        assert bundle.statuses.places() == {}
        with pytest.raises(CheckFailed, match="delta_gap"):
            bundle.statuses.apply(Chain(world).next(), NOW)


def test_the_list_that_knows_least_says_from_where_deltas_are_needed(world: World) -> None:
    tokens = [world.status_token(position=POSITION), world.status_token(list_id=2, position=POSITION - 5)]
    bundle = open_bundle(make_bundle(world.root, world.trust_document(), tokens, made_at=NOW), NOW)
    assert bundle.statuses.places()[world.issuer].position == POSITION - 5
    with pytest.raises(CheckFailed, match="delta_gap"):
        bundle.statuses.apply(Chain(world).next(), NOW + timedelta(seconds=30))


def test_the_sdks_offline_verifier_takes_deltas(world: World) -> None:
    bundle, chain = opened(world), Chain(world)
    verifier = OfflineVerifier(bundle)
    verifier.apply_delta(chain.next((7, SUSPENDED)), now=chain.at)
    assert judged(world, verifier.bundle, chain.at).reason == "suspended"
    with pytest.raises(InvalidInput):
        verifier.apply_delta("no delta", now=chain.at)
