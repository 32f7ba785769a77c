"""The offline verifier: a file, a pinned root, and a verdict for whatever is scanned."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_sdk.offline import OfflineVerifier
from ecard_verifier.bundle import make_bundle, open_bundle
from ecard_verifier.policy import Policy
from tests.world import NOW, World

WORLD = World()
DEVICE = DeviceKey.generate()
CREDENTIAL = WORLD.compact(WORLD.credential(DEVICE))


def bundle(world: World = WORLD, values: dict[int, EcardStatus] | None = None) -> bytes:
    return make_bundle(world.root, world.trust_document(), [world.status_token(values)], made_at=NOW)


OPEN = open_bundle(bundle(), NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_bytes(bundle())
    return tmp_path / "bundle.json"


def test_a_good_code_is_valid_and_says_as_of_when(path: Path) -> None:
    verdict = OfflineVerifier.from_bundle(path, root=WORLD.root, now=NOW).verify(
        DEVICE.offline_code(CREDENTIAL, NOW), now=NOW
    )
    assert (verdict.outcome, verdict.reason) == ("valid", "ok")
    assert verdict.status_as_of == NOW
    assert verdict.chip_assurance is ChipAssurance.CHALLENGE


def test_a_short_code_is_undecided_without_a_network(path: Path) -> None:
    verdict = OfflineVerifier.from_bundle(path, now=NOW).verify(DEVICE.online_code(CREDENTIAL, NOW), now=NOW)
    assert (verdict.outcome, verdict.reason) == ("undecided", "needs_online")


def test_a_lost_card_on_the_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(bundle(values={7: EcardStatus.SUSPENDED}))
    verdict = OfflineVerifier.from_bundle(tmp_path / "b", now=NOW).verify(DEVICE.offline_code(CREDENTIAL, NOW), now=NOW)
    assert (verdict.outcome, verdict.reason) == ("invalid", "suspended")


def test_a_bundle_past_its_end_decides_nothing(path: Path) -> None:
    later = NOW + timedelta(days=2)
    verdict = OfflineVerifier.from_bundle(path, now=later).verify(DEVICE.offline_code(CREDENTIAL, later), now=later)
    assert verdict.outcome == "undecided"


def test_a_policy_can_demand_more(path: Path) -> None:
    policy = Policy(minimum_assurance=ChipAssurance.SIGNATURE)
    verifier = OfflineVerifier.from_bundle(path, now=NOW, policy=policy)
    assert verifier.verify(DEVICE.offline_code(CREDENTIAL, NOW), now=NOW).reason == "assurance_too_low"


def test_a_bundle_under_another_root_does_not_open(path: Path) -> None:
    with pytest.raises(CheckFailed, match="trust_undersigned"):
        OfflineVerifier.from_bundle(path, root=World().root, now=NOW)


def test_whether_the_root_was_pinned_can_be_seen(path: Path) -> None:
    assert OfflineVerifier.from_bundle(path, root=WORLD.root, now=NOW).bundle.root_pinned
    assert not OfflineVerifier.from_bundle(path, now=NOW).bundle.root_pinned


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"format":"ecard-bundle/2"}', b"[" * 100_000])
def test_what_is_no_bundle_does_not_open(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(InvalidInput, match="bad_bundle"):
        OfflineVerifier.from_bundle(tmp_path / "b", now=NOW)


def test_a_missing_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        OfflineVerifier.from_bundle(tmp_path / "none", now=NOW)


ODD = st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text(), min_size=1))


@given(st.sampled_from(sorted(json.loads(bundle()))), ODD)
def test_a_bent_bundle_raises_our_errors_only(member: str, value: object) -> None:
    bent = json.dumps({**json.loads(bundle()), member: value}).encode()
    try:
        open_bundle(bent, NOW)
    except EcardError:
        return
    assert member in ("made_at", "until")
    assert isinstance(value, int)


@given(st.one_of(st.text(), st.builds("EC1:{}".format, st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"))))
def test_whatever_is_scanned_gets_a_verdict(text: str) -> None:
    verdict = OfflineVerifier(OPEN).verify(text, now=NOW)
    assert verdict.outcome != "valid"
