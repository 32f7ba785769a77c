"""The product's reader over the real stack: read, prove and judge our cards, and one made by somebody else."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.simulator import CardKeys, Cue, FaultyChip, SimulatedChip, VirtualChip, clone, synthetic
from ecard_issuer.chip.simulator.faults import (
    Fault,
    Replay,
    longer_length,
    mute,
    removal,
    status,
    truncated,
    wrong_tag,
)
from ecard_issuer.chip.vpcd import VpcdLink
from tests.device_pcsc.conftest import Desk, DeskError
from tests.device_pcsc.daemon import Slot
from tests.device_pcsc.jcecard_chip import JcecardChip
from tests.issuer.chip.support import NOW, challenge
from tests.issuer.chip.support import Desk as Province
from tests.require import require

pytestmark = pytest.mark.pcsc
Insert = Callable[[VirtualChip], VpcdLink]
DATA = synthetic(77)
CARDS = [
    pytest.param(lambda province: province.first(DATA), ChipAssurance.CHALLENGE, True, id="1.00"),
    pytest.param(lambda province: province.first(DATA, "2.01"), ChipAssurance.CHALLENGE, True, id="2.01"),
    pytest.param(lambda province: province.third(DATA), ChipAssurance.CHALLENGE, False, id="3.00-contact"),
    pytest.param(
        lambda province: province.third(DATA, contactless=True),
        ChipAssurance.CHALLENGE,
        False,
        id="3.00-contactless",
    ),
    pytest.param(lambda province: province.piv(DATA), ChipAssurance.SIGNATURE, False, id="piv"),
    pytest.param(lambda province: province.piv(DATA, with_files=False), ChipAssurance.SIGNATURE, False, id="piv-alone"),
]


@pytest.fixture
def province() -> Province:
    return Province()


@pytest.mark.parametrize(("make", "assurance", "shows_holder"), CARDS)
def test_each_card_is_read_and_proven_at_its_level(
    make: Callable[[Province], SimulatedChip],
    assurance: ChipAssurance,
    shows_holder: bool,
    province: Province,
    desk: Desk,
    slot: Slot,
    insert: Insert,
) -> None:
    """From APDU to judgement over pcscd: the level follows from the card, the data are those printed into it."""
    insert(make(province))
    asked = challenge()
    evidence = Evidence.from_json(desk.ask("prove", reader=slot.reader, digest=asked.digest().hex()))
    judgement = province.judge(evidence, asked)
    assert judgement.assurance is assurance
    assert judgement.chip.identification_code.text == DATA.identification_code
    assert evidence.reading is not None
    holder = evidence.reading.holder
    assert (holder is not None) is shows_holder
    if holder is not None:
        assert (holder.id_number.text, holder.name) == (DATA.id_number, DATA.name)


@pytest.mark.filterwarnings("ignore:TripleDES has been moved")  # inside jcecard
def test_a_foreign_chip_signs_and_is_judged(
    province: Province, desk: Desk, slot: Slot, insert: Insert, tmp_path: Path
) -> None:
    """jcecard makes its own key, our test authority certifies it, and its signature over our challenge holds."""
    require(importlib.util.find_spec("jcecard") is not None, "jcecard", "pip install jcecard")
    chip = JcecardChip(tmp_path)
    chip.personalise(province.authority, DATA.identification_code, NOW)
    insert(chip)
    asked = challenge()
    evidence = Evidence.from_json(desk.ask("prove", reader=slot.reader, digest=asked.digest().hex()))
    judgement = province.judge(evidence, asked)
    assert judgement.assurance is ChipAssurance.SIGNATURE
    assert judgement.chip.identification_code.text == DATA.identification_code
    assert evidence.reading is not None
    assert evidence.reading.atr == chip.atr


@pytest.mark.parametrize(
    ("fault", "cue", "code"),
    [
        pytest.param(removal, Cue(ins=0xB2, nth=3), "chip_removed", id="pulled-while-read"),
        pytest.param(removal, Cue(ins=0x88), "chip_removed", id="pulled-while-proven"),
        pytest.param(status(0x6F00), Cue(ins=0xB2, p1=0x01), "chip_refused", id="wrong-status"),
        pytest.param(truncated(5), Cue(ins=0xB2, p1=0x01), "chip_answer_truncated", id="truncated"),
        pytest.param(longer_length(), Cue(ins=0xB2, p1=0x01), "chip_answer_truncated", id="length-too-long"),
        pytest.param(wrong_tag(0x02), Cue(ins=0xB2, p1=0x01), "chip_answer_malformed", id="wrong-tag"),
    ],
)
def test_a_faulty_card_is_a_clear_error(
    fault: Fault, cue: Cue, code: str, province: Province, desk: Desk, slot: Slot, insert: Insert
) -> None:
    """Each fault has its stable code at the desk; no evidence comes of it."""
    insert(FaultyChip(province.first(DATA), fault, cue))
    with pytest.raises(DeskError, match=rf"^{code}$"):
        desk.ask("prove", reader=slot.reader, digest="00" * 32)


def test_a_mute_card_is_given_up_at_the_deadline(province: Province, desk: Desk, slot: Slot, insert: Insert) -> None:
    """The reader's own deadline ends the wait, not the driver."""
    link = insert(FaultyChip(province.first(DATA), mute, Cue(ins=0xB2)))
    start = time.monotonic()
    try:
        with pytest.raises(DeskError, match=r"^chip_mute$"):
            desk.ask("read", reader=slot.reader, deadline=0.5)
        assert time.monotonic() - start < 5
    finally:
        link.stop()


def test_a_copy_of_the_files_reads_but_never_proves(province: Province, desk: Desk, slot: Slot, insert: Insert) -> None:
    """A clone with other keys is read as `read`; its answer is refused."""
    insert(clone(province.first(DATA), CardKeys.fresh()))
    asked = challenge()
    evidence = Evidence.from_json(desk.ask("prove", reader=slot.reader, digest=asked.digest().hex()))
    assert province.judge(Evidence(evidence.reading), None).assurance is ChipAssurance.READ
    with pytest.raises(EcardError, match="chip_answer_wrong"):
        province.judge(evidence, asked)


def test_a_replayed_signature_is_refused(province: Province, desk: Desk, slot: Slot, insert: Insert) -> None:
    """The card answers a new challenge with its old signature."""
    insert(FaultyChip(province.piv(DATA), Replay(), Cue(ins=0x87)))
    first, second = challenge(), challenge()
    earlier = Evidence.from_json(desk.ask("prove", reader=slot.reader, digest=first.digest().hex()))
    assert province.judge(earlier, first).assurance is ChipAssurance.SIGNATURE
    replayed = Evidence.from_json(desk.ask("prove", reader=slot.reader, digest=second.digest().hex()))
    with pytest.raises(EcardError, match="chip_answer_wrong"):
        province.judge(replayed, second)
