"""Status lists and bundles under attack: older lists, other forms, other issuers, lists that cost too much to read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ecard_card import cbor, cose, jose, status_token
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import MAX_BUNDLE, make_bundle, open_bundle
from ecard_verifier.statuses import StatusSnapshot, accept_status_token
from ecard_verifier.verdict import Outcome
from tests.attack.kit import cost, entry, judge, jws, other_world, shown_vc, trust_in, vc_claims, vc_header
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
COMPACT = WORLD.compact(WORLD.credential(DEVICE))
LIST_1 = WORLD.status_uri.replace("{list}", "1")
ENDED = {7: EcardStatus.INVALID}


def cwt_form(values: dict[int, int], *, issued_at: datetime = NOW, kid: bytes | None = None, bits: int = 2) -> bytes:
    statuses = StatusList(1024, bits)
    for index, value in values.items():
        statuses.set(index, value)
    key = WORLD.status_key
    start = seconds(issued_at)
    draft = status_token.cwt_draft(LIST_1, statuses, kid or bytes.fromhex(key.key_id), start, start + 86400, 60)
    done = draft.complete(key.sign(key.key_id, [draft.signing_input])[0])
    assert isinstance(done, bytes)
    return done


def accepted(*tokens: str | bytes) -> StatusSnapshot:
    return StatusSnapshot(accept_status_token(token, WORLD.trust(), NOW) for token in tokens)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("old_form", ["jwt", "cwt"])
def test_an_older_list_in_either_form_never_takes_back_what_a_newer_one_said(old_form: str, newest_first: bool) -> None:
    before = NOW - timedelta(minutes=5)
    old = WORLD.status_token(issued_at=before) if old_form == "jwt" else cwt_form({}, issued_at=before)
    new = cwt_form(dict(ENDED)) if old_form == "jwt" else WORLD.status_token(ENDED)
    snapshot = accepted(new, old) if newest_first else accepted(old, new)
    assert snapshot.read(LIST_1, 7).value == EcardStatus.INVALID


@pytest.mark.parametrize("ended_first", [True, False])
def test_of_two_lists_signed_in_one_second_the_one_without_the_cancellation_does_not_win(ended_first: bool) -> None:
    """The issuer signs anew at once when a status changes, so two such lists exist; a host chooses their order."""
    tokens = [WORLD.status_token(ENDED), WORLD.status_token()]
    snapshot = accepted(*(tokens if ended_first else reversed(tokens)))
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, NOW), statuses=snapshot)
    assert verdict.outcome is not Outcome.VALID


@pytest.mark.parametrize("uri", [
    "https://issuer.example/status-lists/01", "https://issuer.example/status-lists/1/",
    "https://issuer.example/status-lists/1?x", "https://issuer.example/status-lists/1#1",
    "https://issuer.example/status-lists/%31", "https://issuer.example/status-lists/１",
    "https://issuer.example/status-lists/", "https://issuer.example/status-lists/-1",
    "https://issuer.example/status-lists/+1", "https://issuer.example/status-lists/1\n",
    "HTTPS://issuer.example/status-lists/1", "https://issuer.example:443/status-lists/1",
    "https://issuer.example/x/../status-lists/1", "https://issuer.example@thief.example/status-lists/1",
    "https://issuer.example/status-lists/{list}", "https://issuer.example/status-lists/11111111111", "",
])  # fmt: skip
def test_another_spelling_of_a_lists_address_reads_no_status(uri: str) -> None:
    reference = {"status": {"status_list": {"idx": 7, "uri": uri}}}
    token = jws(WORLD.credential_key, vc_header(WORLD), vc_claims(WORLD, DEVICE) | reference)
    verdict = judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n")
    assert verdict.outcome in (Outcome.INVALID, Outcome.UNDECIDED)
    with pytest.raises(EcardError):
        accept_status_token(WORLD.status_token(uri=uri + "x"), WORLD.trust(), NOW)


@pytest.mark.parametrize("index", [-1, 1024, 2**32, 2**53, 7.0, True, "7", None, [7]])
def test_an_index_of_another_type_or_past_the_end_reads_no_status(index: object) -> None:
    reference = {"status": {"status_list": {"idx": index, "uri": LIST_1}}}
    token = jws(WORLD.credential_key, vc_header(WORLD), vc_claims(WORLD, DEVICE) | reference)
    assert judge(WORLD, shown_vc(DEVICE, token), audience="a", nonce="n").outcome is not Outcome.VALID


@pytest.mark.parametrize("kid", [b"", b"\x00", b"\x00" * 33, bytes.fromhex(WORLD.status_key.key_id) + b"\x00"])
def test_a_cwt_list_with_another_key_id_is_refused(kid: bytes) -> None:
    with pytest.raises(EcardError):
        accept_status_token(cwt_form({}, kid=kid or b"\x01"), WORLD.trust(), NOW)


def test_a_key_id_in_upper_case_is_another_key_id() -> None:
    key = EphemeralSigner("abcdef12")
    trust = WORLD.trust((*WORLD.records(), key.record(KeyPurpose.STATUS)))
    assert accept_status_token(WORLD.status_token(signer=key), trust, NOW)
    loud = EphemeralSigner("ABCDEF12")
    loud._private = key._private
    with pytest.raises(EcardError, match="unknown_key"):
        accept_status_token(WORLD.status_token(signer=loud), trust, NOW)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_list_of_another_width_says_ended_and_never_valid_for_what_it_marks(bits: int) -> None:
    for value in (1,) if bits == 1 else (1, 2, 3, (1 << bits) - 1):
        snapshot = accepted(cwt_form({7: value}, bits=bits))
        assert judge(WORLD, DEVICE.offline_code(COMPACT, NOW), statuses=snapshot).outcome is Outcome.INVALID


@pytest.mark.parametrize(
    ("state", "times", "reason"),
    [
        (KeyState.RETIRED, {}, "key_retired"),
        (KeyState.VERIFY_ONLY, {"retired_from": seconds(NOW) - 61}, "key_retired"),
        (KeyState.COMPROMISED, {}, "key_compromised"),
        (KeyState.ACTIVE, {"compromised_from": seconds(NOW) - 1}, "key_compromised"),
        (KeyState.ACTIVE, {"not_before": seconds(NOW) + 61}, "key_not_active"),
    ],
)
def test_a_status_key_that_may_not_sign_now_gives_no_list_in_either_form(
    state: KeyState, times: dict[str, int], reason: str
) -> None:
    credential, status, event = WORLD.records()
    trust = WORLD.trust((credential, replace(status, state=state, **times), event))  # type: ignore[arg-type]
    for token in (WORLD.status_token(), cwt_form({})):
        with pytest.raises(EcardError, match=reason):
            accept_status_token(token, trust, NOW)


@pytest.mark.parametrize(("days", "reason"), [(1, "status_list_future"), (-3, "status_expired")])
def test_a_list_of_another_day_is_refused(days: int, reason: str) -> None:
    with pytest.raises(EcardError, match=reason):
        accept_status_token(WORLD.status_token(issued_at=NOW + timedelta(days=days)), WORLD.trust(), NOW)


def test_a_list_that_lives_for_ever_is_still_stale_after_a_day() -> None:
    key, start = WORLD.status_key, seconds(NOW)
    draft = status_token.jwt_draft(LIST_1, StatusList(1024), key.key_id, start, 100_000_000_000, 1)
    token = draft.complete(key.sign(key.key_id, [draft.signing_input])[0])
    later = NOW + timedelta(days=2)
    snapshot = StatusSnapshot([accept_status_token(token, WORLD.trust(), later)])
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, later), now=later, statuses=snapshot)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_stale")


def _jwt_of(body: bytes) -> str:
    header = jose.b64url_encode(b'{"alg":"ES256","kid":"00000000","typ":"statuslist+jwt"}')
    return f"{header}.{jose.b64url_encode(body)}.{'A' * 86}"


def _cwt_of(body: bytes) -> bytes:
    headers = {1: cose.ALG_ESP256, 4: b"abcd", 16: status_token.TYP_CWT}
    return cose.encode_sign1(cose.encode_protected(headers), body, bytes(64))


def _filled(item: bytes, room: int, between: bytes = b"") -> bytes:
    return between.join([item] * (room // len(item + between)))


_ROOM = status_token.LIMIT // 4 * 3 - 200
_COUNT = status_token.LIMIT - 200
_BOMB = zlib.compress(bytes(1 << 23), 9)
HOSTILE_LISTS: dict[str, Callable[[], str | bytes]] = {
    "json arrays": lambda: _jwt_of(b'{"x":[' + _filled(b"[]", _ROOM, b",") + b"]}"),
    "json objects": lambda: _jwt_of(b'{"x":[' + _filled(b"{}", _ROOM, b",") + b"]}"),
    "json numbers": lambda: _jwt_of(b'{"x":[' + _filled(b"1.5", _ROOM, b",") + b"]}"),
    "json digits": lambda: _jwt_of(b'{"iat":' + b"9" * _ROOM + b"}"),
    "json escapes": lambda: _jwt_of(b'{"sub":"' + _filled(b"\\u0041", _ROOM) + b'"}'),
    "json nesting": lambda: _jwt_of(b"[" * _ROOM),
    "cbor arrays": lambda: _cwt_of(b"\xa1\x02\x9a" + _COUNT.to_bytes(4, "big") + b"\x80" * _COUNT),
    "cbor maps": lambda: _cwt_of(b"\xa1\x02\x9a" + _COUNT.to_bytes(4, "big") + b"\xa0" * _COUNT),
    "cbor promise": lambda: _cwt_of(b"\xa1\x02\x9b" + b"\x7f" * 8),
    "cbor long text": lambda: _cwt_of(b"\xa1\x02\x7b" + b"\x7f" * 8),
    "zlib bomb": lambda: _jwt_of(
        jose.dump_json(
            {"sub": LIST_1, "iat": 1, "exp": 2, "status_list": {"bits": 1, "lst": jose.b64url_encode(_BOMB)}}
        )
    ),
    "zlib bomb in cbor": lambda: _cwt_of(
        cbor.encode({2: LIST_1, 4: 2, 6: 1, 65534: 1, 65533: {"bits": 1, "lst": _BOMB}})
    ),
}


@pytest.mark.parametrize("name", HOSTILE_LISTS)
def test_an_unsigned_list_is_refused_cheaply(name: str) -> None:
    token = HOSTILE_LISTS[name]()
    trust = WORLD.trust()
    spent = cost(lambda: accept_status_token(token, trust, NOW))
    assert spent.megabytes < 64
    assert spent.milliseconds < 100


def bundle(world: World, *tokens: str) -> bytes:
    return make_bundle(world.root, world.trust_document(), tokens or [world.status_token()], made_at=NOW)


def mixed(**members: object) -> bytes:
    content = jose.parse_json(bundle(WORLD))
    assert isinstance(content, dict)
    return jose.dump_json(content | members)


def test_a_bundle_with_another_issuers_list_or_key_is_refused() -> None:
    other = other_world()
    for token in (other.status_token(), other.status_token(uri=LIST_1), WORLD.status_token(signer=other.status_key)):
        with pytest.raises(EcardError):
            open_bundle(mixed(status_lists=[token]), NOW, WORLD.root)


def test_a_bundle_whose_carrier_dates_it_does_not_open_what_is_dated_ahead() -> None:
    late = NOW + timedelta(hours=2)
    for made_at in (seconds(late), 253402300799):
        data = mixed(status_lists=[WORLD.status_token(issued_at=late)], made_at=made_at)
        with pytest.raises(EcardError, match="status_list_future"):
            open_bundle(data, NOW, WORLD.root)


def test_a_bundle_with_an_older_list_of_the_same_address_keeps_the_newer_one() -> None:
    old, new = WORLD.status_token(issued_at=NOW - timedelta(minutes=9)), WORLD.status_token(ENDED)
    for tokens in ([old, new], [new, old]):
        opened = open_bundle(mixed(status_lists=tokens), NOW, WORLD.root)
        assert opened.statuses.read(LIST_1, 7).value == EcardStatus.INVALID


def test_a_root_with_one_foreign_key_among_the_right_ones_is_not_the_pinned_root() -> None:
    thief = World()
    content = jose.parse_json(bundle(thief))
    assert isinstance(content, dict)
    own = jose.parse_json(bundle(WORLD))
    assert isinstance(own, dict)
    root = own["root"]
    root["holders"] = [*root["holders"], *content["root"]["holders"]]
    forged = jose.dump_json(content | {"root": root})
    with pytest.raises(EcardError, match="trust_undersigned"):
        open_bundle(forged, NOW, WORLD.root)
    assert open_bundle(forged, NOW).root_pinned is False


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""'])
def test_a_bundle_that_is_only_brackets_does_not_fill_the_memory(item: bytes) -> None:
    """Its carrier is not trusted. Two megabytes here stand for the 64 that are allowed."""
    size = 1 << 21
    data = b'{"format":[' + _filled(item, size, b",") + b"]}"
    spent = cost(lambda: open_bundle(data, NOW, WORLD.root))
    assert spent.megabytes * (MAX_BUNDLE / size) < 4 * MAX_BUNDLE / 1e6


def test_a_card_of_an_issuer_without_a_list_in_the_bundle_is_undecided() -> None:
    other = other_world()
    trust = trust_in(entry(WORLD), entry(other))
    code = DEVICE.offline_code(other.compact(other.credential(DEVICE)), NOW)
    verdict = judge(WORLD, code, trust=trust, statuses=StatusSnapshot([status_token.parse_jwt(WORLD.status_token())]))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_unknown")
