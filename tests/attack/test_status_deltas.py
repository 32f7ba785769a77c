"""Attacks on deltas: whoever carries them can withhold them, and can do nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_card.status_delta import FIRST, TYP
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_verifier.bundle import Bundle, extend_bundle, open_bundle
from ecard_verifier.status_deltas import OfflineStatuses
from ecard_verifier.statuses import accept_status_token
from tests.attack.kit import entry, jws, other_world, trust_in
from tests.verifier.delta_kit import LIST, POSITION, Chain, bundle_of, judged, opened, reading, signed
from tests.world import ISSUER, NOW, World, seconds

VALID, INVALID, SUSPENDED = EcardStatus.VALID, EcardStatus.INVALID, EcardStatus.SUSPENDED


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def state(world: World, bundle: Bundle) -> tuple[object, ...]:
    return (
        dict(bundle.statuses.places()),
        bundle.until,
        [(reading(world, bundle, index).value, reading(world, bundle, index).as_of) for index in range(12)],
    )


def refusal(world: World, bundle: Bundle, token: str) -> str:
    """The code; nothing has changed."""
    before = state(world, bundle)
    with pytest.raises(EcardError) as caught:
        bundle.statuses.apply(token, NOW + timedelta(minutes=10))
    assert state(world, bundle) == before
    return caught.value.code


def taken(world: World) -> tuple[Bundle, Chain, list[str]]:
    """A verifier that has taken two deltas."""
    bundle, chain = opened(world), Chain(world)
    tokens = [chain.next((7, SUSPENDED)), chain.next((3, SUSPENDED))]
    for token in tokens:
        bundle.statuses.apply(token, chain.at)
    return bundle, chain, tokens


def test_a_gap_a_repetition_an_older_one_and_a_foreign_past_are_refused_by_name(world: World) -> None:
    bundle, chain, tokens = taken(world)
    assert refusal(world, bundle, tokens[1]) == "delta_repeated"
    assert refusal(world, bundle, tokens[0]) == "delta_old"
    assert refusal(world, bundle, chain.made(number=4)[0]) == "delta_gap"
    assert refusal(world, bundle, chain.made(number=2, after=POSITION, upto=POSITION + 1)[0]) == "delta_forked"
    assert refusal(world, bundle, chain.made(previous="A" * 43)[0]) == "delta_forked"
    assert refusal(world, bundle, chain.made(after=chain.upto - 1)[0]) == "delta_forked"
    assert refusal(world, bundle, chain.made(after=chain.upto + 1, upto=chain.upto + 1)[0]) == "delta_forked"
    assert refusal(world, bundle, chain.made(as_of=seconds(NOW))[0]) == "delta_forked"
    bundle.statuses.apply(chain.next((7, VALID)), chain.at)  # and the right one goes on
    assert reading(world, bundle, 7).value == VALID


def test_deltas_in_any_wrong_order_never_lead_further_than_the_right_one(world: World) -> None:
    chain = Chain(world)
    tokens = [chain.next((index, SUSPENDED)) for index in range(5)]
    for seed in range(25):
        drawn = random.Random(seed)  # noqa: S311 - an order, and the same one each time
        order = [*tokens, *drawn.choices(tokens, k=4)]
        drawn.shuffle(order)
        bundle = opened(world)
        for token in order:
            try:
                bundle.statuses.apply(token, chain.at)
            except EcardError as error:
                assert error.code in ("delta_gap", "delta_old", "delta_repeated")  # noqa: PT017
            place = bundle.statuses.places()[ISSUER]
            values = [reading(world, bundle, index).value for index in range(5)]
            assert values == [SUSPENDED] * place.number + [VALID] * (5 - place.number)


def test_the_first_delta_must_begin_where_the_lists_end(world: World) -> None:
    assert refusal(world, opened(world), Chain(world, number=8, upto=POSITION + 1, previous="A" * 43).next()) == (
        "delta_gap"
    )
    early = Chain(world, number=8, upto=POSITION - 9, previous="A" * 43)
    assert refusal(world, opened(world), early.made((7, VALID))[0]) == "delta_old"


def test_one_flipped_bit_anywhere_is_refused(world: World) -> None:
    bundle, chain, _ = taken(world)
    token = chain.made((7, VALID))[0]
    codes = set()
    for place in range(0, len(token), 3):
        other = "A" if token[place] != "A" else "B"
        codes.add(refusal(world, bundle, token[:place] + other + token[place + 1 :]))
    assert codes <= {"bad_status_delta", "bad_signature", "wrong_type", "algorithm_not_allowed", "unknown_key"}
    assert "bad_signature" in codes


def _foreign(chain: Chain) -> str:
    other = other_world()
    return chain.made((7, VALID), signer=other.status_key, issuer=other.issuer)[0]


ATTACKS: dict[str, tuple[Callable[[World, Chain], str], str]] = {
    "a key that nobody listed": (lambda world, chain: chain.made(signer=EphemeralSigner())[0], "unknown_key"),
    "an event key": (lambda world, chain: chain.made(signer=world.event_key)[0], "unknown_key"),
    "a credential key": (lambda world, chain: chain.made(signer=world.credential_key)[0], "unknown_key"),
    "another issuer's delta": (lambda world, chain: _foreign(chain), "unknown_key"),
    "another issuer's name": (
        lambda world, chain: chain.made(issuer="https://other.example")[0],
        "issuer_mismatch",
    ),
    "tomorrow": (lambda world, chain: chain.made(after_seconds=86_400)[0], "delta_future"),
    "a status list as a delta": (lambda world, chain: world.status_token(position=POSITION), "wrong_type"),
    "an unsigned one": (
        lambda world, chain: chain.made()[0].rpartition(".")[0] + "." + jose.b64url_encode(bytes(64)),
        "bad_signature",
    ),
    "algorithm none": (
        lambda world, chain: (
            jose.compact_signing_input(
                {"alg": "none", "kid": world.status_key.key_id, "typ": TYP}, chain.made()[1].claims()
            ).decode()
            + "."
        ),
        "algorithm_not_allowed",
    ),
    "another type": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": "statuslist+jwt"},
            chain.made()[1].claims(),
        ),
        "wrong_type",
    ),
    "a member more": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP},
            {**chain.made()[1].claims(), "crit": 1},
        ),
        "bad_status_delta",
    ),
    "a header more": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP, "x5c": ["AA"]},
            chain.made()[1].claims(),
        ),
        "bad_status_delta",
    ),
    "changes without events": (
        lambda world, chain: chain.made((7, VALID), events=0)[0],
        "bad_status_delta",
    ),
    "the first again": (
        lambda world, chain: chain.made(number=1, previous=FIRST)[0],
        "delta_old",
    ),
    "a number that floats": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP},
            {**chain.made()[1].claims(), "n": 3.0},
        ),
        "bad_status_delta",
    ),
    "true as a number": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP},
            {**chain.made()[1].claims(), "as_of": True},
        ),
        "bad_status_delta",
    ),
    "a second spelling of a change": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP},
            {**chain.made(events=3)[1].claims(), "changes": jose.b64url_encode(bytes([0x81, 0x00]))},
        ),
        "bad_status_delta",
    ),
    "value three": (
        lambda world, chain: jws(
            world.status_key,
            {"alg": "ES256", "kid": world.status_key.key_id, "typ": TYP},
            {**chain.made(events=3)[1].claims(), "changes": jose.b64url_encode(bytes([0x03]))},
        ),
        "bad_status_delta",
    ),
    "a megabyte": (lambda world, chain: "A" * (1 << 20), "bad_status_delta"),
    "nothing": (lambda world, chain: "", "bad_status_delta"),
    "not ASCII": (lambda world, chain: "状态.状态.状态", "bad_status_delta"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_delta_that_is_not_the_issuers_next_is_refused_and_changes_nothing(world: World, name: str) -> None:
    make, code = ATTACKS[name]
    bundle, chain, _ = taken(world)
    assert refusal(world, bundle, make(world, chain)) == code


@pytest.mark.parametrize(
    ("state_of_key", "about", "code"),
    [
        (KeyState.COMPROMISED, {}, "key_compromised"),
        (KeyState.RETIRED, {}, "key_retired"),
        (KeyState.VERIFY_ONLY, {"retired_from": seconds(NOW) - 3600}, "key_retired"),
    ],
)
def test_a_key_that_may_not_sign_any_more_signs_no_delta(
    world: World, state_of_key: KeyState, about: dict[str, int], code: str
) -> None:
    record = replace(world.status_key.record(KeyPurpose.STATUS), state=state_of_key, **about)  # type: ignore[arg-type]
    good = EphemeralSigner()
    keys = (world.credential_key.record(KeyPurpose.CREDENTIAL), record, good.record(KeyPurpose.STATUS))
    trust = world.trust(keys)
    token = accept_status_token(world.status_token(position=POSITION, signer=good), trust, NOW)
    statuses = OfflineStatuses([token], trust, token.expires_at)
    with pytest.raises(EcardError, match=code):
        statuses.apply(Chain(world).next((7, VALID)), NOW + timedelta(minutes=1))
    statuses.apply(Chain(world).made((7, SUSPENDED), signer=good)[0], NOW + timedelta(minutes=1))
    assert statuses.read(world.status_uri.replace("{list}", "1"), 7).value == SUSPENDED


def test_of_two_issuers_on_one_list_neither_moves_the_others_statuses(world: World) -> None:
    other = other_world()
    trust = trust_in(entry(world), entry(other))
    tokens = [
        accept_status_token(each.status_token({7: SUSPENDED}, position=POSITION), trust, NOW) for each in (world, other)
    ]
    statuses = OfflineStatuses(tokens, trust, tokens[0].expires_at)
    later = NOW + timedelta(minutes=1)
    statuses.apply(Chain(other).made((7, VALID), issuer=other.issuer)[0], later)
    assert statuses.read(other.status_uri.replace("{list}", "1"), 7).value == VALID
    ours = statuses.read(world.status_uri.replace("{list}", "1"), 7)
    assert (ours.value, ours.as_of, ours.expires_at) == (SUSPENDED, seconds(NOW), tokens[0].expires_at)
    with pytest.raises(EcardError, match="issuer_mismatch"):
        statuses.apply(Chain(world).made((7, VALID), signer=other.status_key)[0], later)
    alone = OfflineStatuses(tokens[:1], trust, tokens[0].expires_at)
    with pytest.raises(EcardError, match="delta_foreign"):
        alone.apply(Chain(other).made(issuer=other.issuer)[0], later)


def test_a_carrier_cannot_make_lists_look_as_if_they_knew_more(world: World) -> None:
    """What a list knows of is in its signature: an older list in a newer bundle takes none of the later deltas."""
    chain = Chain(world)
    lost, later = chain.next((7, SUSPENDED)), chain.next()
    bundle = open_bundle(bundle_of(world), NOW)
    assert refusal(world, bundle, later) == "delta_gap"
    with pytest.raises(EcardError, match="delta_gap"):
        extend_bundle(bundle_of(world), [later], chain.at)
    bundle.statuses.apply(lost, chain.at)
    assert judged(world, bundle, chain.at).reason == "suspended"


def test_random_damage_to_signed_deltas_never_makes_a_suspended_card_valid(world: World) -> None:
    """60 carriers who drop, repeat, swap, cut and splice."""
    chain = Chain(world)
    tokens = [chain.next((7, SUSPENDED)), chain.next((2, VALID)), chain.next(), chain.next((4, INVALID))]
    for seed in range(60):
        drawn = random.Random(seed)  # noqa: S311 - damage, and the same each time
        bundle = opened(world)
        bundle.statuses.apply(tokens[0], chain.at)
        for _ in range(6):
            token = drawn.choice(tokens)
            cut = drawn.randrange(len(token))
            splice = drawn.choice(tokens)
            damaged = drawn.choice([token, token[:cut], token[:cut] + splice[cut:], token + "A", token[1:]])
            try:
                bundle.statuses.apply(damaged, chain.at)
            except EcardError:
                continue
            assert damaged in tokens
        assert reading(world, bundle, 7).value == SUSPENDED


def test_a_huge_trusted_past_costs_little(world: World) -> None:
    """The largest delta there can be is read in well under a second."""
    entries = tuple((LIST, index, 1) for index in range(16_384))
    bundle, chain = opened(world), Chain(world)
    token = signed(replace(chain.made()[1], changes=entries, upto=POSITION + 16_384), world.status_key)
    started = time.perf_counter()
    bundle.statuses.apply(token, NOW + timedelta(minutes=1))
    assert time.perf_counter() - started < 1.0


def test_a_signature_by_another_key_of_the_same_kid_is_nobodys(world: World) -> None:
    bundle, chain, _ = taken(world)
    liar = EphemeralSigner()
    header = {"alg": Algorithm.ES256.value, "kid": world.status_key.key_id, "typ": TYP}
    assert refusal(world, bundle, jws(liar, header, chain.made((7, VALID))[1].claims())) == "bad_signature"
