"""The PIN object: sizes, counter, change, unblock and reload, and the access expressions that name it."""

from __future__ import annotations

import pytest

from ecard_issuer.chip.simulator import CardKeys, first_generation, third_generation
from ecard_issuer.chip.simulator.authentication import SM4_PROFILE, TRIPLE_DES_PROFILE, CipherProfile, pad
from ecard_issuer.chip.simulator.chip import SimulatedChip
from ecard_issuer.chip.simulator.files import Access, Directory, SecurityState
from tests.issuer.simulator.support import fetch, powered, send

VERIFY_INITIAL = "0020000003123456"


def test_pin_counter_runs_down_and_blocks() -> None:
    """The initial 123456 is accepted; three wrong ones block for good; length 1 and 7 are refused without a try."""
    chip = powered(first_generation())
    assert send(chip, VERIFY_INITIAL) == "9000"
    assert send(chip, "0020000003654321") == "63C2"
    assert send(chip, VERIFY_INITIAL) == "9000"
    assert [send(chip, "00200000020000") for _ in range(3)] == ["63C2", "63C1", "63C0"]
    assert send(chip, "002000000112") == "6700"
    assert send(chip, "0020000007" + "12" * 7) == "6700"
    chip.reset()
    powered(chip)
    assert send(chip, VERIFY_INITIAL) == "6983"


def test_change_pin_needs_the_old_one() -> None:
    """80 5E 01 00: old, FF, new."""
    chip = powered(first_generation())
    assert send(chip, "805E010007" + "111111FF654321") == "63C2"
    assert send(chip, "805E010007" + "123456FF654321") == "9000"
    assert send(chip, "0020000003654321") == "9000"
    assert send(chip, VERIFY_INITIAL) == "63C2"
    assert send(chip, "805E010006" + "654321123456") == "6A80"


@pytest.mark.parametrize(
    ("make", "profile"),
    [
        pytest.param(first_generation, TRIPLE_DES_PROFILE, id="3des"),
        pytest.param(third_generation, SM4_PROFILE, id="sm4"),
    ],
)
def test_unblock_keeps_the_pin_and_reload_sets_a_new_one(make, profile: CipherProfile) -> None:  # type: ignore[no-untyped-def]
    """Both need the PUK, a fresh challenge and a MAC under STK."""
    keys = CardKeys.fresh()
    chip = powered(make(keys=keys))
    for _ in range(3):
        send(chip, "0020000003000000")
    unblock = bytes.fromhex("8424000004")
    assert send(chip, unblock.hex() + "00000000") == "6982"
    _prove_puk(chip, profile, keys)
    assert send(chip, unblock.hex() + "00000000") == "6984"
    send(chip, "0084000008")
    assert send(chip, unblock.hex() + "00000000") == "6988"
    fresh = bytes.fromhex(send(chip, "0084000008")[:-4])
    assert send(chip, (unblock + profile.mac(keys["STK"], fresh, unblock)).hex()) == "9000"
    assert send(chip, VERIFY_INITIAL) == "9000"

    block = profile.encrypt(keys["STK"], pad(b"\x03\x65\x43\x21", profile.block_size))
    reload = bytes([0x84, 0x24, 0x00, 0x01, len(block) + 4]) + block
    fresh = bytes.fromhex(send(chip, "0084000008")[:-4])
    assert send(chip, (reload + profile.mac(keys["STK"], fresh, reload)).hex()) == "9000"
    assert send(chip, "0020000003654321") == "9000"


def _prove_puk(chip: SimulatedChip, profile: CipherProfile, keys: CardKeys) -> None:
    fresh = bytes.fromhex(send(chip, "0084000008")[:-4])
    assert send(chip, "0082000610" + (profile.answer(keys["PUK"], fresh, fresh) + fresh).hex()) == "9000"


def test_pin_opens_the_files_that_ask_for_it() -> None:
    """DF01/EF06 is PIN|KEY: the PIN is enough. DF04/EF06 is PIN+KEY: it is not. SSSE's photo asks for a key."""
    chip = powered(first_generation())
    fetch(chip, "00A4040006D15600000500")
    assert send(chip, "00B2243005") == "6982"
    assert send(chip, "00B0960000").endswith("9000")  # a free one beside it
    assert send(chip, VERIFY_INITIAL) == "9000"
    assert send(chip, "00B2243005") == "24030000009000"
    fetch(chip, "00A4040006D15600000503")
    assert send(chip, "00B2613006") == "6982"


@pytest.mark.parametrize(
    ("expression", "opened_by"),
    [
        ("", [set()]),
        ("FF", []),
        ("PIN", [{"PIN"}]),
        ("K", [{"K"}, {"parent K"}]),
        ("PIN|K", [{"PIN"}, {"K"}]),
        ("PIN+K", [{"PIN", "K"}]),
        ("P|K", [{"parent P"}, {"K"}]),
        ("P+K", [{"parent P", "K"}]),
    ],
)
def test_access_expression(expression: str, opened_by: list[set[str]]) -> None:
    """Free, PIN, KEY, PIN|KEY, PIN+KEY, KEY|KEY, KEY+KEY and FF, over everything that could be proven."""
    parent, own = Directory(1), Directory(2)
    parent.add_directory(own)
    proofs = ("PIN", "K", "P", "parent K", "parent P")
    for bits in range(1 << len(proofs)):
        proven = {proof for place, proof in enumerate(proofs) if bits >> place & 1}
        state = SecurityState()
        if "PIN" in proven:
            state.pins.add(parent.file_id)
        state.keys = {(2, name) for name in proven & {"K", "P"}}
        state.keys |= {(1, name.removeprefix("parent ")) for name in proven if name.startswith("parent")}
        expected = any(needed <= proven for needed in opened_by)
        assert Access(expression).allows(own, state) is expected, proven


@pytest.mark.parametrize("expression", ["K|PIN", "K+FF", "FF|K", "|K", "K+", "A|B|C"])
def test_impossible_access_expressions_are_refused(expression: str) -> None:
    """PIN stands only on the left, FF only alone."""
    with pytest.raises(ValueError, match="not an access expression"):
        Access(expression)


def test_the_mf_has_no_pin() -> None:
    """A file of SSSE that asks for the parent's PIN stays closed: its parent is the MF."""
    state = SecurityState()
    root, ssse = Directory(0x3F00), Directory(0xDDF1)
    root.add_directory(ssse)
    state.pins.add(ssse.file_id)
    assert not Access("PIN").allows(ssse, state)
