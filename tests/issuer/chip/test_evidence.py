"""Challenge and evidence: what they bind, and their JSON as hostile input."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.card import IdentificationCode
from ecard_card.errors import ChipFault, EcardError, InvalidInput
from ecard_issuer.chip.evidence import Answer, Challenge, Evidence, split_challenge
from tests.issuer.chip.support import NOW, Desk, challenge

DESK = Desk()
CHALLENGE = challenge()
SHARED_KEY = DESK.evidence(DESK.first(), CHALLENGE)
SIGNING = DESK.evidence(DESK.piv(), CHALLENGE)
DECLARED = Evidence(declared=IdentificationCode("000000" + "D156000005" + "00000001" + "00000000"))


def test_the_digest_covers_every_part_with_its_length() -> None:
    fixed = Challenge("e", "t", 1, bytes(16))
    parts = b"\x00\x16ecard-chip-challenge-1" + b"\x00\x01e" + b"\x00\x01t" + b"\x00\x08" + bytes(7) + b"\x01"
    assert fixed.digest() == hashlib.sha256(parts + b"\x00\x10" + bytes(16)).digest()
    others = [
        replace(fixed, enrolment_id="et"),
        replace(fixed, terminal_id="u"),
        replace(fixed, issued_at=2),
        replace(fixed, nonce=b"\x01" + bytes(15)),
        Challenge("ex", "t", 1, bytes(16)),
        Challenge("e", "xt", 1, bytes(16)),
    ]
    assert len({fixed.digest(), *(other.digest() for other in others)}) == 7


def test_the_two_numbers_are_the_first_half_of_the_digest() -> None:
    digest = CHALLENGE.digest()
    assert split_challenge(digest) == (digest[:8], digest[8:16])


def test_a_challenge_is_fresh_each_time_and_takes_its_chance_from_outside() -> None:
    assert challenge().nonce != challenge().nonce
    assert Challenge.new("e", "t", NOW, token_bytes=bytes) == Challenge("e", "t", int(NOW.timestamp()), bytes(16))


@pytest.mark.parametrize(
    "change",
    [
        {"enrolment_id": ""},
        {"terminal_id": "x" * 129},
        {"terminal_id": "a\nb"},
        {"issued_at": -1},
        {"issued_at": 1 << 60},
        {"nonce": bytes(15)},
    ],
)
def test_a_challenge_out_of_bounds_cannot_be_made(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as error:
        replace(CHALLENGE, **change)
    assert error.value.code == "bad_chip_challenge"


def test_a_challenge_survives_its_json() -> None:
    assert Challenge.from_json(CHALLENGE.to_json()) == CHALLENGE


@pytest.mark.parametrize("evidence", [SHARED_KEY, SIGNING, DECLARED, Evidence(SIGNING.reading)])
def test_evidence_survives_its_json(evidence: Evidence) -> None:
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert Evidence.from_json(evidence.to_json().encode()) == evidence


def test_what_is_stored_has_no_holder_and_is_judged_alike() -> None:
    stored = SHARED_KEY.without_holder()
    assert '"holder_records"' in SHARED_KEY.to_json()
    assert "holder" not in stored.to_json()
    assert DESK.judge(stored, CHALLENGE).key_reference == DESK.judge(SHARED_KEY, CHALLENGE).key_reference
    assert DECLARED.without_holder() == DECLARED


def test_repr_shows_nothing_of_card_or_holder() -> None:
    text = repr(SHARED_KEY) + repr(DECLARED)
    assert "0000000" not in text
    assert "测试" not in text


def test_an_answer_without_a_reading_is_no_evidence() -> None:
    for parts in ((None, None, None), (None, SIGNING.answer, None), (SIGNING.reading, None, DECLARED.declared)):
        with pytest.raises(InvalidInput) as error:
            Evidence(*parts)
        assert error.value.code == "bad_chip_evidence"


def edited(edit: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(SHARED_KEY.to_json())
    edit(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "\ud800",
        b"\xff\xfe",
        "[" * 5000,
        " " * 20000,
        SHARED_KEY.to_json()[:-1],
        SHARED_KEY.to_json().replace("{", '{"format":"ecard-chip-evidence/1",', 1),
        edited(lambda d: d.update(format="ecard-chip-evidence/2")),
        edited(lambda d: d.update(assurance="signature")),
        edited(lambda d: d.update(declared=DECLARED.declared.text if DECLARED.declared else "")),
        edited(lambda d: d.pop("reading")),
        edited(lambda d: d.update(reading=[])),
        edited(lambda d: d["reading"].pop("atr")),
        edited(lambda d: d["reading"].update(profile="ssse-1")),
        edited(lambda d: d["reading"].update(atr="3b6d")),
        edited(lambda d: d["reading"].update(atr="3B6")),
        edited(lambda d: d["reading"].update(atr="3B 6D")),
        edited(lambda d: d["reading"].update(atr=59)),
        edited(lambda d: d["reading"].update(atr="3B" * 34)),
        edited(lambda d: d["reading"].update(certificate="00" * 4097)),
        edited(lambda d: d["reading"].update(certificate=None)),
        edited(lambda d: d["reading"].update(issuer_records={})),
        edited(lambda d: d["reading"].update(issuer_records={"1": ""})),
        edited(lambda d: d["reading"].update(issuer_records={"01": ["00"]})),
        edited(lambda d: d["reading"].update(issuer_records={f"{tag:02X}": "" for tag in range(33)})),
        edited(lambda d: d["answer"].update(challenge="00" * 31)),
        edited(lambda d: d["answer"].update(data="00" * 257)),
        edited(lambda d: d["answer"].update(data=True)),
    ],
)
def test_evidence_that_is_not_exactly_of_the_format_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput) as error:
        Evidence.from_json(text)
    assert error.value.code == "bad_chip_evidence"
    with pytest.raises(InvalidInput) as error:
        Challenge.from_json(text)
    assert error.value.code == "bad_chip_challenge"


def test_a_challenge_json_of_other_types_is_refused() -> None:
    for member, value in (("issued_at", 1.5), ("issued_at", True), ("nonce", "00"), ("nonce", 1), ("terminal_id", 1)):
        document = {**json.loads(CHALLENGE.to_json()), member: value}
        with pytest.raises(InvalidInput) as error:
            Challenge.from_json(json.dumps(document))
        assert error.value.code == "bad_chip_challenge"


def test_an_answer_out_of_bounds_cannot_be_made() -> None:
    for parts in ((bytes(31), b""), (bytes(32), bytes(257))):
        with pytest.raises(ChipFault) as fault:
            Answer(*parts)
        assert fault.value.code == "chip_answer_malformed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8).map(bytes.hex),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ["declared", "reading", "answer", "atr", "fci", "issuer_records", "holder_records", "certificate", "data"]


@settings(deadline=None)
@given(st.sampled_from([SHARED_KEY, SIGNING]), st.lists(st.tuples(st.sampled_from(MEMBERS), JSON), max_size=3))
def test_only_our_errors_come_of_any_document(evidence: Evidence, edits: list[tuple[str, object]]) -> None:
    document = json.loads(evidence.to_json())
    for member, value in edits:
        inner = document.get("reading")
        at_top = member in ("declared", "reading", "answer") or not isinstance(inner, dict)
        (document if at_top else inner)[member] = value
    try:
        DESK.judge(Evidence.from_json(json.dumps(document)), CHALLENGE)
    except EcardError:
        pass


@settings(deadline=None)
@given(st.sampled_from([SHARED_KEY, SIGNING]), st.integers(0), st.binary(min_size=1, max_size=3))
def test_only_our_errors_come_of_damaged_text(evidence: Evidence, position: int, damage: bytes) -> None:
    text = evidence.to_json().encode()
    position %= len(text)
    try:
        DESK.judge(Evidence.from_json(text[:position] + damage + text[position + len(damage) :]), CHALLENGE)
    except EcardError:
        pass


def test_the_example_in_the_format_description_is_real() -> None:
    page = (Path(__file__).parents[3] / "docs/formats/chip-evidence.md").read_text("utf-8")
    example = next(
        block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "ecard-chip-evidence/1" in block
    )
    evidence = Evidence.from_json(example)
    assert evidence.reading is not None
    assert evidence.reading.profile.id == "test:ssse-1"
