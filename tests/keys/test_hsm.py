"""The PKCS#11 home on a real SoftHSM2 token: its promises, what lies on the token, and how fast it is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pkcs11.attributes import AttributeMapper
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import KeyType

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.hsm import Pkcs11KeyHome
from ecard_keys.homes.hsm_module import TokenSession
from ecard_keys.homes.hsm_session import Pkcs11Settings, identity_of
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.contracts.home_in_check import HomeInCheckContract
from tests.contracts.signer_contract import NOW, KeyHomeContract, SignerContract
from tests.softhsm import MODULE, PIN, SoftToken, require_softhsm, soft_token

Record = Callable[[str, object], None]


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    require_softhsm()
    with soft_token(tmp_path) as token:
        yield token


@pytest.fixture
def home(token: SoftToken) -> Pkcs11KeyHome:
    return Pkcs11KeyHome(token.settings())


def raw_session(home: Pkcs11KeyHome) -> TokenSession:
    """The home's own open session, to look at the token as its owner does."""
    session = home._desk._session
    assert session is not None
    return session


class TestContract(SignerContract, KeyHomeContract, HomeInCheckContract):
    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11KeyHome]:
        require_softhsm()
        with soft_token(tmp_path_factory.mktemp("token")) as token:
            yield Pkcs11KeyHome(token.settings())

    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls, home: Pkcs11KeyHome) -> Pkcs11KeyHome:
        return home

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, home: Pkcs11KeyHome) -> str:
        return home.create(KeyPurpose.CREDENTIAL, NOW)

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, home: Pkcs11KeyHome, known_key: str) -> bytes:
        return home.public_key(known_key)


def test_a_private_key_only_signs_and_cannot_leave_the_token(home: Pkcs11KeyHome) -> None:
    key_id = home.create(KeyPurpose.ACCESS_TOKEN, NOW)
    private: Any = raw_session(home).private_key(identity_of(home.public_key(key_id)))
    allowed = {
        name: private[Attribute[name]]
        for name in ("TOKEN", "PRIVATE", "SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "SIGN")
    }
    assert set(allowed.values()) == {True}, allowed
    refused = {
        name: private[Attribute[name]] for name in ("EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE", "SIGN_RECOVER")
    }
    assert set(refused.values()) == {False}, refused
    assert private[Attribute.LABEL] == f"ecard-access-token-{int(NOW.timestamp())}"
    assert private[Attribute.ID].hex()[:8] == key_id


def test_keys_of_others_on_the_token_are_neither_shown_nor_used(token: SoftToken, home: Pkcs11KeyHome) -> None:
    ours = home.create(KeyPurpose.STATUS, NOW)
    theirs = Pkcs11KeyHome(token.settings(prefix="other")).create(KeyPurpose.STATUS, NOW)
    half_made = raw_session(home).generate(b"\x01" * 32, f"ecard-status-{int(NOW.timestamp())}")
    misnamed = raw_session(home).generate(b"\x02" * 32, "ecard-nonsense-soon")
    raw_session(home).rename(b"\x02" * 32, identity_of(misnamed))
    assert [key.key_id for key in home.held()] == [ours]
    for foreign in (theirs, jose.key_id(half_made), jose.key_id(misnamed)):
        with pytest.raises(NotFound):
            home.sign(foreign, [b"message"])


def test_a_forged_public_object_makes_no_key(home: Pkcs11KeyHome) -> None:
    """Who may write objects names one after our key, around a point of his own, or without a private half."""
    key_id = home.create(KeyPurpose.EVENT, NOW)
    held = home.held()
    session: Any = raw_session(home)
    foreign = bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce3357"
        "6b315ececbb6406837bf51f5"
    )
    for identity in (identity_of(home.public_key(key_id)), identity_of(foreign)):
        session._session.create_object(
            {
                Attribute.CLASS: ObjectClass.PUBLIC_KEY,
                Attribute.KEY_TYPE: KeyType.EC,
                Attribute.TOKEN: True,
                Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107"),
                Attribute.EC_POINT: b"\x04\x41" + foreign,
                Attribute.ID: identity,
                Attribute.LABEL: f"ecard-event-{int(NOW.timestamp())}",
            }
        )
    assert home.held() == held
    again = Pkcs11KeyHome(home._settings)
    assert again.public_key(key_id) == held[0].public


def test_an_object_of_others_that_cannot_be_read_hides_nothing(token: SoftToken, home: Pkcs11KeyHome) -> None:
    key_id = home.create(KeyPurpose.STATUS, NOW)
    mapper = AttributeMapper()
    mapper.register_handler(Attribute.LABEL, bytes, bytes)
    library: Any = home._desk._module._library
    session = library.get_token(token_label=token.label).open(rw=True, attribute_mapper=mapper)
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}, local=True
    )
    curve.generate_keypair(store=True, id=b"theirs", label="Schlüssel".encode("latin-1"))
    assert [key.key_id for key in home.held()] == [key_id]


def test_a_second_key_with_the_same_id_is_not_kept(home: Pkcs11KeyHome, monkeypatch: pytest.MonkeyPatch) -> None:
    first = home.create(KeyPurpose.LOG, NOW)
    point, real = home.public_key(first), jose.key_id
    others: list[bytes] = []

    def key_id(public: bytes) -> str:
        """The first two new keys share the id of the key that is there."""
        if public != point and public not in others:
            others.append(public)
        return first if public in others[:2] else real(public)

    monkeypatch.setattr(jose, "key_id", key_id)
    second = home.create(KeyPurpose.LOG, NOW)
    assert second == real(others[2])
    left = {identity_of(point), identity_of(others[2])}
    assert raw_session(home).private_identities() == left
    assert {found.identity for found in raw_session(home).public_objects()} == left


def test_a_digest_of_another_length_is_not_signed(home: Pkcs11KeyHome) -> None:
    """SoftHSM itself signs whatever it gets: a digest cut short would be a signature over something else."""
    point = home.public_key(home.create(KeyPurpose.CODE, NOW))
    session = raw_session(home)
    key = session.private_key(identity_of(point))
    for length in (0, 31, 33, 64):
        with pytest.raises(ValueError, match="32 bytes"):
            session.sign(key, b"\x01" * length)
    assert len(session.sign(key, hashlib.sha256(b"").digest())) == 64


def test_a_bad_message_leaves_the_batch_unsigned(home: Pkcs11KeyHome, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = home.create(KeyPurpose.CODE, NOW)
    asked: list[bytes] = []
    monkeypatch.setattr(TokenSession, "sign", lambda self, key, digest: asked.append(digest))
    with pytest.raises(InvalidInput):
        home.sign(key_id, [b"good", None, b"good"])  # type: ignore[list-item]
    assert asked == []


def test_the_pin_is_never_printed(token: SoftToken, home: Pkcs11KeyHome) -> None:
    assert PIN not in repr(token.settings()) + repr(home)


def test_a_key_is_there_for_the_next_home(token: SoftToken, home: Pkcs11KeyHome) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    home.close()
    again = Pkcs11KeyHome(token.settings())
    assert again.held() == home.held()
    assert verify(load_public_key(home.public_key(key_id)), b"m", again.sign(key_id, [b"m"])[0])


_OTHER_PROCESS = """
import json, sys
from pathlib import Path
from ecard_keys.homes.hsm import Pkcs11KeyHome
from ecard_keys.homes.hsm_session import Pkcs11Settings
home = Pkcs11KeyHome(Pkcs11Settings(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
print(home.held()[0].key_id, flush=True)
sys.stdin.readline()
print(json.dumps([home.sign(sys.argv[4], [b"%d" % n])[0].hex() for n in range(300)]))
"""


def test_two_processes_use_one_token_at_once(token: SoftToken, home: Pkcs11KeyHome) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER_PROCESS, str(MODULE), token.label, PIN, key_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline().strip() == key_id
    other.stdin.write("go\n")
    other.stdin.flush()
    public = load_public_key(home.public_key(key_id))
    mine = [home.sign(key_id, [b"%d" % n])[0] for n in range(300)]
    theirs = [bytes.fromhex(made) for made in json.loads(other.communicate()[0])]
    assert all(verify(public, b"%d" % n, made) for made_by in (mine, theirs) for n, made in enumerate(made_by))
    assert other.returncode == 0


def test_sixteen_threads_sign_at_once(home: Pkcs11KeyHome, record_property: Record) -> None:
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    public = load_public_key(home.public_key(key_id))

    def sign_many(thread: int) -> bool:
        messages = [b"%d/%d" % (thread, number) for number in range(200)]
        return all(verify(public, message, home.sign(key_id, [message])[0], low_s=True) for message in messages)

    began = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(sign_many, range(16)))
    record_property("counts", f"{3200 / (time.perf_counter() - began):.0f} signatures/s by 16 threads, checked twice")


def test_rates(home: Pkcs11KeyHome, record_property: Record) -> None:
    """Not a limit, a figure: what the thread, the check and the low s cost beside the bare token."""
    key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
    key: Any = raw_session(home).private_key(identity_of(home.public_key(key_id)))
    digest = hashlib.sha256(b"message").digest()
    session = raw_session(home)

    def rate(act: Callable[[], object], each: int = 1) -> int:
        began, done = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < 0.3:
            act()
            done += each
        return round(done / passed)

    bare = rate(lambda: session.sign(key, digest))
    single = rate(lambda: home.sign(key_id, [b"message"]))
    batch = rate(lambda: home.sign(key_id, [b"message"] * 100), 100)
    record_property("counts", f"bare token {bare}/s, one at a time {single}/s, by the hundred {batch}/s")


@pytest.mark.parametrize("what", ["missing", "folder", "text", "other library"])
def test_what_is_no_module_is_named_so(tmp_path: Path, what: str) -> None:
    (tmp_path / "text").write_text("not a library")
    library = next(Path("/lib").glob("*-linux-gnu/libc.so.6"), None)
    path = {"missing": tmp_path / "nothing.so", "folder": tmp_path, "text": tmp_path / "text"}.get(what, library)
    assert path is not None
    home = Pkcs11KeyHome(Pkcs11Settings(path, "label", "1234"))
    with pytest.raises(Unavailable) as caught:
        home.held()
    assert caught.value.code == "key_module_unusable"
