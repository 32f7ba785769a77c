"""A device that holds e-cards: codes without a network, in a file that nobody else opens, and when to renew."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import CheckFailed, EcardError, InvalidInput, NotFound, Unavailable
from ecard_qr import payload
from ecard_qr.challenge import Challenge
from ecard_qr.frame import OfflineFrame, OnlineFrame
from ecard_sdk.device import DeviceKey
from ecard_sdk.device_file import EncryptedFile
from ecard_sdk.holder import Device, DeviceStore, MemoryStore, Renewal
from ecard_verifier.check import check
from tests.issuer.service import Clock
from tests.world import NOW, World

SECRET = b"only for tests"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeviceStore:
    return MemoryStore() if request.param == "memory" else EncryptedFile(tmp_path / "device.pem", SECRET)


def credential(world: World, device: Device) -> bytes:
    return world.compact(world.credential(device.key))


def test_a_device_makes_good_codes_after_a_restart(world: World, store: DeviceStore) -> None:
    assert store.load() is None
    device = Device(store, clock=lambda: NOW)
    device.keep("link-1", credential(world, device))
    again = Device(store, clock=lambda: NOW)
    assert again.key.point == device.key.point
    assert again.held == device.held
    assert check(again.code("link-1"), world.trust(), world.statuses(), NOW).outcome == "valid"
    assert isinstance(payload.parse(again.code("link-1", audience="clinic-1")), OfflineFrame)
    assert isinstance(payload.parse(again.short_code("link-1")), OnlineFrame)
    again.drop("link-1")
    assert Device(store).held == {}


def test_it_answers_a_counter_until_the_question_is_over(world: World) -> None:
    clock = Clock(NOW)
    device = Device(MemoryStore(), clock=clock)
    device.keep("a", credential(world, device))
    asked = Challenge("desk-7", "第七窗口", "payment", int(NOW.timestamp()) + 60, bytes(16))
    verdict = check(device.answer("a", asked), world.trust(), world.statuses(), NOW, nonce=asked.answer)
    assert verdict.outcome == "valid"
    short = payload.parse(device.answer("a", asked, short=True))
    assert isinstance(short, OnlineFrame)
    assert short.challenge == asked.digest
    clock.now = NOW + timedelta(seconds=61)
    with pytest.raises(CheckFailed, match="challenge_expired"):
        device.answer("a", asked)


def test_it_knows_when_to_renew(world: World) -> None:
    clock = Clock(NOW)
    device = Device(MemoryStore(), clock=clock)
    assert device.next_due() is None
    held = device.keep("a", credential(world, device))
    life = held.expires_at - held.issued_at
    assert device.next_due() == ("a", held.due_at)
    assert device.renewal("a") is Renewal.FRESH
    clock.now = held.issued_at + life * 0.7
    assert device.renewal("a") is Renewal.DUE
    clock.now = held.expires_at
    assert device.renewal("a") is Renewal.OVER
    device.keep("a", credential(world, device))
    assert len(device.held) == 1


def test_a_successor_takes_the_place_of_the_old_one(world: World) -> None:
    device = Device(MemoryStore(), clock=lambda: NOW)
    old = device.keep("a", credential(world, device))
    asked = []

    def collect(credential_id: bytes, key: DeviceKey) -> bytes:
        asked.append((credential_id, key.point))
        return credential(world, device)

    new = device.renew("a", collect)
    assert asked == [(old.credential_id, device.key.point)]
    assert device.held == {"a": new}
    assert new.credential_id != old.credential_id


def test_a_credential_of_another_key_or_none_is_not_kept(world: World, store: DeviceStore) -> None:
    device = Device(store)
    for wrong in (world.compact(world.credential(DeviceKey.generate())), b"", b"\xd2\x84"):
        with pytest.raises(InvalidInput):
            device.keep("a", wrong)
    with pytest.raises(NotFound, match="credential_unknown"):
        device.code("a")
    assert Device(store).held == {}


def test_the_file_is_its_owners_and_tells_nothing(world: World, tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    device = Device(EncryptedFile(path, SECRET))
    held = device.keep("link-of-somebody", credential(world, device))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_bytes()
    assert b"link-of-somebody" not in written
    assert held.cwt not in written
    assert [entry.name for entry in tmp_path.iterdir()] == ["device.pem"]
    for wrong in (b"another", b"only for tests "):
        with pytest.raises(InvalidInput, match="bad_device_store"):
            EncryptedFile(path, wrong).load()
    said = repr([EncryptedFile(path, SECRET), device.held, EncryptedFile(path, SECRET).load()])
    assert SECRET.decode() not in said
    assert str(held.cwt) not in said


def test_credentials_of_another_device_cannot_be_put_under_a_key(world: World, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "other")]
    for path in files:
        device = Device(EncryptedFile(path, SECRET))
        device.keep("a", credential(world, device))
    one, other = (path.read_bytes() for path in files)
    mark = b"-----BEGIN ECARD CREDENTIALS"
    files[0].write_bytes(one.partition(mark)[0] + mark + other.partition(mark)[2])
    with pytest.raises(InvalidInput, match="bad_device_store"):
        EncryptedFile(files[0], SECRET).load()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 600) | st.binary(max_size=200))
def test_a_damaged_file_is_said_so(tmp_path_factory: pytest.TempPathFactory, damage: bytes | int) -> None:
    path = tmp_path_factory.mktemp("device") / "device.pem"
    store = EncryptedFile(path, SECRET)
    Device(store)
    whole = path.read_bytes()
    path.write_bytes(damage if isinstance(damage, bytes) else whole[:damage] + b"!" + whole[damage + 1 :])
    with pytest.raises(EcardError, match="bad_device_store"):
        store.load()


def test_a_store_that_fails_keeps_the_old_state(world: World, tmp_path: Path) -> None:
    store = EncryptedFile(tmp_path / "device.pem", SECRET)
    device = Device(store)
    lost = EncryptedFile(tmp_path / "gone" / "device.pem", SECRET)
    with pytest.raises(Unavailable, match="device_store_unavailable"):
        Device(lost)
    with pytest.raises(InvalidInput, match="bad_device_store"):
        EncryptedFile(tmp_path / "x", b"")
    assert store.load() is not None
    assert device.held == {}


def test_a_bound_is_kept(world: World) -> None:
    device = Device(MemoryStore(), clock=lambda: NOW + timedelta(days=1))
    one = credential(world, device)
    for number in range(32):
        device.keep(str(number), one)
    with pytest.raises(InvalidInput, match="too_many_credentials"):
        device.keep("one more", one)
