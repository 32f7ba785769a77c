"""Reading signed events: what is taken, and everything that is not."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_card.status import CardChange
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.intake.event import CardEvent, CardRegistered
from ecard_issuer.intake.set_token import REGISTERED, STATUS_CHANGED, SUBJECT_FORMAT, read_set
from ecard_issuer.intake.sources import Source
from ecard_issuer.intake.states import Delivery
from ecard_keys.homes.ephemeral import EphemeralSigner
from tests.contracts.register_world import refused
from tests.issuer.intake.kit import CardSystem
from tests.issuer.service import START

SYSTEM = CardSystem()
CODE = {"identification_code": synthetic(1).identification_code}
CHANGE = {"change": "report_loss", "sequence": 1}


def outcome(token: str) -> str:
    try:
        read_set(token, SYSTEM.source(), START)
    except EcardError as error:
        return error.code
    return "taken"


def claims(**changes: Any) -> dict[str, Any]:
    return SYSTEM.claims(START, STATUS_CHANGED, CODE, CHANGE) | changes


def test_a_change_says_which_card_what_and_when() -> None:
    happened = int(START.timestamp()) - 3600
    event = read_set(SYSTEM.sign(claims(toe=happened)), SYSTEM.source(), START)
    assert isinstance(event, CardEvent)
    assert (event.change, event.sequence) == (CardChange.REPORT_LOSS, 1)
    assert event.occurred_at == START - timedelta(hours=1)
    assert event.subject.region == "000000"
    assert CODE["identification_code"] not in repr(event)


def test_a_card_may_be_named_by_number_and_region() -> None:
    named = {"format": SUBJECT_FORMAT, "card_number": "TEST00018", "region": "330100"}
    event = read_set(SYSTEM.sign(claims(sub_id=named)), SYSTEM.source(), START)
    assert isinstance(event, CardEvent)
    assert event.subject.region == "330100"
    assert "TEST00018" not in repr(event)


def test_a_new_card_comes_with_all_that_belongs_to_it() -> None:
    event = read_set(SYSTEM.registered(START, 7), SYSTEM.source(), START)
    assert isinstance(event, CardRegistered)
    assert event.card.holder.name == synthetic(7).name
    assert synthetic(7).name not in repr(event)


def test_the_same_jti_is_the_same_event() -> None:
    first, second = (read_set(SYSTEM.sign(claims(jti="x")), SYSTEM.source(), START) for _ in range(2))
    assert first.event_id == second.event_id
    assert read_set(SYSTEM.sign(claims(jti="y")), SYSTEM.source(), START).event_id != first.event_id


def test_sm2_is_taken_under_its_own_key_only() -> None:
    system = CardSystem(signer=EphemeralSigner(algorithm=Algorithm.SM2))
    token = system.sign(claims())
    assert isinstance(read_set(token, system.source(), START), CardEvent)
    with refused(CheckFailed, "bad_signature"):
        read_set(token, SYSTEM.source(), START)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": "https://other.example"}, "wrong_event_issuer"),
        ({"aud": "https://other.example"}, "wrong_event_audience"),
        ({"aud": []}, "wrong_event_audience"),
        ({"aud": [1, None]}, "wrong_event_audience"),
        ({"iat": int(START.timestamp()) + 61}, "card_event_from_future"),
        ({"iat": "1"}, "bad_card_event"),
        ({"iat": 1.5}, "bad_card_event"),
        ({"iat": 1 << 40}, "bad_card_event"),
        ({"toe": -1}, "bad_card_event"),
        ({"jti": ""}, "bad_card_event"),
        ({"jti": "x" * 257}, "bad_card_event"),
        ({"jti": 1}, "bad_card_event"),
        ({"txn": 1}, "bad_card_event"),
        ({"exp": int(START.timestamp()) + 60}, "bad_card_event"),
        ({"sub": "somebody"}, "bad_card_event"),
        ({"events": {}}, "bad_card_event"),
        ({"events": []}, "bad_card_event"),
        ({"events": {STATUS_CHANGED: CHANGE, "urn:other": {}}}, "bad_card_event"),
        ({"events": {STATUS_CHANGED: None}}, "bad_card_event"),
        ({"events": {"urn:other": {}}}, "unknown_event_type"),
        ({"events": {STATUS_CHANGED: CHANGE | {"name": "x"}}}, "bad_card_event"),
        ({"events": {STATUS_CHANGED: {"change": "explode", "sequence": 1}}}, "unknown_card_change"),
        ({"events": {STATUS_CHANGED: {"change": [], "sequence": 1}}}, "unknown_card_change"),
        ({"events": {STATUS_CHANGED: {"change": "lock", "sequence": True}}}, "bad_card_event"),
        ({"events": {STATUS_CHANGED: {"change": "lock", "sequence": 0}}}, "bad_card_sequence"),
        ({"events": {STATUS_CHANGED: {"change": "lock", "sequence": 1 << 60}}}, "bad_card_sequence"),
        ({"events": {STATUS_CHANGED: {"change": "replace", "sequence": 1}}}, "bad_card_event"),
        ({"events": {REGISTERED: {}}}, "bad_card_event"),
        ({"sub_id": None}, "bad_card_event"),
        ({"sub_id": {"format": "opaque", "id": "x"}}, "bad_card_event"),
        ({"sub_id": {"format": SUBJECT_FORMAT} | CODE | {"region": "000000"}}, "bad_card_event"),
        ({"sub_id": {"format": SUBJECT_FORMAT, "identification_code": "x"}}, "bad_identification_code"),
        ({"sub_id": {"format": SUBJECT_FORMAT, "card_number": "x", "region": "000000"}}, "bad_card_number"),
        ({"sub_id": {"format": SUBJECT_FORMAT, "card_number": "TEST00018", "region": "0"}}, "bad_region"),
    ],
)
def test_what_a_token_may_not_say(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(EcardError) as raised:
        read_set(SYSTEM.sign(claims(**changed)), SYSTEM.source(), START)
    assert raised.value.code == code


def test_what_a_header_may_not_say() -> None:
    for header, code in (
        ({"typ": "JWT"}, "wrong_type"),
        ({"alg": "none"}, "algorithm_not_allowed"),
        ({"alg": "HS256"}, "algorithm_not_allowed"),
        ({"alg": "SM2"}, "bad_signature"),
        ({"kid": "other"}, "event_key_unknown"),
        ({"kid": "../../x"}, "event_key_unknown"),
        ({"crit": ["x"]}, "bad_jws"),
        ({"jku": "https://evil.example"}, "bad_jws"),
    ):
        with pytest.raises(EcardError) as raised:
            read_set(SYSTEM.sign(claims(), **header), SYSTEM.source(), START)
        assert raised.value.code == code, header


def test_members_named_twice_and_other_forms_are_refused() -> None:
    head = {"alg": "ES256", "kid": SYSTEM.kid, "typ": "secevent+jwt"}
    whole = jose.dump_json(claims())
    for payload in (b"[]", b"{", b'{"iss":1,"iss":2}', whole[:-1], b"\xff", b"null", whole + b"x"):
        with refused(InvalidInput, "bad_card_event"):
            read_set(SYSTEM.sign_raw(head, payload), SYSTEM.source(), START)


def test_another_key_of_the_same_name_is_nobody() -> None:
    with refused(CheckFailed, "bad_signature"):
        read_set(CardSystem().sign(claims()), SYSTEM.source(), START)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda data: "a." + jose.b64url_encode(data) + ".b"))
)
def test_whatever_comes_in_only_our_errors_come_out_quickly(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(EcardError):
        read_set(text, SYSTEM.source(), START)
    assert time.monotonic() - started < 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["iss", "aud", "sequence", "change", STATUS_CHANGED]), inner, max_size=4)
    ),
    max_leaves=8,
)


_REFUSALS = [
    "bad_card_event",
    "wrong_event_issuer",
    "wrong_event_audience",
    "card_event_from_future",
    "unknown_event_type",
    "unknown_card_change",
    "bad_card_sequence",
    "bad_region",
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["iss", "aud", "iat", "jti", "toe", "txn", "sub_id", "events"]), _JSON)
def test_a_signed_token_of_any_content_is_read_or_refused(name: str, value: object) -> None:
    assert outcome(SYSTEM.sign(claims(**{name: value}))) in ("taken", *_REFUSALS)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "reconciliation"},
        {"issuer": "http://cards.example"},
        {"issuer": "https://user@cards.example"},
        {"issuer": "https://[::bad"},
        {"audience": ""},
        {"regions": ()},
        {"regions": ("33",)},
        {"keys": ()},
        {"keys": (SYSTEM.jwk(), SYSTEM.jwk())},
        {"keys": (SYSTEM.jwk() | {"d": "secret"},)},
        {"keys": (SYSTEM.jwk() | {"crv": "P-384"},)},
        {"keys": (SYSTEM.jwk() | {"x": jose.b64url_encode(secrets.token_bytes(32))},)},
        {"keys": (SYSTEM.jwk() | {"alg": "HS256"},)},
        {"keys": ({"kty": "oct", "k": "x", "kid": "x"},)},
        {"poll_url": "https://cards.example/poll"},
        {"delivery": Delivery.POLL},
        {"delivery": Delivery.POLL, "poll_url": "file:///etc/passwd"},
        {"delivery": Delivery.POLL, "poll_url": "http://10.0.0.1/poll"},
    ],
)
def test_a_source_that_cannot_be(changed: dict[str, Any]) -> None:
    with refused(InvalidInput, "bad_source"):
        SYSTEM.source(**changed)


def test_a_source_speaks_for_its_regions() -> None:
    source: Source = SYSTEM.source(regions=("330100", "440000"))
    assert [source.speaks_for(region) for region in ("330102", "440305", "330200", "000000")] == [
        True,
        True,
        False,
        False,
    ]
