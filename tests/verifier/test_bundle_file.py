"""An offline verifier takes the newer bundle that somebody put in the file's place, and says why it takes none."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_keys.trust.root import TrustRoot
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle
from ecard_verifier.bundle_file import BundleFile
from ecard_verifier.config import load_settings
from ecard_verifier.web.assemble import Verifier, assemble
from tests.verifier.counters.kit import Clock
from tests.verifier.feed_kit import wait_for
from tests.world import NOW, World


def bundle_of(world: World, minutes: int = 0, value: EcardStatus = EcardStatus.VALID, version: int = 1) -> bytes:
    """A bundle made so many minutes after the first."""
    at = NOW + timedelta(minutes=minutes)
    first = world.trust_list()
    content = first if version == 1 else replace(first, version=version, previous=first.digest)
    token = world.status_token({7: value}, issued_at=at, position=100 + minutes)
    return make_bundle(world.root, world.trust_document(content), [token], made_at=at)


def put(path: Path, data: bytes) -> None:
    """As a careful hand does: written beside it, then put in its place."""
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    os.replace(beside, path)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def path(tmp_path: Path, world: World) -> Path:
    path = tmp_path / "bundle.json"
    path.write_bytes(bundle_of(world))
    return path


def opened(path: Path, root: TrustRoot | None) -> BundleFile:
    return BundleFile(path, root, Clock(NOW + timedelta(hours=1)))


def value(file: BundleFile) -> int:
    return file.read("https://issuer.example/status-lists/1", 7).value


def test_a_newer_bundle_counts_as_a_whole_and_at_once(path: Path, world: World) -> None:
    file = opened(path, world.root)
    called: list[int] = []
    file.when_renewed(lambda: called.append(value(file)))
    assert not file.look()
    put(path, bundle_of(world, 5, EcardStatus.SUSPENDED, version=2))
    assert value(file) == 0
    assert file.look()
    assert (value(file), called, file.last_error) == (2, [2], None)
    trust = file.current()
    assert trust is not None
    assert trust.version == 2
    assert not file.look()


def test_what_is_older_or_does_not_hold_changes_nothing_and_is_said(
    path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, bundle_of(world, 5, EcardStatus.SUSPENDED, version=2))
    file = opened(path, world.root)
    newer = bundle_of(world, 9, version=2)
    refusals = {
        bundle_of(world, 4, version=2): "bundle_older",
        bundle_of(world, 6): "bundle_older",  # its trust list is
        bundle_of(World(), 9, version=2): "trust_undersigned",
        newer[:-20]: "bad_bundle",
        b"": "bad_bundle",
    }
    for data, code in refusals.items():
        caplog.clear()
        put(path, data)
        assert not file.look()
        assert not file.look()  # said once, and not read again until it is another file
        assert (value(file), file.last_error) == (2, code)
        assert caplog.text.count(code) == 1
    path.unlink()
    assert not file.look()
    assert file.last_error == "bad_setting"
    put(path, newer)
    assert file.look()
    assert (value(file), str(file.last_error)) == (0, "None")


def test_without_a_pinned_root_the_first_one_is_kept_to(path: Path, world: World) -> None:
    file = opened(path, None)
    assert file.root is None
    put(path, bundle_of(World(), 9))
    assert not file.look()
    assert file.last_error == "trust_undersigned"
    put(path, bundle_of(world, 9))
    assert file.look()


def test_a_file_that_does_not_hold_at_the_start_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"[]", b'{"root": 1}'):
        (tmp_path / "bundle.json").write_bytes(data)
        with pytest.raises(EcardError, match=r"bad_bundle|bad_trust_root"):
            opened(tmp_path / "bundle.json", None)
    with pytest.raises(EcardError, match="bad_setting"):
        opened(tmp_path / "none.json", None)


def running(tmp_path: Path, path: Path, clock: Clock) -> Verifier:
    (tmp_path / "tokens.json").write_text('{"format": "ecard-tokens/1", "tokens": []}')
    root = tmp_path / "root.json"
    settings = load_settings(
        {
            "ECARD_VERIFIER_BUNDLE": str(path),
            "ECARD_VERIFIER_DATA": str(tmp_path),
            **({"ECARD_VERIFIER_TRUST_ROOT": str(root)} if root.exists() else {}),
        }
    )
    return assemble(settings, clock=clock)


def test_a_running_verifier_refuses_a_card_by_the_bundle_that_was_brought(
    tmp_path: Path, path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecard_verifier.bundle_file.PAUSE", 0.01)
    clock = Clock(NOW + timedelta(minutes=6))
    verifier = running(tmp_path, path, clock)
    device = DeviceKey.generate()
    credential = world.compact(world.credential(device))
    with TestClient(verifier.app) as client:
        assert verifier.service.verify(device.offline_code(credential, clock())).verdict.reason == "ok"
        assert verifier.counters is not None
        assert verifier.counters.bundles is not None
        before = verifier.counters.bundles.bundle().body
        put(path, b"{}")
        wait_for(lambda: client.get("/health/ready").json()["bundle_error"] == "bad_bundle")
        assert client.get("/health/ready").status_code == 200
        put(path, bundle_of(world, 5, EcardStatus.SUSPENDED))
        wait_for(lambda: client.get("/health/ready").json()["bundle_error"] is None)
        verdict = verifier.service.verify(device.offline_code(credential, clock())).verdict
        assert verdict.reason == "suspended"
        assert verifier.counters.bundles.bundle().body != before
        clock.now += timedelta(days=2)
        assert client.get("/health/ready").status_code == 503
