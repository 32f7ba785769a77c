"""SM2: the published example, both backends against a third implementation, and everything that must not verify."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gmalg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import cwt, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.key import DEFAULT_USER_ID
from ecard_keys.sm2 import keys as sm2
from ecard_keys.sm2.keys import Sm2PrivateKey, Sm2PublicKey
from ecard_keys.verify import load_public_key, uncompressed, verify, verify_jws
from tests.card.support import load, only_our_errors

#: GB/T 32918.5 annex A.2: key, signer, message and signature as printed there.
SECRET = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
POINT = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
DIGEST = "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
USER_IDS = [b"", b"a", DEFAULT_USER_ID, b"ALICE123@YAHOO.COM", bytes(256)]


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(params=sorted(sm2.BACKENDS))
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> sm2.Backend:
    """One backend, alone in use. Both are there wherever these tests run: the extra `sm` and OpenSSL 3."""
    chosen = sm2.BACKENDS[request.param]()
    monkeypatch.setattr(sm2, "_found", lambda: chosen)
    return chosen


@pytest.fixture
def no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm2, "_found", lambda: None)


def test_the_published_example_holds(backend: sm2.Backend) -> None:
    key = Sm2PublicKey(POINT, DEFAULT_USER_ID)
    assert backend.sm3(sm2.Z_EXAMPLE + MESSAGE).hex() == DIGEST
    assert backend.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905
    assert key.verify(MESSAGE, raw(R, S))
    assert not key.verify(MESSAGE + b" ", raw(R, S))
    assert sm2._proves_itself(backend)


def test_the_private_key_of_the_example_signs_for_its_point(backend: sm2.Backend) -> None:
    made = Sm2PrivateKey(SECRET, POINT, DEFAULT_USER_ID)
    signatures = {made.sign(MESSAGE) for _ in range(8)}
    assert len(signatures) == 8  # a fresh k each time
    assert all(made.public_key.verify(MESSAGE, signature) for signature in signatures)


@pytest.mark.parametrize("user_id", USER_IDS[1:], ids=lambda value: f"{len(value)} bytes")
def test_a_third_implementation_agrees_both_ways(backend: sm2.Backend, user_id: bytes) -> None:
    ours = Sm2PrivateKey.generate(user_id)
    theirs = gmalg.SM2(ours.secret, user_id, ours.public)  # of the empty id it knows nothing
    for message in (b"", b"message", bytes(10_000)):
        signature = ours.sign(message)
        assert theirs.verify(message, signature[:32], signature[32:])
        r, s = theirs.sign(message)
        assert ours.public_key.verify(message, r.rjust(32, b"\0") + s.rjust(32, b"\0"))  # it drops zeros


def test_each_backend_reads_what_the_other_wrote() -> None:
    one, two = (load() for load in sm2.BACKENDS.values())
    for signer, reader in ((one, two), (two, one)):
        secret, point = signer.generate()
        digest = signer.sm3(point)
        assert digest == reader.sm3(point)
        assert reader.verify(point, digest, signer.sign(secret, point, digest))


def test_a_signer_may_have_an_empty_user_id(backend: sm2.Backend) -> None:
    key = Sm2PrivateKey.generate(b"")
    assert Sm2PublicKey(key.public, b"").verify(MESSAGE, key.sign(MESSAGE))


@pytest.mark.parametrize("other", [b"", b"1234567812345679", b"123456781234567", DEFAULT_USER_ID + b"\0"])
def test_another_user_id_is_another_signer(backend: sm2.Backend, other: bytes) -> None:
    key = Sm2PrivateKey.generate(DEFAULT_USER_ID)
    assert not Sm2PublicKey(key.public, other).verify(MESSAGE, key.sign(MESSAGE))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        raw(R, S)[:-1],
        raw(R, S) + b"\0",
        raw(0, S),
        raw(R, 0),
        raw(sm2.N, S),
        raw(R, sm2.N),
        raw((1 << 256) - 1, S),
        raw(R, sm2.N - R),
        raw(S, R),
        raw(R, sm2.N - S),
        bytes([0x30, 0x44]) + bytes(62),
    ],
    ids=["empty", "zeros", "short", "long", "r=0", "s=0", "r=n", "s=n", "r=2^256-1", "r+s=n", "swapped", "n-s", "DER"],
)
def test_no_other_signature_holds(backend: sm2.Backend, signature: bytes) -> None:
    assert not Sm2PublicKey(POINT, DEFAULT_USER_ID).verify(MESSAGE, signature)


@pytest.mark.parametrize(
    "point",
    [
        b"",
        POINT[:64],
        POINT + b"\0",
        b"\x05" + POINT[1:],
        b"\x00" * 65,
        POINT[:-1] + bytes([POINT[-1] ^ 1]),
        b"\x04" + sm2.P.to_bytes(32, "big") + POINT[33:],
        b"\x04" + POINT[1:33] + b"\xff" * 32,
        b"\x02" + b"\xff" * 32,
        b"\x02" + (5).to_bytes(32, "big"),
        b"\x04" + bytes(64),
    ],
    ids=["empty", "64", "66", "form 5", "zeros", "off", "x=p", "y>p", "x>p", "no root", "origin"],
)
def test_points_off_the_curve_are_refused(backend: sm2.Backend, point: bytes) -> None:
    if point == b"\x02" + (5).to_bytes(32, "big"):  # the first x without a root; if 5 had one this would not refuse
        assert pow((5**3 + sm2.A * 5 + sm2.B) % sm2.P, (sm2.P - 1) // 2, sm2.P) == sm2.P - 1
    with pytest.raises(InvalidInput) as refusal:
        load_public_key(point, "SM2", DEFAULT_USER_ID)
    assert refusal.value.code == "bad_public_key"


def test_a_compressed_point_is_the_same_key(backend: sm2.Backend) -> None:
    for _ in range(8):
        key = Sm2PrivateKey.generate(DEFAULT_USER_ID)
        compressed = bytes([2 + (key.public[64] & 1)]) + key.public[1:33]
        assert load_public_key(compressed, "SM2", DEFAULT_USER_ID) == key.public_key
        assert load_public_key(compressed, "SM2", b"other") != key.public_key
        assert uncompressed(compressed, Algorithm.SM2) == key.public


def test_a_key_without_its_user_id_is_no_key() -> None:
    with pytest.raises(InvalidInput):
        load_public_key(POINT, "SM2")
    with pytest.raises(InvalidInput):
        load_public_key(POINT, "SM2", bytes(257))


@pytest.mark.parametrize("scalar", [0, sm2.N - 1, sm2.N, (1 << 256) - 1])
def test_impossible_private_keys_are_refused(backend: sm2.Backend, scalar: int) -> None:
    with pytest.raises(ValueError, match="SM2"):
        Sm2PrivateKey(scalar.to_bytes(32, "big"), POINT, DEFAULT_USER_ID)
    with pytest.raises(ValueError, match="SM2"):
        Sm2PrivateKey(b"\1" * 31, POINT, DEFAULT_USER_ID)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.one_of(st.binary(min_size=64, max_size=64), st.binary(max_size=100)))
def test_garbage_is_no_signature_and_raises_nothing(message: bytes, signature: bytes) -> None:
    assert not verify(Sm2PublicKey(POINT, DEFAULT_USER_ID), message, signature)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=300))
def test_only_our_errors_leave_a_strange_key(point: bytes, user_id: bytes) -> None:
    for form in (point, b"\x04" + point.ljust(64, b"\1")[:64], b"\x03" + point.ljust(32, b"\1")[:32]):
        only_our_errors(lambda form=form: load_public_key(form, "SM2", user_id))  # type: ignore[misc]


def test_threads_may_sign_and_verify_at_once(backend: sm2.Backend) -> None:
    key = Sm2PrivateKey.generate(DEFAULT_USER_ID)

    def work(number: int) -> bool:
        message = b"message %d" % number
        signature = key.sign(message)
        return key.public_key.verify(message, signature) and not key.public_key.verify(b"other", signature)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_the_system_library_frees_what_it_makes() -> None:
    """Thousands of calls of every kind, refusals included, and the process stays as big as it was."""
    backend = sm2.BACKENDS["openssl"]()
    secret, point = backend.generate()
    digest = backend.sm3(b"message")
    signature = backend.sign(secret, point, digest)

    def round_of(count: int) -> int:
        for _ in range(count):
            backend.generate()
            backend.sign(secret, point, digest)
            backend.verify(point, digest, signature)
            backend.verify(point, digest, b"\1" * 64)
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = round_of(300)
    assert round_of(1500) - before < 1 << 20  # one EVP_PKEY left behind per call would be a multiple of this


def test_no_error_of_ours_is_left_for_the_ssl_of_this_process() -> None:
    backend = sm2.BACKENDS["openssl"]()
    peek = backend._lib.ERR_peek_error  # type: ignore[attr-defined]
    peek.restype, peek.argtypes = ctypes.c_ulong, ()
    assert not backend.verify(POINT, bytes(32), raw(sm2.N, 1))
    assert peek() == 0


@pytest.mark.usefixtures("no_backend")
def test_without_any_backend_nobody_pretends_to_judge() -> None:
    assert not sm2.available()
    for act in (
        lambda: load_public_key(POINT, "SM2", DEFAULT_USER_ID),
        lambda: Sm2PrivateKey.generate(DEFAULT_USER_ID),
    ):
        with pytest.raises(Unavailable) as refusal:
            act()
        assert refusal.value.code == "algorithm_unavailable"


class _Liar:
    """A backend that finds everything right, as a library built against another curve might."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds

    def sm3(self, data: bytes) -> bytes:
        return bytes(32)

    def generate(self) -> tuple[bytes, bytes]:
        return SECRET, POINT

    def sign(self, secret: bytes, point: bytes, digest: bytes) -> bytes:
        return bytes(64)

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        return self._holds()


@pytest.mark.parametrize(
    ("r", "s"), [(0, S), (R, 0), (sm2.N, S), (R, sm2.N), ((1 << 256) - 1, S), (R, sm2.N - R)], ids=hex
)
def test_impossible_numbers_never_reach_a_backend(monkeypatch: pytest.MonkeyPatch, r: int, s: int) -> None:
    """GmSSL would write a trace of each, and what a library checks is its own affair."""
    monkeypatch.setattr(sm2, "_found", lambda: _Liar(lambda: True))
    assert Sm2PublicKey(POINT, DEFAULT_USER_ID).verify(MESSAGE, raw(R, S))
    assert not Sm2PublicKey(POINT, DEFAULT_USER_ID).verify(MESSAGE, raw(r, s))


@pytest.mark.parametrize("holds", [True, False], ids=["believes all", "believes nothing"])
def test_a_backend_that_fails_the_example_is_passed_over(monkeypatch: pytest.MonkeyPatch, holds: bool) -> None:
    def missing() -> sm2.Backend:
        raise OSError("no such library")

    good = sm2.BACKENDS["openssl"]
    monkeypatch.setattr(sm2, "BACKENDS", {"none": missing, "liar": lambda: _Liar(lambda: holds), "good": good})
    sm2._found.cache_clear()
    try:
        assert type(sm2._found()) is type(good())
    finally:
        sm2._found.cache_clear()


def test_the_fallback_comes_in_where_libcrypto_is_missing() -> None:
    """In a process of its own, with no libcrypto to be found."""
    program = (
        "import ctypes, ctypes.util\n"
        "def refuse(*arguments, **options): raise OSError('not here')\n"
        "ctypes.CDLL, ctypes.util.find_library = refuse, lambda name: None\n"
        "from ecard_keys.sm2 import keys as sm2\n"
        "print(type(sm2._found()).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "GmSsl"


def test_our_published_credential_verifies(backend: sm2.Backend) -> None:
    vector = load("credential")["vectors"][1]
    issuer = load_public_key(bytes.fromhex(vector["issuer_key"]), "SM2", vector["user_id"].encode())
    device = load_public_key(bytes.fromhex(vector["input"]["device_key"]), "SM2", DEFAULT_USER_ID)
    compact = cwt.parse(bytes.fromhex(vector["cwt"]["message"]))
    assert verify(issuer, compact.signing_input, compact.signature, low_s=True)
    shown = sd_jwt.parse(vector["presentation"]["token"])
    assert verify_jws(shown.issuer_jws, issuer)
    assert verify_jws(sd_jwt.parse_key_binding(shown).jws, device)
    assert not verify_jws(shown.issuer_jws, device)


def test_how_fast(record_property: Callable[[str, object], None]) -> None:
    figures = {}
    for name, make in sm2.BACKENDS.items():
        backend = make()
        secret, point = backend.generate()
        digest = backend.sm3(b"message")
        signature = backend.sign(secret, point, digest)
        began = time.perf_counter()
        for _ in range(200):
            assert backend.verify(point, digest, signature)
        figures[name] = round(200 / (time.perf_counter() - began))
    record_property("counts", f"SM2 verifications per second: {json.dumps(figures)}")
