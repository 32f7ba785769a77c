"""What befalls a token in service, on a real SoftHSM2; what SoftHSM cannot do, on a strict stand-in for the border."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pkcs11.constants import TokenFlag

from ecard_card.errors import EcardError, NotFound, Unavailable
from ecard_keys.homes import hsm_session
from ecard_keys.homes.hsm import Pkcs11KeyHome
from ecard_keys.homes.hsm_calls import Calls
from ecard_keys.homes.hsm_module import Module, TokenSession
from ecard_keys.homes.hsm_session import Pkcs11Settings, identity_of
from ecard_keys.key import P256_ORDER, KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.contracts.signer_contract import NOW
from tests.keys.stand_in_token import StandInSession, StandInToken
from tests.softhsm import MODULE, PIN, SoftToken, require_softhsm, soft_token

Record = Callable[[str, object], None]

#: What a call to a sick token may take, and a recovery (seconds).
ANSWER = 1.8
RECOVERY = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause_over(self) -> None:
        self.now += 1.01


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_pin_refused_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hsm_session, "_refused", set())


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    require_softhsm()
    with soft_token(tmp_path) as token:
        yield token


@pytest.fixture
def home(token: SoftToken, clock: Clock) -> Pkcs11KeyHome:
    return Pkcs11KeyHome(token.settings(), monotonic=clock)


@pytest.fixture
def key_id(home: Pkcs11KeyHome) -> str:
    made = home.create(KeyPurpose.CREDENTIAL, NOW)
    home.sign(made, [b"warm"])
    return made


def signs(home: Pkcs11KeyHome, key_id: str) -> bool:
    messages = [b"one", b"two", b"three"]
    public = load_public_key(home.public_key(key_id))
    return all(verify(public, m, made) for m, made in zip(messages, home.sign(key_id, messages), strict=True))


def timed(act: Callable[[], object]) -> tuple[str, float]:
    """The code of the refusal, or an empty text, and the seconds it took."""
    began = time.monotonic()
    try:
        act()
        code = ""
    except EcardError as error:
        code = error.code
    return code, time.monotonic() - began


# Real SoftHSM2.


def raw_session(home: Pkcs11KeyHome) -> TokenSession:
    """The home's own open session, to look at the token as its owner does."""
    session = home._desk._session
    assert session is not None
    return session


def logged_out(token: SoftToken, home: Pkcs11KeyHome) -> None:
    assert ctypes.CDLL(str(MODULE)).C_Logout(ctypes.c_ulong(raw_session(home)._session.handle)) == 0


LOSSES: dict[str, Callable[[SoftToken, Pkcs11KeyHome], None]] = {
    "sessions closed": lambda token, home: token.close_all_sessions(),
    "logged out": logged_out,  # private objects are then invisible, without an error
    "module finalised": lambda token, home: token.finalize(),
    "closed by us": lambda token, home: home.close(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("verb", ["sign", "create", "held", "look up", "destroy"])
def test_a_lost_session_is_renewed_within_the_call(
    token: SoftToken, home: Pkcs11KeyHome, key_id: str, loss: str, verb: str, record_property: Record
) -> None:
    verbs: dict[str, Callable[[], object]] = {
        "sign": lambda: signs(home, key_id),
        "create": lambda: home.create(KeyPurpose.LOG, NOW),
        "held": home.held,
        "look up": lambda: home._look_up(key_id),
        "destroy": lambda: home.destroy(key_id),
    }
    LOSSES[loss](token, home)
    code, seconds = timed(verbs[verb])
    assert code == ""
    assert seconds < ANSWER
    assert (verb == "destroy") != (key_id in {key.key_id for key in home.held()})
    expected = {"destroy": 0, "create": 2}.get(verb, 1)
    assert len(raw_session(home).private_identities()) == len(raw_session(home).public_objects()) == expected
    record_property("counts", f"renewed in {seconds * 1000:.1f} ms")


def test_a_session_lost_in_the_middle_of_a_batch(
    token: SoftToken, home: Pkcs11KeyHome, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = TokenSession.sign, []

    def sign(self: TokenSession, key: object, digest: bytes) -> bytes:
        made.append(digest)
        if len(made) == 7:
            token.close_all_sessions()
        return real(self, key, digest)

    monkeypatch.setattr(TokenSession, "sign", sign)
    messages = [b"%d" % n for n in range(20)]
    public = load_public_key(home.public_key(key_id))
    assert all(verify(public, m, s) for m, s in zip(messages, home.sign(key_id, messages), strict=True))
    assert len(made) == 7 + 20, "the batch begins anew, once"


def test_a_session_that_is_lost_again_at_once_is_an_error(
    token: SoftToken, home: Pkcs11KeyHome, key_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TokenSession.sign

    def sign(self: TokenSession, key: object, digest: bytes) -> bytes:
        token.close_all_sessions()
        return real(self, key, digest)

    with monkeypatch.context() as patch:
        patch.setattr(TokenSession, "sign", sign)
        assert timed(lambda: signs(home, key_id))[0] == "key_home_unavailable"
    clock.pause_over()
    assert signs(home, key_id)


def test_a_token_pulled_and_put_back(
    token: SoftToken, home: Pkcs11KeyHome, key_id: str, clock: Clock, record_property: Record
) -> None:
    token.pull()
    first = timed(lambda: home.sign(key_id, [b"message"]))
    at_once = timed(lambda: home.sign(key_id, [b"message"]))
    clock.pause_over()
    trial = timed(home.held)
    assert [first[0], at_once[0], trial[0]] == ["key_token_missing", "key_home_unavailable", "key_token_missing"]
    assert max(first[1], at_once[1], trial[1]) < ANSWER
    assert home.public_key(key_id), "public halves are remembered"
    token.plug()
    clock.pause_over()
    code, seconds = timed(lambda: signs(home, key_id))
    assert (code, seconds < RECOVERY) == ("", True)
    record_property("counts", f"refused in {first[1] * 1000:.0f} ms, back in {seconds * 1000:.0f} ms after the pause")


def test_a_token_away_at_the_start(token: SoftToken, home: Pkcs11KeyHome, clock: Clock) -> None:
    token.pull()
    assert timed(home.held)[0] == "key_token_missing"
    token.plug()
    clock.pause_over()
    assert home.held() == ()


def test_two_homes_on_one_token_do_not_disturb_each_other(token: SoftToken, home: Pkcs11KeyHome, key_id: str) -> None:
    other = Pkcs11KeyHome(token.settings(prefix="other"))
    theirs = other.create(KeyPurpose.LOG, NOW)
    other.close()
    assert signs(home, key_id)
    absent = Pkcs11KeyHome(Pkcs11Settings(MODULE, "no such token", PIN))
    assert timed(absent.held)[0] == "key_token_missing"  # it restarted the module to look again
    assert signs(home, key_id)
    assert signs(other, theirs)


def test_a_refused_pin_is_not_tried_again(
    token: SoftToken, home: Pkcs11KeyHome, key_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = Calls.login

    def login(self: Calls, session: int, pin: str) -> int:
        tried.append(pin)
        return real(self, session, pin)

    monkeypatch.setattr(Calls, "login", login)
    token.change_pin(PIN, "161803")
    assert signs(home, key_id), "a login lasts as long as its session"
    token.finalize()  # SoftHSM remembers the old PIN until it is initialised anew
    for _ in range(5):
        assert timed(lambda: home.sign(key_id, [b"message"]))[0] == "key_pin_refused"
        clock.pause_over()
    assert timed(Pkcs11KeyHome(token.settings()).held)[0] == "key_pin_refused"
    assert tried == [PIN]
    renewed = Pkcs11KeyHome(token.settings(pin="161803"))
    assert signs(renewed, key_id)
    assert tried == [PIN, "161803"]


@pytest.mark.parametrize("pin", ["", "1", "9" * 300, "密码密码"], ids=["empty", "short", "long", "chinese"])
def test_a_wrong_pin_of_any_form(token: SoftToken, pin: str) -> None:
    assert timed(Pkcs11KeyHome(token.settings(pin=pin)).held)[0] == "key_pin_refused"
    assert Pkcs11KeyHome(token.settings()).held() == ()


def test_a_key_destroyed_behind_our_back(token: SoftToken, home: Pkcs11KeyHome, key_id: str) -> None:
    kept = home.create(KeyPurpose.LOG, NOW)
    other = Pkcs11KeyHome(token.settings())
    other.destroy(key_id)
    with pytest.raises(NotFound) as caught:
        home.sign(key_id, [b"message"])
    assert caught.value.code == "key_unknown"
    with pytest.raises(NotFound):
        home.public_key(key_id)
    assert signs(home, kept)


def test_a_key_whose_private_half_alone_is_gone(token: SoftToken, home: Pkcs11KeyHome, key_id: str) -> None:
    private: Any = raw_session(home).private_key(identity_of(home.public_key(key_id)))
    private.destroy()
    assert timed(lambda: home.sign(key_id, [b"message"]))[0] == "key_unknown"
    assert home.held() == ()
    assert timed(lambda: home.destroy(key_id))[0] == "key_unknown"


_FORK = """
import os, sys, threading, multiprocessing
from datetime import UTC, datetime
from pathlib import Path
from ecard_keys.homes.hsm import Pkcs11KeyHome
from ecard_keys.homes.hsm_session import Pkcs11Settings
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify

home = Pkcs11KeyHome(Pkcs11Settings(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
opened_before = sys.argv[4] == "opened"
writer = home if opened_before else Pkcs11KeyHome(Pkcs11Settings(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
if opened_before:
    key_id = home.create(KeyPurpose.CREDENTIAL, datetime(2026, 11, 24, tzinfo=UTC))
    open("key", "w").write(key_id)
key_id = open("key").read()
stop = threading.Event()
failures = []

def sign(count, seen):
    public = load_public_key(home.public_key(key_id))
    for _ in range(count):
        made = home.sign(key_id, [b"same message"])[0]
        if not verify(public, b"same message", made):
            failures.append(made)
        seen.append(made.hex())

def go_on():
    while not stop.is_set():
        sign(1, parents)

parents = []
threads = [threading.Thread(target=go_on) for _ in range(4 if opened_before else 0)]
for thread in threads:
    thread.start()

def child(pipe):
    home.held()
    pipe.send("opened")
    pipe.recv()
    seen = []
    sign(50, seen)
    home.close()
    pipe.send((seen, len(failures)))

context = multiprocessing.get_context("fork")
children = []
for _ in range(4):
    receive, send = context.Pipe()
    process = context.Process(target=child, args=(send,))
    process.start()
    # One after the other: SoftHSM 2.6.1 does not find a token that another process is just logging in to.
    assert receive.poll(20) and receive.recv() == "opened", "a child does not open the token"
    children.append((process, receive))
made = []
for _, receive in children:
    receive.send("go")
for process, receive in children:
    assert receive.poll(20), "a child does not answer"
    seen, failed = receive.recv()
    made += seen
    assert failed == 0
    process.join(20)
    assert process.exitcode == 0, process.exitcode
sign(50, parents)
stop.set()
for thread in threads:
    thread.join()
assert not failures
assert len(set(made + parents)) == len(made + parents), "a nonce came twice: the key is lost"
print(len(made), len(parents))
"""


@pytest.mark.parametrize("when", ["opened", "lazy"])
def test_children_sign_while_the_parent_goes_on(
    token: SoftToken, tmp_path: Path, home: Pkcs11KeyHome, when: str, record_property: Record
) -> None:
    (tmp_path / "key").write_text(home.create(KeyPurpose.CREDENTIAL, NOW) if when == "lazy" else "")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK, str(MODULE), token.label, PIN, when],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    children, parent = done.stdout.split()
    record_property("counts", f"four children signed {children} times, the parent meanwhile {parent} times")


# The stand-in.


@pytest.fixture
def device() -> Iterator[StandInToken]:
    device = StandInToken("1234")
    yield device
    device.wake()


def home_on(device: StandInToken, tmp_path: Path, clock: Clock, pin: str = "1234") -> Pkcs11KeyHome:
    return Pkcs11KeyHome(Pkcs11Settings(tmp_path / "module.so", "token", pin), monotonic=clock, module=device.module)


def test_a_hung_device_holds_nobody(
    device: StandInToken, tmp_path: Path, clock: Clock, record_property: Record
) -> None:
    home = home_on(device, tmp_path, clock)
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    device.hang()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: timed(lambda: home.sign(key_id, [b"m"] * 100)), range(8)))
    assert {code for code, _ in waits} == {"key_home_timeout"}
    assert max(seconds for _, seconds in waits) < ANSWER
    code, seconds = timed(lambda: home.sign(key_id, [b"m"]))
    assert code == "key_home_unavailable"
    assert seconds < 0.1, "refused at once while the circuit is open"
    device.wake()
    clock.pause_over()
    code, seconds = timed(lambda: signs(home, key_id))
    assert (code, seconds < RECOVERY) == ("", True)
    assert device.signed <= 1 + 3, "work that nobody waits for is not done"
    record_property("counts", f"8 callers let go within {max(wait for _, wait in waits):.2f} s")


def test_a_large_batch_lets_others_through(device: StandInToken, tmp_path: Path, clock: Clock) -> None:
    home = home_on(device, tmp_path, clock)
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    other = home.create(KeyPurpose.LOG, NOW)
    begun = threading.Event()

    def begins(made: bytes) -> bytes:
        begun.set()
        return made

    device.lie = begins
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(home.sign, key_id, [b"m"] * 2000)
        assert begun.wait(20)
        home.sign(other, [b"m"])
        assert device.signed < 2001, "the small one had to wait for the large one"
        assert len(large.result()) == 2000


def test_a_token_locks_after_wrong_pins_and_ours_is_never_the_one(
    device: StandInToken, tmp_path: Path, clock: Clock
) -> None:
    home = home_on(device, tmp_path, clock, pin="0000")
    for _ in range(10):
        assert timed(home.held)[0] == "key_pin_refused"
        clock.pause_over()
    assert (device.logins, device.wrong) == (1, 1)
    assert home_on(device, tmp_path, clock).held() == ()


def test_a_locked_pin_is_named_and_may_be_unlocked(device: StandInToken, tmp_path: Path, clock: Clock) -> None:
    device.wrong = 3
    home = home_on(device, tmp_path, clock)
    assert timed(home.held)[0] == "key_pin_locked"
    device.wrong = 0
    clock.pause_over()
    assert home.held() == ()


@pytest.mark.parametrize(
    "lie",
    [
        lambda made: made[:40] + bytes([made[40] ^ 1]) + made[41:],
        lambda made: made[:-1],
        lambda made: b"",
        lambda made: bytes(64),
        lambda made: made[:32] + P256_ORDER.to_bytes(32, "big"),
        lambda made: made[:32] + b"\xff" * 32,
    ],
    ids=["bit flipped", "cut", "empty", "zeros", "s is n", "s too large"],
)
def test_a_signature_that_does_not_hold_never_leaves(
    device: StandInToken, tmp_path: Path, clock: Clock, lie: Callable[[bytes], bytes]
) -> None:
    home = home_on(device, tmp_path, clock)
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    device.lie = lambda made: lie(made) if device.signed == 3 else made
    with pytest.raises(Unavailable) as caught:
        home.sign(key_id, [b"%d" % n for n in range(5)])
    assert caught.value.code == "key_home_unavailable"
    clock.pause_over()
    assert signs(home, key_id)


def test_the_higher_s_is_lowered(device: StandInToken, tmp_path: Path, clock: Clock) -> None:
    def high(made: bytes) -> bytes:
        s = int.from_bytes(made[32:], "big")
        return made[:32] + max(s, P256_ORDER - s).to_bytes(32, "big")

    home = home_on(device, tmp_path, clock)
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    device.lie = high
    public = load_public_key(home.public_key(key_id))
    assert all(verify(public, b"m", made, low_s=True) for made in home.sign(key_id, [b"m"] * 8))


@pytest.mark.parametrize(
    ("flag", "code"),
    [(TokenFlag.USER_PIN_FINAL_TRY, "key_pin_refused"), (TokenFlag.USER_PIN_LOCKED, "key_pin_locked")],
    ids=["last attempt", "locked"],
)
def test_the_last_attempt_is_kept_for_a_person(tmp_path: Path, clock: Clock, flag: TokenFlag, code: str) -> None:
    """The module itself, and a token without `open`: asking it for a session would fail the test."""

    class Flagged(Module):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._library = SimpleNamespace(get_token=lambda **_: SimpleNamespace(flags=flag))

        def _start(self) -> Calls:
            return None  # type: ignore[return-value]

    settings = Pkcs11Settings(tmp_path / "module.so", "token", "1234")
    assert timed(Pkcs11KeyHome(settings, monotonic=clock, module=Flagged).held)[0] == code


def test_old_handles_are_not_used_in_a_new_session(device: StandInToken, tmp_path: Path, clock: Clock) -> None:
    home = home_on(device, tmp_path, clock)
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    assert signs(home, key_id)
    session = device.sessions[-1]
    assert isinstance(session, StandInSession)
    session.open = False
    assert signs(home, key_id)
    assert len(device.sessions) == 2
