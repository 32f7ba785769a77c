"""Faults on cue, power, clones, and that no command whatever breaks the simulator."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import ChipFault, InvalidInput
from ecard_issuer.chip.simulator import (
    CardKeys,
    ChipAuthority,
    ChipData,
    Cue,
    FaultyChip,
    clone,
    first_generation,
    piv_style,
    third_generation,
)
from ecard_issuer.chip.simulator.faults import (
    Fault,
    Replay,
    flipped,
    longer_length,
    mute,
    removal,
    status,
    truncated,
    wrong_tag,
)
from tests.issuer.simulator.support import SELECT_PIV, SELECT_SSSE, fetch, powered, send

READ_VERSION, VERSION = "00B2032806", "0304312E30309000"
AUTHENTICATE = "0088000010" + "11" * 16


def test_a_pulled_card_is_gone_until_it_is_put_back() -> None:
    """Removal at the second READ RECORD: an error then and for each later command, none after `insert`."""
    chip = FaultyChip(powered(first_generation()), removal, Cue(ins=0xB2, nth=2, times=1))
    assert send(chip, READ_VERSION) == VERSION
    for _ in range(2):
        with pytest.raises(ChipFault, match="chip_removed"):
            send(chip, READ_VERSION)
    chip.reset()
    with pytest.raises(ChipFault, match="chip_removed"):
        send(chip, READ_VERSION)
    chip.insert()
    chip.power_on()
    fetch(chip, SELECT_SSSE)
    assert send(chip, READ_VERSION) == VERSION


def test_a_mute_card_answers_again_after_a_reset() -> None:
    """Silence lasts until reset or power off."""
    chip = FaultyChip(powered(first_generation()), mute, Cue(ins=0x88, times=1))
    for command in (AUTHENTICATE, READ_VERSION):
        with pytest.raises(ChipFault, match="chip_mute"):
            send(chip, command)
    chip.reset()
    fetch(chip, SELECT_SSSE)
    assert send(chip, READ_VERSION) == VERSION


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (status(0x6F00), "6F00"),
        (truncated(3), "0304319000"),
        (truncated(0), "9000"),
        (longer_length(1), "0305312E30309000"),
        (longer_length(0xFF), "03FF312E30309000"),
        (wrong_tag(0x07), "0704312E30309000"),
        (flipped(2), "0304302E30309000"),
    ],
)
def test_wrong_answers_are_wrong_as_stated(fault: Fault, answer: str) -> None:
    """Only the cued record is spoiled, and only as the fault says."""
    chip = FaultyChip(powered(first_generation()), fault, Cue(ins=0xB2, p1=0x03))
    assert send(chip, "00B2022803") == "0201319000"
    assert send(chip, READ_VERSION) == answer


def test_a_replayed_answer_is_the_old_one_for_a_new_challenge() -> None:
    """INTERNAL AUTHENTICATION takes two answers with T=0; both come from the first exchange."""
    chip = FaultyChip(powered(first_generation()), Replay(parts=2), Cue(ins=0x88))
    old = fetch(chip, AUTHENTICATE)
    assert fetch(chip, "0088000010" + "22" * 16) == old
    honest = powered(first_generation())
    assert fetch(honest, AUTHENTICATE) != fetch(honest, "0088000010" + "22" * 16)


def test_a_stale_challenge_is_not_the_one_the_card_waits_for() -> None:
    """GET CHALLENGE shows the old one again, so the honest cryptogram over it fails."""
    chip = FaultyChip(powered(first_generation()), Replay(), Cue(ins=0x84))
    first = send(chip, "0084000008")
    assert send(chip, "0084000008") == first
    assert send(chip, "0082000A10" + "00" * 8 + first[:16]) == "63C2"


def test_a_clone_of_the_files_reads_alike_and_authenticates_otherwise() -> None:
    """Without keys 6A88, with other keys another answer; the original is untouched."""
    original = powered(first_generation())
    keyless, forger = powered(clone(original)), powered(clone(original, CardKeys.fresh()))
    assert {send(chip, "00B2012812") for chip in (original, keyless, forger)} == {send(original, "00B2012812")}
    assert keyless.atr == original.atr
    assert send(keyless, AUTHENTICATE) == "6A88"
    answers = [fetch(chip, AUTHENTICATE) for chip in (original, forger)]
    assert all(answer.endswith("9000") and len(answer) == 20 for answer in answers)
    assert answers[0] != answers[1]


def test_fresh_cards_never_share_keys() -> None:
    """Two cards made with the same data answer one challenge differently."""
    one, two = powered(first_generation()), powered(first_generation())
    assert fetch(one, AUTHENTICATE) != fetch(two, AUTHENTICATE)


def test_a_chip_without_power_is_mute() -> None:
    """Before power on and after power off."""
    chip = first_generation()
    with pytest.raises(ChipFault, match="chip_mute"):
        send(chip, READ_VERSION)
    powered(chip).power_off()
    with pytest.raises(ChipFault, match="chip_mute"):
        send(chip, READ_VERSION)


@pytest.mark.parametrize(
    "data", [ChipData(name="测" * 26), ChipData(card_number="TEST000188"), ChipData(id_number="0" * 19)]
)
def test_data_that_does_not_fit_the_records_is_refused(data: ChipData) -> None:
    """Personalisation fails; it never writes a shortened name or number."""
    with pytest.raises(InvalidInput, match="bad_chip_data"):
        first_generation(version="2.01", data=data)


_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_CHIPS = [first_generation(), third_generation(), piv_style(now=_NOW, authority=ChipAuthority.create(_NOW))]
_HEADERS = st.tuples(
    st.sampled_from([0x00, 0x80, 0x84, 0xFF]),
    st.sampled_from([0xA4, 0xB2, 0xB0, 0xDC, 0xC0, 0x84, 0x88, 0x82, 0x20, 0x5E, 0x24, 0xCB, 0x87, 0x01]),
    st.sampled_from([0x00, 0x01, 0x02, 0x04, 0x11, 0x3F, 0x85]) | st.integers(0, 255),
    st.sampled_from([0x00, 0x01, 0x04, 0x0A, 0x28, 0x30, 0x80, 0x9E, 0xFF]) | st.integers(0, 255),
).map(bytes)
_SHORT = st.binary(max_size=40).map(lambda data: bytes([len(data)]) + data)
_COMMANDS = st.binary(max_size=64) | st.builds(
    lambda header, body, tail: header + body + tail,
    _HEADERS,
    _SHORT | st.binary(max_size=20),
    st.sampled_from([b"", b"\0", b"\x10"]),
)


@given(st.lists(_COMMANDS, min_size=1, max_size=12), st.sampled_from([SELECT_SSSE, SELECT_PIV]))
def test_any_command_gets_a_status_word(commands: list[bytes], first: str) -> None:
    """Whatever comes, in whatever order, is answered with at most 256 bytes and a status word."""
    for chip in _CHIPS:
        chip.power_on()
        chip.transceive(bytes.fromhex(first))
        for command in commands:
            answer = chip.transceive(command)
            assert 2 <= len(answer) <= 258 or (len(command) > 4 and command[4] == 0)
            assert answer[-2] >> 4 in (0x6, 0x9)
