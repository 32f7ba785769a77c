"""Whatever a stranger shows costs little: no input is slow, none fills the memory, all of them get a verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import cbor, cose, cwt, jose
from ecard_card.errors import EcardError
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_qr import payload
from ecard_qr.frame import MAX_FRAME
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import MAX_EVENT, verify_event
from ecard_verifier.http_feed import read_messages
from ecard_verifier.presented import MAX_PRESENTED
from ecard_verifier.verdict import Outcome
from tests.attack.kit import cost, device_signer, judge, jws, shown_vc, vc_claims, vc_header
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
STATUSES = WORLD.statuses()
TRUST = WORLD.trust()
COMPACT = WORLD.compact(WORLD.credential(DEVICE))


def unsigned(body: bytes, *rest: str) -> str:
    header = jose.b64url_encode(jose.dump_json(vc_header(WORLD)))
    return "~".join((f"{header}.{jose.b64url_encode(body)}.{'A' * 86}", *rest, ""))


def frame_of(body: bytes) -> str:
    return payload.to_text(body[:MAX_FRAME], payload.Form.OFFLINE)


ROOM = MAX_PRESENTED // 4 * 3 - 400
HOSTILE: dict[str, Callable[[], str]] = {
    "tildes": lambda: "~" * MAX_PRESENTED,
    "dots": lambda: "." * (MAX_PRESENTED - 1) + "~",
    "spaces": lambda: " " * 4096,
    "wide spaces": lambda: "\u3000" * 4000 + "EC0:",
    "surrogates": lambda: "EC0:" + "\ud800" * 4000,
    "combining": lambda: "e\u0301" * 2000,
    "right to left": lambda: "\u202e" * 4000,
    "ten megabytes of tildes": lambda: "~" * 10_000_000,
    "nested": lambda: unsigned(b"[" * ROOM),
    "nested objects": lambda: unsigned(b'{"a":' * (ROOM // 5)),
    "many arrays": lambda: unsigned(b'{"a":[' + b"[]," * (ROOM // 3 - 4) + b"[]]}"),
    "many objects": lambda: unsigned(b'{"a":[' + b"{}," * (ROOM // 3 - 4) + b"{}]}"),
    "many members": lambda: unsigned(b"{" + b",".join(b'"%d":0' % n for n in range(ROOM // 9)) + b"}"),
    "many digests": lambda: unsigned(b'{"_sd":[' + b",".join(b'"%d"' % n for n in range(ROOM // 9)) + b"]}"),
    "many references": lambda: unsigned(b'{"a":[' + b'{"...":"x"},' * (ROOM // 12 - 2) + b"0]}"),
    "a long number": lambda: unsigned(b'{"exp":' + b"9" * 4000 + b"}"),
    "a longer number": lambda: unsigned(b'{"exp":' + b"9" * 20_000 + b"}"),
    "a huge exponent": lambda: unsigned(b'{"exp":1e' + b"9" * 4000 + b"}"),
    "many disclosures": lambda: unsigned(b"{}", *(["WyIiLCJhIiwwXQ"] * 1500)),
    "distinct disclosures": lambda: unsigned(
        b"{}", *(jose.b64url_encode(b'["%d","a",0]' % number) for number in range(1200))
    ),
    "deep cbor": lambda: frame_of(b"\xd2" + b"\x81" * 3000),
    "promised length": lambda: frame_of(b"\xd2\x84\x5b" + b"\x7f" * 8),
    "promised array": lambda: frame_of(b"\xd2\x9b" + b"\x7f" * 8),
    "promised map": lambda: frame_of(b"\xd2\x84\x40\xbb" + b"\x7f" * 8),
    "arrays in a frame": lambda: frame_of(b"\xd2\x99\x0a\x00" + b"\x80" * 2560),
    "a bignum": lambda: frame_of(b"\xd2\x84\xc2\x59\x09\x00" + b"\xff" * 2304),
    "a shared value": lambda: frame_of(b"\xd2\x84\xd8\x1c\x80\xd8\x1d\x00\x40\x40"),
    "a regular expression": lambda: frame_of(b"\xd2\x84\xd8\x23\x6b(a+)+$aaaaaa\x40\x40\x40"),
    "a date": lambda: frame_of(b"\xd2\x84\xc0\x74" + b"9999-99-99T99:99:99Z" + b"\x40\x40\x40"),
    "a fraction": lambda: frame_of(b"\xd2\x84\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01\x40\x40\x40"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_costs_little_and_is_refused(name: str) -> None:
    text = HOSTILE[name]()
    verdict = judge(WORLD, text, trust=TRUST, statuses=STATUSES, credentials={})
    assert verdict.outcome is Outcome.INVALID
    spent = cost(lambda: judge(WORLD, text, trust=TRUST, statuses=STATUSES, credentials={}))
    assert spent.milliseconds < 100
    assert spent.megabytes < 64


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""', b"1.5"])
def test_a_hostile_event_costs_little(item: bytes) -> None:
    count = (MAX_EVENT // 4 * 3 - 200) // (len(item) + 1)
    header = jose.b64url_encode(b'{"alg":"ES256","kid":"00000000","typ":"secevent+jwt"}')
    body = b'{"events":[' + b",".join([item] * count) + b"]}"
    text = f"{header}.{jose.b64url_encode(body)}.{'A' * 86}"
    spent = cost(lambda: verify_event(text, TRUST, NOW))
    assert spent.milliseconds < 100
    assert spent.megabytes < 64


def test_a_feed_of_one_byte_pieces_without_an_end_of_line_is_given_up() -> None:
    def endless(limit: int = 200_000) -> list[str]:
        return list(read_messages(b"x" for _ in range(limit)))

    with pytest.raises(EcardError, match="feed_unavailable"):
        endless()
    assert cost(endless).megabytes < 64


_NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
_VALUES = st.recursive(
    st.one_of(st.none(), _NUMBERS, st.text(max_size=12), st.just(DEVICE.public_jwk)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(vc_claims(WORLD, DEVICE))), _VALUES, st.sampled_from(["idx", "uri", "jwk", ""]))
def test_whatever_stands_in_a_signed_claim_gives_a_verdict(name: str, value: object, inner: str) -> None:
    """The worst case: the issuer's own key signs nonsense."""
    claims = vc_claims(WORLD, DEVICE)
    if inner == "jwk":
        claims["cnf"] = {"jwk": DEVICE.public_jwk | {"x": value}}
    elif inner:
        claims["status"] = {"status_list": {"idx": 7, "uri": "x"} | {inner: value}}
    else:
        claims[name] = value
    token = jws(WORLD.credential_key, vc_header(WORLD), claims)
    verdict = judge(WORLD, shown_vc(DEVICE, token), trust=TRUST, statuses=STATUSES, audience="a", nonce="n")
    assert verdict.outcome in set(Outcome)


_CBOR = st.recursive(
    st.one_of(st.integers(-(2**64), 2**64 - 1), st.binary(max_size=40), st.text(max_size=8), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.integers(-100_000, 100_000), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([4, 6, 7, 8, -70001, -70002, 1]), _CBOR, max_size=3))
def test_whatever_the_credential_key_signs_as_a_compact_credential_gives_a_verdict(bent: dict[int, object]) -> None:
    good = cbor.decode(cwt.draft(WORLD.credential(DEVICE), bytes(4)).payload)
    assert isinstance(good, dict)
    protected = cose.encode_protected({1: -9, 4: bytes.fromhex(WORLD.credential_key.key_id)})
    body = cbor.encode(good | bent)
    message = cose.signing_input(protected, body, cwt.EXTERNAL_AAD)
    signature = WORLD.credential_key.sign(WORLD.credential_key.key_id, [message])[0]
    credential = cose.encode_sign1(protected, body, signature)
    text = DEVICE.offline_code(credential, NOW) if len(credential) < 1024 else ""
    verdict = judge(WORLD, text, trust=TRUST, statuses=STATUSES)
    assert verdict.outcome in set(Outcome)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from([3, 6, 39, 7, -1]), _CBOR, max_size=3))
def test_whatever_a_rooted_phone_signs_as_a_code_gives_a_verdict(bent: dict[int, object]) -> None:
    protected = bytes.fromhex("a201280d") + COMPACT
    claims = cbor.encode({6: seconds(NOW), 39: bytes(8)} | bent)
    message = cose.signing_input(protected, claims, b"ecard-qr-1")
    signer: EphemeralSigner = device_signer(DEVICE)
    body = cose.encode_sign1(protected, claims, signer.sign("device", [message])[0])
    verdict = judge(WORLD, frame_of(body), trust=TRUST, statuses=STATUSES)
    assert verdict.outcome in (Outcome.VALID, Outcome.INVALID)
    if verdict.outcome is Outcome.VALID:
        assert bent.keys() <= {6, 39}
