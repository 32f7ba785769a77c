"""The agent's parts: what the watch tells, what the guard lets through, what the chip's PIN answers mean, settings."""

from __future__ import annotations

import contextlib
import queue
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import ChipFault, Conflict, EcardError, InvalidInput, NotAllowed, RateLimited, Unavailable
from ecard_issuer.chip.in_process import InProcessChip, InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import first_generation, synthetic
from ecard_issuer.cli.read import masked
from ecard_issuer.desk.acts import Acts, Read, card_facts
from ecard_issuer.desk.chip_pin import PinChange, PinOutcome, change_command, change_pin
from ecard_issuer.desk.guarded import GuardedReader, exactly, proving, reading
from ecard_issuer.desk.pairing import PAUSE, PairingDesk, PairingFile
from ecard_issuer.desk.readers import STUCK, Card, Change, News, ReaderWatch, Service, Shown
from ecard_issuer.desk.settings import DEFAULT_PORT, load
from tests.issuer.chip.support import NOW, challenge
from tests.issuer.chip.support import Desk as Province
from tests.issuer.desk.kit import Table

DATA = synthetic(12)
CHANGE = change_command("123456", "846207")


class Told:
    """A watch over a table of readers, and what it told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.table = Table()
        self.news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self.watch = ReaderWatch(self.news.put, self.table.connect, clock)

    def next(self) -> tuple[str, str]:
        told = self.news.get(timeout=10)
        return told.change.value, told.reader


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told(lambda: 0.0)
    told.watch.start()
    yield told
    told.watch.stop()


def test_the_watch_tells_each_change_in_order(told: Told) -> None:
    assert told.next() == ("service_back", "")
    told.table.plug("one")
    assert told.next() == ("reader_added", "one")
    told.table.put("one", first_generation())
    assert told.next() == ("inserted", "one")
    assert told.watch.shown().readers == {"one": Card.PRESENT}
    told.table.swap("one", first_generation())
    assert [told.next(), told.next()] == [("removed", "one"), ("inserted", "one")]
    told.table.pull("one")
    assert told.next() == ("removed", "one")
    told.table.put("one", first_generation())
    assert told.next() == ("inserted", "one")
    told.table.unplug("one")
    assert [told.next(), told.next()] == [("removed", "one"), ("reader_gone", "one")]


def test_a_service_that_ends_takes_its_cards_and_readers_along(told: Told) -> None:
    told.table.plug("one")
    told.table.put("one", first_generation())
    assert [told.next() for _ in range(3)][-1] == ("inserted", "one")
    told.table.die()
    assert [told.next() for _ in range(3)] == [("removed", "one"), ("reader_gone", "one"), ("service_gone", "")]
    assert told.watch.shown().service is Service.STOPPED
    told.table.revive()
    assert [told.next() for _ in range(3)] == [("service_back", ""), ("reader_added", "one"), ("inserted", "one")]


def test_a_service_that_hangs_is_said() -> None:
    """Its last look is old, and it never came back from the next."""
    now = [0.0]
    told = Told(lambda: now[0])
    told.watch.start()
    assert told.next() == ("service_back", "")
    told.watch.stop()
    now[0] = STUCK + 1
    assert told.watch.shown().service is Service.STUCK


def test_an_act_wants_a_running_service_and_a_reader_with_a_card() -> None:
    told = Told(lambda: 0.0)
    acts = Acts(told.watch.shown, told.table.open)
    with pytest.raises(ChipFault, match="reader_unavailable"):
        acts.read(None)
    told.watch.start()
    assert told.next() == ("service_back", "")
    with pytest.raises(ChipFault, match="reader_missing"):
        acts.read(None)
    told.table.plug("one")
    assert told.next() == ("reader_added", "one")
    with pytest.raises(ChipFault, match="chip_removed"):
        acts.read(None)
    with pytest.raises(ChipFault, match="reader_missing"):
        acts.read("two")
    told.watch.stop()


@given(st.binary(max_size=64))
def test_the_guard_lets_nothing_through_that_a_chip_counts_or_keeps(command: bytes) -> None:
    """VERIFY, CHANGE PIN, EXTERNAL AUTHENTICATION, UPDATE, PUT, of any class: only what the act needs."""
    allowed = (reading, proving(bytes(32)), exactly(CHANGE))
    if any(let(command) for let in allowed):
        assert command[0] == 0 or command == CHANGE
        assert command[1] in (0xA4, 0xB2, 0xC0, 0xCB) or command in (CHANGE, bytes.fromhex("0088000010") + bytes(16))


@pytest.mark.parametrize(
    "command",
    ["0020000003123456", "805E010007123456FF846207", "0082000A10" + "00" * 16, "00DC010403010161", "84240000040000",
     "00D6000001FF", "0088000010" + "11" * 16, "00", ""],
)  # fmt: skip
def test_a_command_outside_the_list_never_reaches_the_chip(command: str) -> None:
    chip = first_generation(data=DATA)
    with InProcessReader(chip) as opened:
        for allowed in (reading, proving(bytes(32))):
            with pytest.raises(ChipFault, match="desk_command_refused"):
                GuardedReader(opened, allowed).transceive(bytes.fromhex(command))


def test_reading_and_proving_need_no_more_than_the_list() -> None:
    """For each kind of chip; the challenge is the server's and no other."""
    province, asked = Province(), challenge()
    for chip in (province.first(DATA), province.third(DATA), province.piv(DATA)):
        with InProcessReader(chip) as opened:
            guarded = GuardedReader(opened, proving(asked.digest()))
            read = read_chip(guarded)
            assert prove_chip(guarded, read, asked.digest()).challenge == asked.digest()
            with pytest.raises(ChipFault, match="desk_command_refused"):
                prove_chip(guarded, read, bytes(32))


def test_an_act_is_over_when_its_time_is() -> None:
    now = [0.0]
    with InProcessReader(first_generation(data=DATA)) as opened:
        guarded = GuardedReader(opened, reading, 5, lambda: now[0])
        read_chip(guarded)
        now[0] = 5.1
        with pytest.raises(ChipFault, match="chip_mute"):
            read_chip(guarded)


class Answering:
    """A chip that selects, and answers the rest with one status word."""

    atr = b""

    def __init__(self, word: str) -> None:
        self._word, self.asked = bytes.fromhex(word), 0

    def transceive(self, command: bytes) -> bytes:
        if command[1] == 0xA4:
            return b"\x90\x00"
        self.asked += 1
        return self._word


@pytest.mark.parametrize(
    ("word", "outcome", "left"),
    [("9000", "changed", None), ("63C2", "wrong", 2), ("63C0", "locked", 0), ("6983", "locked", 0)],
)
def test_what_the_chip_says_of_a_pin(word: str, outcome: str, left: int | None) -> None:
    chip = Answering(word)
    assert change_pin(chip, CHANGE) == PinChange(PinOutcome(outcome), left)
    assert chip.asked == 1


@pytest.mark.parametrize("word", ["6985", "6C07", "6700", "019000", "90"])
def test_another_answer_is_refused_and_nothing_is_sent_again(word: str) -> None:
    chip = Answering(word)
    with pytest.raises(ChipFault):
        change_pin(chip, CHANGE)
    assert chip.asked == 1


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_pin_is_six_digits_or_nothing_is_sent(old: str, new: str) -> None:
    with pytest.raises(InvalidInput):
        change_command(old, "1" + new)


def test_pairing_is_slow_to_guess_and_quick_to_revoke(tmp_path: Path) -> None:
    said: list[str] = []
    now = [0.0]
    file = PairingFile(tmp_path / "state")
    desk = PairingDesk(file, said.append, lambda: now[0], lambda: NOW)
    desk.show()
    for _ in range(5):
        with pytest.raises(NotAllowed, match="desk_code_wrong"):
            desk.pair("https://a.example", "")
    for moment in (0.0, PAUSE - 0.1):
        now[0] = moment
        desk.refresh()
        with pytest.raises(RateLimited, match="desk_pairing_closed"):
            desk.pair("https://a.example", "")
    now[0] = PAUSE
    desk.refresh()
    token = desk.pair("https://a.example", said[-1].rpartition(" ")[2])
    assert file.knows("https://a.example", token)
    assert not file.knows("https://b.example", token)
    assert not file.knows("https://a.example", "")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    other = file.add("https://b.example", NOW)
    assert file.forget("https://a.example") == 1
    assert file.knows("https://b.example", other)
    assert file.forget() == 1
    assert file.all() == ()


def test_a_damaged_file_of_pairings_lets_nobody_in(tmp_path: Path) -> None:
    file = PairingFile(tmp_path)
    token = file.add("https://a.example", NOW)
    whole = (tmp_path / "pairings.json").read_bytes()
    for damaged in (b"", b"{}", whole[:-3], b"[]", b"\xff", whole.replace(b"sha256", b"sha1")):
        (tmp_path / "pairings.json").write_bytes(damaged)
        with pytest.raises(Unavailable, match="desk_pairings_unreadable"):
            file.knows("https://a.example", token)


def test_settings_name_exact_origins() -> None:
    known = load({"ECARD_DESK_ORIGINS": "https://a.example, http://127.0.0.1:8420", "XDG_STATE_HOME": "/state"})
    assert known.origins == ("https://a.example", "http://127.0.0.1:8420")
    assert (known.port, known.data) == (DEFAULT_PORT, Path("/state/ecard-desk"))
    bad = [
        "*",
        "http://desk.example",
        "https://a.example/",
        "https://A.example",
        "null",
        "https://*.example",
        "a.example",
    ]
    for origin in bad:
        with pytest.raises(InvalidInput, match="bad_setting"):
            load({"ECARD_DESK_ORIGINS": origin})
    for environ, code in (
        ({"ECARD_DESK_PORT": "0"}, "bad_setting"),
        ({"ECARD_DESK_PORT": "x"}, "bad_setting"),
        ({"ECARD_DESK_HOST": "0.0.0.0"}, "unknown_setting"),  # noqa: S104 - there is no such setting, by design
    ):
        with pytest.raises(EcardError, match=code):
            load(environ)


def test_a_terminal_shows_little_unless_asked() -> None:
    with InProcessReader(first_generation(data=DATA)) as opened:
        facts = card_facts(Read("one", read_chip(opened)))
    shown = masked(facts)
    assert shown["holder"]["id_number"] == DATA.id_number[:3] + "*" * 13 + DATA.id_number[-2:]
    assert shown["holder"]["name"].strip("*") == DATA.name[-1]
    assert shown["identification_code"].startswith("000000*")
    assert shown["card_number"] == "*****" + DATA.card_number[-4:]
    assert masked({**facts, "holder": None, "card_number": None})["card_number"] is None
    assert Change.INSERTED.value == "inserted"


class Refusing(InProcessReader):
    """A whole chip but for its PIN, which it answers in its own way."""

    def __init__(self, chip: InProcessChip, answer: bytes | None, tried: list[bytes]) -> None:
        super().__init__(chip)
        self._answer, self._tried = answer, tried

    def transceive(self, command: bytes) -> bytes:
        if command[:2] != CHANGE[:2]:
            return super().transceive(command)
        self._tried.append(command)
        if self._answer is None:
            raise ChipFault("chip_answer_truncated", "cut short")
        return self._answer


@pytest.mark.parametrize("answer", ["63C2", "6300", "6985", "9804", None])
def test_a_page_burns_one_try_however_the_chip_says_no(answer: str | None) -> None:
    tried: list[bytes] = []
    chip, word = first_generation(data=DATA), None if answer is None else bytes.fromhex(answer)
    acts = Acts(lambda: Shown(Service.RUNNING, {"R": Card.PRESENT}), lambda name: Refusing(chip, word, tried))
    for count in (1, 1, 1, 2, 2):
        if count > len(tried):
            acts.heard(News(Change.REMOVED, "R"))
        with contextlib.suppress(ChipFault, Conflict):
            acts.change_pin("R", DATA.identification_code, "846207", "111222")
        assert len(tried) == count


def test_a_pin_that_was_changed_can_be_changed_again() -> None:
    tried: list[bytes] = []
    chip = first_generation(data=DATA)
    acts = Acts(lambda: Shown(Service.RUNNING, {"R": Card.PRESENT}), lambda name: Refusing(chip, b"\x90\x00", tried))
    for _ in range(2):
        acts.change_pin("R", DATA.identification_code, "846207", "111222")
    assert len(tried) == 2


def test_a_card_that_was_swapped_keeps_its_pin() -> None:
    tried: list[bytes] = []
    chip = first_generation(data=DATA)
    acts = Acts(lambda: Shown(Service.RUNNING, {"R": Card.PRESENT}), lambda name: Refusing(chip, b"\x90\x00", tried))
    with pytest.raises(Conflict, match="desk_other_card"):
        acts.change_pin("R", synthetic(13).identification_code, "846207", "111222")
    assert tried == []
