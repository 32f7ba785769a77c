"""The signer as a process of its own: who is served, what it never does, and that nobody can keep others out."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecard_card.errors import EcardError, Unavailable
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.key import KeyPurpose
from ecard_keys.process import protocol as signer_protocol
from ecard_keys.process import server as signer_server
from ecard_keys.process.client import DEADLINE, RemoteDesk, RemoteKeyHome, SignerLink
from ecard_keys.process.config import Caller, SignerConfig
from ecard_keys.process.protocol import Held, Sign
from ecard_keys.process.server import MAX_CONNECTIONS, SignerDesk, SignerServer
from ecard_keys.verify import load_public_key, verify
from tests.keys.desk_support import LISTS, NOW, PASSPHRASE, RULES, Bench, said

CREDENTIAL = SigningProfile.CREDENTIAL
ME = os.getuid()


@dataclass
class Running:
    """A signer in threads of this process."""

    bench: Bench
    profiles: frozenset[SigningProfile] = frozenset(SigningProfile)
    create: bool = True
    uid: int = ME
    limits: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = self.bench.folder / "run" / "signer.sock"
        callers = (Caller("issuer", self.uid, self.profiles, self.create),)
        folder = self.bench.folder
        config = SignerConfig(
            self.path, None, folder / "signer-journal", None, folder / "archive", (RULES,), callers, self.limits
        )
        self.journal = Journal(config.journal)
        self.server = SignerServer(SignerDesk(self.bench.home, config, self.bench.clock), callers, self.path)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        self.link = SignerLink(self.path)
        self.desk, self.home = RemoteDesk(self.link), RemoteKeyHome(self.link)

    def close(self) -> None:
        self.link.close()
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5)
        connection.connect(str(self.path))
        return connection


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    with contextlib.ExitStack() as stack:

        def begin(**about: object) -> Running:
            running = Running(Bench(tmp_path), **about)  # type: ignore[arg-type]
            stack.callback(running.close)
            return running

        yield begin


def code(work: Callable[[], object]) -> str:
    with pytest.raises(EcardError) as refused:
        work()
    return refused.value.code


def test_the_far_desk_signs_as_the_near_one_and_shows_its_keys(start: Callable[..., Running]) -> None:
    signer = start()
    bench = signer.bench
    drafts = bench.pair()
    signatures = signer.desk.sign(CREDENTIAL, bench.kid, drafts, NOW)
    key = load_public_key(signer.home.public_key(bench.kid))
    assert all(verify(key, draft, made) for draft, made in zip(drafts, signatures, strict=True))
    assert signer.home.held() == bench.home.held()
    made = signer.home.create(KeyPurpose.STATUS, NOW)
    assert made in {key.key_id for key in bench.home.held()}
    assert signer.desk.sign(CREDENTIAL, bench.kid, [], NOW) == []
    assert [entry.outcome for entry in signer.journal.entries()] == [Outcome.SIGNING, Outcome.CREATING]


def test_errors_arrive_as_they_left(start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    signer = start(limits={("issuer", "event"): 0})
    bench, desk, home = signer.bench, signer.desk, signer.home
    refused = bench.pair(said(region="340100"))
    assert code(lambda: desk.sign(CREDENTIAL, bench.kid, refused, NOW)) == "draft_refused"
    assert code(lambda: desk.sign(CREDENTIAL, "00000000", bench.pair(), NOW)) == "key_unknown"
    event = bench.keys[KeyPurpose.EVENT]
    assert code(lambda: desk.sign(SigningProfile.EVENT, event, [bench.event()], NOW)) == "signing_quota_spent"
    assert code(lambda: home.public_key("00000000")) == "key_unknown"
    assert code(lambda: home.sign(bench.kid, [b"any bytes"])) == "signer_right_missing"
    assert code(lambda: home.destroy(bench.kid)) == "signer_right_missing"
    assert code(lambda: home.create(KeyPurpose.CHIP, NOW)) == "bad_key_purpose"

    def fault(*_: object) -> list[bytes]:
        raise RuntimeError("with something secret in it")

    monkeypatch.setattr(bench.home, "sign", fault)
    with pytest.raises(Unavailable) as hidden:
        desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    assert (hidden.value.code, "secret" in hidden.value.detail) == ("signer_fault", False)


def test_a_caller_gets_what_it_was_given_and_a_stranger_one_error(start: Callable[..., Running]) -> None:
    signer = start(profiles=frozenset({SigningProfile.STATUS_LIST}), create=False)
    bench = signer.bench
    assert code(lambda: signer.desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)) == "signer_right_missing"
    assert code(lambda: signer.home.create(KeyPurpose.STATUS, NOW)) == "signer_right_missing"
    kid = bench.keys[KeyPurpose.STATUS]
    assert signer.desk.sign(SigningProfile.STATUS_LIST, kid, [bench.status_jwt()], NOW)


def test_a_stranger_is_told_once_and_hung_up_on(start: Callable[..., Running]) -> None:
    signer = start(uid=ME + 1)
    with signer.connect() as connection:
        body = signer_protocol.receive(connection, time.monotonic() + 5)
        assert body is not None
        assert code(lambda: signer_protocol.read_answer(body)) == "signer_caller_refused"
        assert connection.recv(1) == b""
    assert list(signer.journal.entries()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"op":"export","key":"00000000"}',
        b'{"op":"destroy","key":"00000000"}',
        b'{"op":"held","more":1}',
        b'{"op":"sign","profile":"any","key":"0","drafts":[],"now":0}',
        b'{"op":"sign","profile":"credential","key":"0","drafts":["="],"now":0}',
        b'{"op":"sign","profile":"credential","key":"0","drafts":[1],"now":0}',
        b'{"op":"sign","profile":"credential","key":"0","drafts":[],"now":1e3}',
        b'{"op":"create","purpose":"credential","now":-1}',
        b'{"op":"held","op":"held"}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_answered(start: Callable[..., Running], body: bytes) -> None:
    signer = start()
    with signer.connect() as connection:
        connection.sendall(len(body).to_bytes(4, "big") + body)
        answer = signer_protocol.receive(connection, time.monotonic() + 5)
        assert answer is not None
        assert code(lambda: signer_protocol.read_answer(answer)) == "bad_signer_message"
    assert len(signer.home.held()) == 4


def test_a_giant_length_is_refused_at_once_and_nothing_is_kept_for_it(start: Callable[..., Running]) -> None:
    signer = start()
    with signer.connect() as connection:
        connection.sendall(b"\xff\xff\xff\xff")
        answer = signer_protocol.receive(connection, time.monotonic() + 5)
        assert answer is not None
        assert code(lambda: signer_protocol.read_answer(answer)) == "bad_signer_message"
        assert connection.recv(1) == b""


def test_half_a_request_is_given_up_after_its_time(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signer_server, "FRAME_SECONDS", 0.1)
    signer = start()
    with signer.connect() as connection:
        connection.sendall(b"\0\0\0\x10{")
        assert connection.recv(1) == b""


def test_silent_connections_without_end_keep_nobody_out(start: Callable[..., Running]) -> None:
    signer = start()
    crowd: list[socket.socket] = []
    try:
        for number in range(5 * MAX_CONNECTIONS):
            connection = signer.connect()
            if number % 2:
                connection.sendall(b"\0\0")  # half of a length
            crowd.append(connection)
        begun = time.monotonic()
        assert len(RemoteKeyHome(SignerLink(signer.path)).held()) == 4
        assert time.monotonic() - begun < DEADLINE
        assert len(signer.server._visits) <= MAX_CONNECTIONS + 1
    finally:
        for connection in crowd:
            connection.close()


def test_a_signer_that_does_not_answer_costs_no_more_than_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen()
        begun = time.monotonic()
        assert code(lambda: SignerLink(path, deadline=0.2).call(Held())) == "signer_unavailable"
        assert 0.1 < time.monotonic() - begun < 1.5
    assert code(lambda: SignerLink(path).call(Held())) == "signer_unavailable"
    assert code(lambda: SignerLink(tmp_path / "nothing").call(Held())) == "signer_unavailable"


def test_a_restart_of_the_signer_is_not_seen_by_its_callers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = Running(bench)
    link, desk = first.link, first.desk
    desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    first.server.stop()
    first.thread.join(5)
    assert not first.path.exists()
    assert code(lambda: desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)) == "signer_unavailable"
    second = Running(bench)
    try:
        assert desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    finally:
        link.close()
        second.close()


def test_one_socket_has_one_server_and_a_dead_ones_is_replaced(start: Callable[..., Running]) -> None:
    signer = start()
    assert stat.S_IMODE(signer.path.stat().st_mode) == 0o660
    assert stat.S_IMODE(signer.path.parent.stat().st_mode) == 0o750
    assert code(lambda: Running(signer.bench)) == "signer_socket_in_use"
    assert len(signer.home.held()) == 4  # the refused one took nothing away
    foreign = signer.path.parent / "foreign.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as live:
        live.bind(str(foreign))
        live.listen()
        assert code(lambda: signer_server._take_socket(foreign, None)) == "signer_socket_in_use"
    lock, listener = signer_server._take_socket(foreign, None)
    listener.close()
    os.close(lock)
    plain = signer.path.parent / "plain"
    plain.write_text("no socket")
    assert code(lambda: signer_server._take_socket(plain, None)) == "signer_socket_unusable"
    assert plain.exists()
    signer.path.parent.chmod(0o777)
    assert code(lambda: signer_server._take_socket(signer.path.parent / "x.sock", None)) == "signer_socket_unusable"


def test_a_request_survives_the_wire() -> None:
    request = Sign(CREDENTIAL, "0a0b0c0d", (b"", b"\0\xff" * 50), NOW)
    assert signer_protocol.read_request(signer_protocol.write_request(request)[4:]) == request
    assert code(lambda: signer_protocol.write_request(Sign(CREDENTIAL, "0", (bytes(16 << 20),), NOW)))


_LOADED = (
    "heavy = {'sqlalchemy', 'fastapi', 'starlette', 'psycopg', 'pydantic', 'hvac', 'pkcs11'} & set(sys.modules)\n"
    "print('loaded:', sorted(heavy)); sys.exit(status)\n"
)
_AS_COMMAND = "import sys; from ecard_sdk.cli import main; status = main(['key', 'serve'])\n" + _LOADED
#: The interpreter may lie where that user cannot go, so it becomes that user once everything is loaded.
_AS_ANOTHER = (
    "import argparse, os, pwd, sys; from ecard_keys.cli import serve\n"
    "commands = argparse.ArgumentParser(); serve.register(commands.add_subparsers())\n"
    "options = commands.parse_args(['serve'])\n"
    "who = pwd.getpwnam(sys.argv[1]); os.setgroups([]); os.setgid(who.pw_gid); os.setuid(who.pw_uid)\n"
    "status = options.func(options)\n"
) + _LOADED


def _process(folder: Path, user: str | None) -> tuple[subprocess.Popen[str], Path]:
    """`ecard key serve` under `user`, serving this one."""
    if user is not None:
        folder.chmod(0o755)  # that user must get there
    home = folder / "signer"
    home.mkdir()
    (folder / "signer.toml").write_text(
        f"""
        journal = "{home}/journal"
        key_file = "{home}/keys.json"
        [[issuer]]
        issuer = "{RULES.issuer}"
        status_uri = "{LISTS}"
        regions = ["330000"]
        [[caller]]
        name = "issuer"
        uid = {ME}
        profiles = ["credential", "status-list", "event"]
        create = true
        """
    )
    program = _AS_COMMAND if user is None else _AS_ANOTHER
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    environ |= {
        "ECARD_SIGNER_CONFIG": str(folder / "signer.toml"),
        "ECARD_SIGNER_SOCKET": str(home / "run" / "signer.sock"),
        "ECARD_KEY_PASSPHRASE": PASSPHRASE.decode(),
    }
    if user is not None:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    process = subprocess.Popen(
        [sys.executable, "-c", program, user or ""], env=environ, text=True, stdout=subprocess.PIPE, cwd=folder
    )
    return process, home / "run" / "signer.sock"


#: Only root can start a process of another user, so only there is that tried too.
USERS = {"same-user": None} | ({"another-user": "nobody"} if ME == 0 else {})


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_the_process_serves_loads_little_and_ends_when_told(user: str | None, request: pytest.FixtureRequest) -> None:
    folder = tempfile.TemporaryDirectory(prefix="ecard-signer-")  # pytest's own folders are closed to other users
    request.addfinalizer(folder.cleanup)
    process, path = _process(Path(folder.name), user)
    try:
        assert process.stdout is not None
        said_at_start: list[str] = []
        for line in process.stdout:
            said_at_start.append(line)
            if line.startswith("listening"):
                break
        text = "".join(said_at_start)
        assert f"signs for {RULES.issuer}" in text
        assert f"serves issuer (uid {ME}): credential, event, status-list, new keys" in text
        home = RemoteKeyHome(SignerLink(path))
        kid = home.create(KeyPurpose.CREDENTIAL, NOW)
        assert [key.key_id for key in home.held()] == [kid]
        assert path.stat().st_uid == (ME if user is None else pwd.getpwnam(user).pw_uid)
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)[0]
    finally:
        process.kill()
        process.wait()
    assert rest == "stopped\nloaded: []\n"
    assert process.returncode == 0
    assert not path.exists()
