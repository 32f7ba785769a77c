"""The signing desk under attack: drafts that trip it, floods of refusals, a full disk, callers that misbehave."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import cbor, jose
from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_keys.desk.desk import LocalDesk, SigningProfile
from ecard_keys.desk.drafts import sig_structure
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.desk.quotas import REFUSED, Quotas, start_of_hour
from ecard_keys.key import KeyPurpose
from ecard_keys.process import protocol as signer_protocol
from ecard_keys.process.client import RemoteKeyHome, SignerLink
from ecard_keys.process.config import read_config
from ecard_keys.process.protocol import Held
from ecard_keys.process.server import MAX_CONNECTIONS
from ecard_verifier.feed import FeedBeat, KeyCompromised
from tests.keys.desk_support import ISSUER, LISTS, NOW, RULES, Bench, altered, said
from tests.keys.test_signer_process import Running

EVENT, CREDENTIAL, STATUS = SigningProfile.EVENT, SigningProfile.CREDENTIAL, SigningProfile.STATUS_LIST


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def refusal(bench: Bench, profile: SigningProfile, drafts: list[bytes]) -> str:
    """The rule that refuses `drafts`; the refusal stands in the journal, and no key was used."""
    key = bench.keys[{EVENT: KeyPurpose.EVENT, CREDENTIAL: KeyPurpose.CREDENTIAL, STATUS: KeyPurpose.STATUS}[profile]]
    before = len(list(bench.journal.entries()))
    with pytest.raises(InvalidInput) as refused:
        bench.desk.sign(profile, key, drafts, NOW)
    assert refused.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert (len(list(bench.journal.entries())), last.outcome) == (before + 1, Outcome.REFUSED)
    return refused.value.detail.partition(":")[0]


def put(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda claims: claims.__setitem__(name, value)


# Drafts.


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["above", "below"])
@pytest.mark.parametrize("claim", ["iat", "exp"])
def test_numbers_beyond_any_float_are_refused_and_no_fault(bench: Bench, claim: str, number: int) -> None:
    compact, selective = bench.pair()
    assert refusal(bench, CREDENTIAL, [compact, altered(selective, put(claim, number))])
    assert refusal(bench, STATUS, [altered(bench.status_jwt(), put(claim, number))])
    assert refusal(bench, EVENT, [altered(bench.event(), put(claim, number))])


@pytest.mark.parametrize("thumbprint", ["A" * 42 + "!", "A" * 42 + "B", "é" * 43])
def test_an_event_whose_text_is_no_base64url_leaves_a_line_as_every_refusal(bench: Bench, thumbprint: str) -> None:
    def change(claims: dict[str, Any]) -> None:
        (members,) = claims["events"].values()
        members["thumbprint"] = thumbprint

    stolen = KeyCompromised("00000000", KeyPurpose.STATUS, bytes(32), None)
    assert refusal(bench, EVENT, [altered(bench.event(stolen), change)]) == "form"


LOOK_ALIKES = [
    "https://issuer.example/",
    "https://ISSUER.example",
    "https://іssuer.example",
    "https://issuer.example\u200b",
    "https://issuer。example",
    "https://issuer.example.",
    "https://issuer.example:443",
]


@pytest.mark.parametrize("issuer", LOOK_ALIKES)
def test_an_issuer_that_looks_like_ours_is_another(bench: Bench, issuer: str) -> None:
    compact, selective = bench.pair()
    for claim, value in (("iss", issuer), ("vct", f"{issuer}/vct/social-security-card/1")):
        refusal(bench, CREDENTIAL, [compact, altered(selective, put(claim, value))])
    refusal(bench, EVENT, [altered(bench.event(), put("iss", issuer))])


@pytest.mark.parametrize(
    "uri",
    [
        f"{ISSUER}/status-lists/{{list}}",
        f"{ISSUER}/status-lists/7?",
        f"{ISSUER}/status-lists/7#",
        f"{ISSUER}/status-lists/07",
        f"{ISSUER}/status-lists/７",
        f"{ISSUER}/status-lists/٧",
        f"{ISSUER}/status-lists/7/../8",
        f"{ISSUER}/status-lists/-7",
        f"{ISSUER}/status-lists/+7",
        f"{ISSUER}/status-lists/",
        f"{ISSUER}/status-lists/7\n",
    ],
)
def test_a_list_address_has_one_spelling(bench: Bench, uri: str) -> None:
    def change(claims: dict[str, Any]) -> None:
        claims["status"]["status_list"]["uri"] = uri

    compact, selective = bench.pair()
    refusal(bench, CREDENTIAL, [compact, altered(selective, change)])
    refusal(bench, STATUS, [altered(bench.status_jwt(), put("sub", uri))])


def test_a_second_more_than_allowed_is_too_long(bench: Bench) -> None:
    longest = int(RULES.longest_validity.total_seconds())
    at = int(NOW.timestamp())
    good = said(issued_at=at, expires_at=at + longest)
    assert bench.desk.sign(CREDENTIAL, bench.kid, bench.pair(good), NOW)
    assert refusal(bench, CREDENTIAL, bench.pair(said(issued_at=at, expires_at=at + longest + 1))) == "validity"
    for off in (-601, 601):
        dated = said(issued_at=at + off, expires_at=at + off + 60)
        assert refusal(bench, CREDENTIAL, bench.pair(dated)) == "clock"


def test_pairs_of_two_credentials_and_mixed_profiles_are_refused(bench: Bench) -> None:
    one, other = bench.pair(), bench.pair(said(status=said().status.__class__(f"{ISSUER}/status-lists/7", 7, 4712)))
    assert refusal(bench, CREDENTIAL, [one[0], other[1], other[0], one[1]]) == "pair"
    refusal(bench, CREDENTIAL, [*one, bench.status_jwt(), bench.status_jwt()])
    refusal(bench, STATUS, [bench.status_jwt(), bench.event()])
    refusal(bench, EVENT, [bench.event(), bench.status_jwt()])
    assert all(entry.outcome is Outcome.REFUSED for entry in bench.journal.entries())


def test_cbor_in_any_second_spelling_is_refused(bench: Bench) -> None:
    compact, selective = bench.pair()
    protected, aad, payload = sig_structure(compact, len(compact))
    claims = cbor.decode(payload)
    assert isinstance(claims, dict)
    parts = [b"\x84\x6aSignature1", cbor.encode(protected), cbor.encode(aad), cbor.encode(payload)]
    assert b"".join(parts) == compact
    indefinite = b"\x9f" + b"".join(parts)[1:] + b"\xff"
    long_text = b"\x84\x78\x0aSignature1" + b"".join(parts[1:])
    turned = cbor.encode(payload)[: -len(payload)] + payload[:1] + payload[1:][::-1]
    trailing = compact + b"\x00"
    for draft in (indefinite, long_text, trailing, b"".join([*parts[:3], turned]), b"\xd2" + compact):
        refusal(bench, CREDENTIAL, [draft, selective])


# Quotas and the journal.


def test_a_flood_of_refusals_fills_no_disk(bench: Bench) -> None:
    """Two thousand bytes of request used to be 134 kB of journal, as often as a caller liked."""
    key = bench.keys[KeyPurpose.EVENT]
    desk = LocalDesk(bench.home, [RULES], bench.journal, Quotas(limits={("issuer", REFUSED): 5000}), bench.clock)
    for _ in range(50):
        with pytest.raises(InvalidInput, match="draft_refused"):
            desk.sign(EVENT, key, [b"x"] * 2000, NOW)
    lines = list(bench.journal.entries())
    assert sum(len(line.drafts) for line in lines) == 4000
    again = Quotas(limits={("issuer", REFUSED): 5000}, spent=bench.journal.entries())
    with pytest.raises(Unavailable, match="signing_quota_spent"):
        again.take("issuer", REFUSED, 1001, NOW)
    assert desk.sign(EVENT, key, [bench.event()], NOW), "honest drafts are signed as before"


def test_a_clock_that_was_ahead_for_a_moment_neither_ends_signing_nor_refills_at_a_restart(bench: Bench) -> None:
    """The hour used to stay in that far year: nothing was refilled any more, and a restart gave everything back."""
    limits = {("issuer", "event"): 3}
    key = bench.keys[KeyPurpose.EVENT]

    def desk(quotas: Quotas) -> LocalDesk:
        return LocalDesk(bench.home, [RULES], bench.journal, quotas, bench.clock)

    def signs(at: LocalDesk, ahead: timedelta = timedelta()) -> bool:
        bench.clock.now = NOW + ahead
        draft = bench.event(FeedBeat(int(bench.clock.now.timestamp())), issued_at=int(bench.clock.now.timestamp()))
        try:
            return bool(at.sign(EVENT, key, [draft], bench.clock.now))
        except Unavailable as error:
            return error.code != "signing_quota_spent"

    first = desk(Quotas(limits=limits))
    far = timedelta(days=20_000)
    assert [signs(first, far), signs(first), signs(first), signs(first)] == [True, True, True, False]
    again = desk(Quotas(limits=limits, spent=bench.journal.entries(since=start_of_hour(NOW))))
    assert [signs(again), signs(again, timedelta(hours=1)), signs(again, timedelta(hours=1))] == [False, True, True]
    assert not signs(again), "a clock set back gives nothing"


def test_a_disk_that_stays_full_leaves_a_journal_that_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note about a line cut short may itself be cut short, again and again."""
    journal = Journal(tmp_path)

    def write(draft: bytes) -> None:
        journal.append(now=NOW, caller="c", profile="event", key_id="k", outcome=Outcome.SIGNING, drafts=[draft])

    write(b"first")
    true_write = os.write
    for room in (25, 60, 1, 7):

        def full(handle: int, data: bytes, room: int = room) -> int:
            true_write(handle, bytes(data[:room]))
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(Unavailable, match="signing_journal_unavailable"):
                write(b"lost")
        if room == 60:
            assert Journal(tmp_path).check() == 1, "before anybody could write again"
    write(b"after")
    assert [line.outcome for line in journal.entries()] == [Outcome.SIGNING, Outcome.TORN, Outcome.SIGNING]
    assert Journal(tmp_path).check() == 3
    (day,) = tmp_path.glob("*.jsonl")
    lines = day.read_bytes().splitlines(keepends=True)
    for number in range(len(lines) - 1):
        day.write_bytes(b"".join([*lines[:number], *lines[number + 1 :]]))
        with pytest.raises(EcardError, match="signing_journal_broken"):
            Journal(tmp_path).check()


_LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.keys.desk_support import *
from ecard_card.errors import Unavailable
from ecard_keys.desk.desk import SigningProfile
bench = Bench(Path(sys.argv[1]))
key = bench.keys[KeyPurpose.EVENT]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
signed = 0
for _ in range(20):
    try:
        bench.desk.sign(SigningProfile.EVENT, key, [bench.event()], NOW)
        signed += 1
    except Unavailable as error:
        assert error.code == "signing_journal_unavailable", error
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
bench.desk.sign(SigningProfile.EVENT, key, [bench.event()], NOW)
lines = [line for line in bench.journal.entries() if line.outcome == "about-to-sign"]
assert 0 < signed and len(lines) == signed + 1, (signed, len(lines))
bench.journal.check()
print(signed)
"""


def test_at_a_real_limit_of_the_system_nothing_is_signed_unrecorded(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.SIGXFSZ
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path), str(root)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_journal_that_others_may_write_is_none(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(Unavailable, match="signing_journal_unavailable"):
        Journal(folder)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_the_place_of_a_journal_file_is_not_followed_to_a_foreign_one(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep\n")
    victim.chmod(0o644)
    journal = Journal(tmp_path / "journal")
    link(victim, journal.folder / f"{NOW:%Y-%m-%d}.jsonl")
    with pytest.raises(Unavailable, match="signing_journal_unavailable"):
        journal.append(now=NOW, caller="c", profile="event", key_id="k", outcome=Outcome.SIGNING)
    assert victim.read_bytes() == b"keep\n"


# The socket.


def test_a_key_is_asked_for_once_even_if_the_signer_hangs_up(tmp_path: Path) -> None:
    """A second request would leave a key in the home that no register knows of."""
    path = tmp_path / "signer.sock"
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while (body := signer_protocol.receive(connection, time.monotonic() + 5)) is not None:
                    asked.append(body)
                    if b"create" in body:
                        break  # the key was made, the answer is lost
                    signer_protocol.send(connection, signer_protocol.write_held(()), time.monotonic() + 5)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        link = SignerLink(path)
        home = RemoteKeyHome(link)
        assert home.held() == ()
        link.close()
        with pytest.raises(Unavailable, match="signer_unavailable"):
            home.create(KeyPurpose.STATUS, NOW)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    link.close()
    assert sum(b"create" in body for body in asked) == 1


_BIG = """
import os, socket, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.keys.desk_support import Bench
from tests.keys.test_signer_process import Running
from tests.memory import peak_kib
signer = Running(Bench(Path(sys.argv[1])))
print(signer.path, flush=True)
sys.stdin.readline()
print(peak_kib() // 1024, flush=True)
os._exit(0)
"""


def test_callers_cannot_eat_the_signers_memory(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """64 requests of 16 MiB at once took 1.9 GB, which ends the process on a small machine."""
    command = [sys.executable, "-c", _BIG, str(tmp_path), str(Path(__file__).parents[2])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        path = process.stdout.readline().decode().strip()
        body = b'{"drafts":["' + b"A" * ((16 << 20) - 100) + b'"],"key":"0","now":1,"op":"sign","profile":"event"}'
        frame = len(body).to_bytes(4, "big") + body
        done = threading.Barrier(41, timeout=60)

        def ask() -> None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(10)
                try:
                    connection.connect(path)
                    connection.sendall(frame)
                    connection.recv(1)
                except OSError:
                    pass  # it was not its turn
                done.wait()

        for _ in range(40):
            threading.Thread(target=ask, daemon=True).start()
        done.wait()
        signer_protocol_works(path)
        process.stdin.write(b"\n")
        process.stdin.flush()
        megabytes = int(process.stdout.readline())
    record_property("counts", f"40 requests of 16 MiB at once: the signer took {megabytes} MB")
    assert megabytes < 900


def signer_protocol_works(path: str) -> None:
    link = SignerLink(Path(path))
    assert len(RemoteKeyHome(link).held()) == 4
    link.close()


def test_callers_that_take_no_answers_keep_nobody_out(tmp_path: Path) -> None:
    """Each held its place for two seconds, over and over: 19 of 20 requests of others were turned away."""
    signer = Running(Bench(tmp_path))
    frame = signer_protocol.write_request(Held()) * 2000
    crowd = [signer.connect() for _ in range(MAX_CONNECTIONS)]
    try:
        for connection in crowd:
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                while connection.send(frame):
                    pass
        for _ in range(MAX_CONNECTIONS):  # one after the other, each over a new connection
            assert len(signer.home.held()) == 4
            signer.link.close()
    finally:
        for connection in crowd:
            connection.close()
        signer.close()


def test_a_system_without_threads_ends_no_signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Running(Bench(tmp_path))
    try:
        with monkeypatch.context() as patch:

            def start(self: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(threading.Thread, "start", start)
            with signer.connect() as connection:
                body = signer_protocol.receive(connection, time.monotonic() + 5)
                assert body is not None
                with pytest.raises(Unavailable, match="signer_unavailable"):
                    signer_protocol.read_answer(body)
        assert len(signer.home.held()) == 4
    finally:
        signer.close()


def test_what_the_signer_prints_of_itself_names_no_secret(bench: Bench) -> None:
    text = " ".join(map(repr, (bench.home, bench.home.file, bench.desk, bench.home.held())))
    secret = bench.home._private(bench.kid).secret
    for form in (secret.hex(), jose.b64url_encode(secret), repr(secret), "only for tests, in a temporary folder"):
        assert form not in text


def test_rules_that_everybody_may_write_are_none(tmp_path: Path) -> None:
    path = tmp_path / "signer.toml"
    path.write_text(
        f"""journal = "{tmp_path}/journal"
[[issuer]]
issuer = "{ISSUER}"
status_uri = "{LISTS}"
regions = ["330000"]
[[caller]]
name = "issuer"
uid = 1000
profiles = ["event"]
per_hour = {{ refused = 10 }}
""",
        "utf-8",
    )
    path.chmod(0o644)
    assert read_config(path).limits == {("issuer", REFUSED): 10}
    path.chmod(0o646)
    with pytest.raises(InvalidInput, match="bad_setting"):
        read_config(path)
