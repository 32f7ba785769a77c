"""Feed events: what was drafted is read again, and nothing else is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_card.status import CardChange, EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import (
    EVENT_TYPE,
    CredentialIssued,
    EventBody,
    FeedBeat,
    OtherEvent,
    StatusChanged,
    TrustListPublished,
    parse_event,
    verify_event,
)
from tests.verifier.feed_kit import beat, change, denial, signed
from tests.world import NOW, World, seconds


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def compact(world: World) -> bytes:
    return world.compact(world.credential(DeviceKey.generate()))


def test_every_kind_of_event_survives_the_way_through_its_token(world: World, compact: bytes) -> None:
    bodies: list[EventBody] = [
        CredentialIssued(compact),
        StatusChanged(EcardStatus.SUSPENDED, "https://issuer.example/status-lists/3", 9, CardChange.LOCK, 4),
        TrustListPublished(2),
        FeedBeat(seconds(NOW)),
        OtherEvent("something-of-tomorrow"),
    ]
    for body in bodies:
        event = verify_event(signed(world, body, 5), world.trust(), NOW)
        assert (event.body, event.seq, event.issuer) == (body, 5, world.issuer)
        assert event.status_uri == world.status_uri


def test_an_event_is_a_security_event_token_with_its_type_and_claims(world: World) -> None:
    jws = jose.parse_compact(
        signed(world, change(world, EcardStatus.SUSPENDED), 3, previous="before"), typ="secevent+jwt"
    )
    claims = jose.parse_json(jws.payload)
    assert claims == {
        "iss": "https://issuer.example",
        "jti": "event-3",
        "iat": seconds(NOW),
        "feed": {"stream": "0", "seq": 3, "prev": "before"},
        "events": {
            "https://issuer.example/secevent/ecard/event-type/status-changed": {
                "status": 2,
                "status_list": {"uri": "https://issuer.example/status-lists/1", "idx": 7},
                "card_event": "report_loss",
                "sequence": 1,
            }
        },
    }


def refused(text: str, trust: Trust | None, now: object = NOW) -> str:
    with pytest.raises(EcardError) as caught:
        verify_event(text, trust, now)  # type: ignore[arg-type]
    return caught.value.code


def test_an_event_signed_by_a_stranger_under_a_known_kid_is_refused(world: World) -> None:
    stranger = EphemeralSigner(world.event_key.key_id)
    assert (
        refused(signed(world, change(world, EcardStatus.VALID), 1, signer=stranger), world.trust()) == "bad_signature"
    )


def test_an_event_by_an_unlisted_key_is_refused(world: World) -> None:
    assert refused(signed(world, FeedBeat(1), 1, signer=EphemeralSigner()), world.trust()) == "unknown_key"


def test_a_status_key_may_not_sign_events(world: World) -> None:
    assert refused(signed(world, FeedBeat(1), 1, signer=world.status_key), world.trust()) == "unknown_key"


def test_an_event_that_claims_another_issuer_than_its_key_is_refused(world: World) -> None:
    text = signed(world, FeedBeat(1), 1, issuer="https://other.example")
    assert refused(text, world.trust()) == "issuer_mismatch"


def test_an_issuer_cannot_speak_of_another_issuers_list(world: World) -> None:
    body = replace(change(world, EcardStatus.VALID), uri="https://other.example/status-lists/1")
    assert refused(signed(world, body, 1), world.trust()) == "status_list_foreign"


@pytest.mark.parametrize(("ahead", "accepted"), [(50, True), (600, False)])
def test_an_event_may_be_a_minute_ahead_of_our_clock_and_no_more(world: World, ahead: int, accepted: bool) -> None:
    text = beat(world, 0, NOW + timedelta(seconds=ahead))
    if accepted:
        verify_event(text, world.trust(), NOW)
    else:
        assert refused(text, world.trust()) == "event_from_future"


def test_without_a_current_trust_list_no_event_is_believed(world: World) -> None:
    text = beat(world, 0)
    assert refused(text, None) == "trust_missing"
    assert refused(text, world.trust(), NOW + timedelta(days=8)) == "trust_expired"


def test_a_compromised_or_only_announced_event_key_is_refused(world: World) -> None:
    record = world.event_key.record(KeyPurpose.EVENT)
    assert refused(beat(world, 0), world.trust([replace(record, state=KeyState.COMPROMISED)])) == "key_compromised"
    announced = replace(record, state=KeyState.NEXT, not_before=seconds(NOW + timedelta(hours=1)))
    assert refused(beat(world, 0), world.trust([announced])) == "key_not_active"


def test_of_two_keys_with_one_kid_each_may_have_signed(world: World) -> None:
    twin = EphemeralSigner(world.event_key.key_id)
    trust = world.trust([twin.record(KeyPurpose.EVENT), world.event_key.record(KeyPurpose.EVENT)])
    assert verify_event(beat(world, 0), trust, NOW).seq == 0
    assert verify_event(signed(world, FeedBeat(1), 0, signer=twin), trust, NOW).seq == 0


def test_a_second_issuer_on_the_list_speaks_for_itself_only(world: World) -> None:
    other = World(issuer="https://other.example", status_uri="https://other.example/s/{list}")
    first = world.trust_list().issuers[0]
    second = IssuerEntry(other.issuer, other.status_uri, ("110000",), other.records())
    both = Trust.of(TrustList(1, seconds(NOW) - 60, seconds(NOW) + 600, None, (first, second)))
    assert verify_event(beat(other, 0), both, NOW).issuer == other.issuer
    assert refused(signed(other, FeedBeat(1), 0, issuer=world.issuer), both) == "issuer_mismatch"


def forge(world: World, claims: object, typ: str = EVENT_TYPE, alg: str = "ES256") -> str:
    header = {"alg": alg, "kid": world.event_key.key_id, "typ": typ}
    message = f"{jose.b64url_encode(jose.dump_json(header))}.{jose.b64url_encode(jose.dump_json(claims))}"
    signature = world.event_key.sign(world.event_key.key_id, [message.encode()])[0]
    return f"{message}.{jose.b64url_encode(signature)}"


GOOD = {
    "iss": "https://issuer.example",
    "jti": "x",
    "iat": seconds(NOW),
    "feed": {"stream": "0", "seq": 1, "prev": "-"},
    "events": {"https://issuer.example/secevent/ecard/event-type/trust-list-published": {"version": 1}},
}
STATUS = "https://issuer.example/secevent/ecard/event-type/status-changed"
MEMBERS = {"status": 0, "status_list": {"uri": "u", "idx": 1}, "card_event": "lock", "sequence": 1}


@pytest.mark.parametrize(
    "bent",
    [
        {"iss": None},
        {"iss": ""},
        {"jti": 7},
        {"iat": 1.5},
        {"iat": True},
        {"iat": "1"},
        {"iat": -1},
        {"feed": {"stream": "0", "seq": 0, "prev": "-"}},
        {"feed": {"stream": "0", "seq": 1}},
        {"feed": {"stream": "0", "seq": "1", "prev": "-"}},
        {"feed": []},
        {"events": {}},
        {"events": {"https://other.example/secevent/ecard/event-type/feed-beat": {"at": 1}}},
        {"events": {**GOOD["events"], STATUS: MEMBERS}},  # type: ignore[dict-item]
        {"events": {STATUS: MEMBERS | {"status": 3}}},
        {"events": {STATUS: MEMBERS | {"status": True}}},
        {"events": {STATUS: MEMBERS | {"card_event": "forgive"}}},
        {"events": {STATUS: MEMBERS | {"status_list": {"uri": "u", "idx": 1.0}}}},
        {"events": {STATUS: MEMBERS | {"status_list": {"uri": "u", "idx": "abc"}}}},
    ],
)
def test_a_signed_token_of_the_wrong_form_is_refused(world: World, bent: dict[str, object]) -> None:
    verify_event(forge(world, GOOD), world.trust(), NOW)
    assert refused(forge(world, GOOD | bent), world.trust()) == "bad_event"


def test_another_type_or_algorithm_is_refused(world: World) -> None:
    assert refused(forge(world, GOOD, typ="JWT"), world.trust()) == "wrong_type"
    assert refused(forge(world, GOOD, alg="none"), world.trust()) == "algorithm_not_allowed"


def test_a_cut_or_changed_token_is_refused(world: World) -> None:
    text = beat(world, 0)
    for bent in (text[:-1], text[:40], text + "A", text.replace(".", ".A", 1), ""):
        with pytest.raises((InvalidInput, CheckFailed)):
            verify_event(bent, world.trust(), NOW)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.text("abcAB01-_.=", max_size=300)))
def test_parsing_any_text_raises_only_our_errors(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_event(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: JSON for name in (*GOOD, "extra")}))
def test_parsing_any_claims_raises_only_our_errors(world: World, bent: dict[str, object]) -> None:
    try:
        parse_event(forge(world, GOOD | bent))
    except InvalidInput:
        assert set(bent) & set(GOOD)


@pytest.mark.parametrize("cut_off", [None, 0, 1_790_000_000], ids=["everything", "zero", "from a time on"])
def test_a_denial_goes_there_and_back(world: World, cut_off: int | None) -> None:
    body = denial(world.credential_key, KeyPurpose.CREDENTIAL, cut_off)
    event = verify_event(signed(world, body, 1), world.trust(), NOW)
    assert (event.body, event.proven) == (body, True)
    members = jose.parse_json(event.jws.payload)
    assert isinstance(members, dict)
    ((name, said),) = members["events"].items()
    assert name.endswith("/key-compromised")
    assert said.keys() == {"kid", "purpose", "thumbprint"} | ({"cut_off"} if cut_off is not None else set())


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "no hex!!"},
        {"kid": None},
        {"purpose": "anything"},
        {"thumbprint": "AAAA"},
        {"thumbprint": None},
        {"cut_off": None},
        {"cut_off": "1"},
        {"cut_off": 1.5},
        {"cut_off": True},
        {"cut_off": -1},
    ],
    ids=repr,
)
def test_a_denial_that_cannot_be_read_is_no_event(world: World, change: dict[str, object]) -> None:
    thumbprint = jose.b64url_encode(bytes(32))
    members = {"kid": "00000000", "purpose": "status", "thumbprint": thumbprint, "cut_off": 1} | change
    claims = {
        "iss": world.issuer,
        "jti": "x",
        "iat": seconds(NOW),
        "feed": {"stream": "0", "seq": 1, "prev": "-"},
        "events": {f"{world.issuer}/secevent/ecard/event-type/key-compromised": members},
    }
    header = {"alg": "ES256", "kid": world.event_key.key_id, "typ": "secevent+jwt"}
    draft = jose.UnsignedJws(jose.compact_signing_input(header, claims))
    text = draft.complete(world.event_key.sign(world.event_key.key_id, [draft.signing_input])[0])
    assert refused(text, world.trust()) in ("bad_event", "bad_base64url")


def test_an_issuer_denies_its_own_keys_only(world: World) -> None:
    other = World(issuer="https://other.example", status_uri="https://other.example/s/{list}")
    both = replace(world.trust_list(), issuers=(*world.trust_list().issuers, *other.trust_list().issuers))
    trust = Trust.of(both)
    verify_event(signed(world, denial(world.status_key, KeyPurpose.STATUS), 1), trust, NOW)
    assert refused(signed(world, denial(other.credential_key, KeyPurpose.CREDENTIAL), 1), trust) == "issuer_mismatch"
    unheard_of = verify_event(signed(world, denial(EphemeralSigner(), KeyPurpose.CREDENTIAL), 1), trust, NOW)
    assert unheard_of.proven, "a key that no list names yet may be denied before it is"


def test_what_a_key_signed_before_it_was_stolen_can_be_read_and_is_not_proven(world: World) -> None:
    record = world.event_key.record(KeyPurpose.EVENT)
    for stolen in (replace(record, state=KeyState.COMPROMISED), replace(record, compromised_from=seconds(NOW) - 9)):
        trust = world.trust([stolen])
        event = verify_event(signed(world, change(world, EcardStatus.VALID), 1), trust, NOW)
        assert event.proven is False
        assert refused(beat(world, 0), trust) == "key_compromised"
        stranger = signed(world, change(world, EcardStatus.VALID), 1, signer=EphemeralSigner(record.kid))
        assert refused(stranger, trust) == "bad_signature"
