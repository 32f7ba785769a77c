"""What the page makes of what it reads, in Node: the same repairs as our own reader, whose code a text is, keys by
their speed, pictures by their first bytes."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ecard_card.errors import EcardError
from ecard_qr import base45, payload
from tests.require import needs_counter_page, needs_node
from tests.verifier.counter_page.fake import online_code

ROOT = Path(__file__).parents[3]
CODES = [row for row in json.loads((ROOT / "tests/vectors/qr/code.json").read_text(encoding="utf-8")) if "text" in row]


def ask(*requests: dict[str, Any]) -> list[Any]:
    """What `tests/node/counter_page.mjs` answers to each request."""
    needs_counter_page()
    command = [needs_node(), str(ROOT / "tests/node/counter_page.mjs")]
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, timeout=60, check=True)
    return list(json.loads(done.stdout))


def is_whole(text: str) -> bool:
    """As our own reader says it."""
    try:
        payload.decode(text)
    except EcardError as error:
        return error.code not in ("code_damaged", "unreadable_code")
    return True


def mangled(text: str, dice: random.Random) -> str:
    at = dice.randrange(4, len(text))
    return dice.choice(
        (
            text[:at] + text[at + 1 :],
            text[:at] + dice.choice("ABCXYZ234567 $%") + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
            text[:at],
        )
    )


def test_a_text_is_whole_exactly_when_our_own_reader_says_so() -> None:
    dice = random.Random(6)  # noqa: S311 - damage, not a secret
    texts = [row["text"] for row in CODES] + [online_code() for _ in range(20)] + ["EC0:", "EC1:", "EC0:A", "EC1:A"]
    texts += ["EC1:" + base45.encode(dice.randbytes(n)) for n in range(1, 20)] + ["EC1:ZZZ", "EC1::::", "EC1:::"]
    texts += [mangled(text, dice) for text in texts if len(text) > 20 for _ in range(20)]
    assert len(texts) > 400
    answers = ask(*({"call": "whole", "read": text} for text in texts))
    assert [(text, answer) for text, answer in zip(texts, answers, strict=True) if answer != is_whole(text)] == []
    assert answers.count(False) > 100
    assert ask({"call": "crc16", "bytes": b"123456789".hex()}) == [0x29B1]


def full_width(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


def test_what_input_methods_and_caps_lock_do_is_undone_and_nothing_else() -> None:
    code = online_code()
    for bent in (code, code.lower(), full_width(code), full_width(code.lower()), f"\t {code}\r\n"):
        assert ask({"call": "classify", "read": bent}) == [{"kind": "code", "text": code}]
    (offline,) = (row["text"] for row in CODES if row["name"] == "EC1")
    assert ask({"call": "classify", "read": f"{offline}\n"}, {"call": "repair", "read": "ＥＣ２：ａé"}) == [
        {"kind": "code", "text": offline},
        "EC2:Aé",
    ]
    for number in ("0123456789", "01234 56789", "012-345-6789", "０１２３４５６７８９"):
        assert ask({"call": "classify", "read": number}) == [{"kind": "number", "text": "0123456789"}]


FOREIGN = {
    "foreign_payment": (
        *("2812345678901234", "30123456789012345678901234"[:24], "281234567890123456789012345"),
        *("134567890123456789", "6212345678901234567", "wxp://f2f0AbC", "https://qr.alipay.com/fkx1"),
    ),
    "foreign_id_card": ("11010519491231002X", "11010519491231002x"),
    "foreign_url": ("https://example.com/EC0:ABC", "HTTP://EXAMPLE.COM", "www.example.com", "mailto:a@example.com"),
    "foreign_insurance": ("https://fuwu.nhsa.gov.cn/x", "410100a6ok3h0k5sql0e500ac1000000"),
    "foreign_ticket": ("M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 226F001A0025 100", "7" * 144),
    "unreadable_code": ("hello", "6901234567892", "EC2:ABC", "EC", "", "{}", "x" * 5000, "1" * 11, "\x00", "王小明"),
}


def test_what_is_not_ours_is_told_by_its_kind() -> None:
    rows = [(reason, text) for reason, texts in FOREIGN.items() for text in texts]
    answers = ask(*({"call": "classify", "read": text} for _, text in rows))
    assert answers == [{"kind": "foreign", "reason": reason} for reason, _ in rows]
    kept = [text for _, text in rows]
    assert all(not payload_accepts(text) for text in kept), "nothing of ours is among them"


def payload_accepts(text: str) -> bool:
    try:
        payload.parse(text)
    except EcardError:
        return False
    return True


def test_of_two_codes_in_a_picture_ours_is_taken_and_two_of_ours_are_said() -> None:
    first, second = online_code(), online_code()
    pay, number = "134567890123456789", "0123456789"
    asked = [[first, pay], [pay, first], [first, first.lower()], [first, number], [first, second], [number, "9" * 10]]
    ours = {"kind": "code", "text": first}
    two = {"kind": "two"}
    payment = {"kind": "foreign", "reason": "foreign_payment"}
    answers = ask(*({"call": "chosen", "texts": texts} for texts in [*asked, ["hello", pay], []]))
    assert answers == [ours, ours, ours, ours, two, two, payment, None]


# The scanner that types


def keys(text: str, gap: float, **more: Any) -> list[list[Any]]:
    return [[gap, {"key": sign, **more}] for sign in text]


ENTER = [20, {"key": "Enter"}]


def scanned(*rows: list[list[Any]]) -> list[dict[str, Any]]:
    return ask(*({"call": "typed", "keys": row} for row in rows))


@pytest.mark.parametrize("gap", [2, 15, 40, 60])
def test_a_scanner_is_heard_with_enter_and_without(gap: float) -> None:
    code = online_code()
    closed, silent = scanned([*keys(code, gap), [gap, {"key": "Enter"}]], keys(code, gap))
    assert [one["text"] for one in closed["done"]] == [code]
    assert all(closed["taken"][4:]), "nothing else gets its keys"
    assert [one["text"] for one in silent["done"]] == [code]
    assert silent["done"][0]["at"] == pytest.approx(len(code) * gap + 80), "80 ms of silence end it"


def test_a_person_is_not_a_scanner() -> None:
    slow = scanned([*keys(online_code(), 120), [120, {"key": "Enter"}]], keys("hello", 30), keys("0123456789", 110))
    assert [one["done"] for one in slow] == [[], [], []]
    assert not any(slow[0]["taken"])


def test_a_scanner_that_halts_once_is_still_one() -> None:
    code = online_code()
    halting = keys(code, 20)
    halting[90][0] = 250
    halted, gone = scanned([*halting, ENTER], keys(code[:60], 20))
    assert [one["text"] for one in halted["done"]] == [code]
    assert [(one["text"], one["at"]) for one in gone["done"]] == [(code[:60], 60 * 20 + 320)]


def test_two_texts_one_after_the_other_are_two() -> None:
    first, second = online_code(), online_code()
    once, silent = scanned([*keys(first, 15), ENTER, *keys(second, 15), ENTER], [*keys(first, 15), *keys(second, 15)])
    assert [one["text"] for one in once["done"]] == [first, second]
    apart = keys(second, 15)
    apart[0][0] = 600
    (both,) = scanned([*keys(first, 15), *apart])
    assert [one["text"] for one in both["done"]] == [first, second]
    assert len(silent["done"]) == 1, "no pause and no Enter: one text, which no reader accepts"


def test_alt_codes_are_characters() -> None:
    code = online_code()
    pressed: list[list[Any]] = []
    for sign in code:
        pressed += [[4, {"key": "Alt", "altKey": True}]]
        pressed += [[4, {"key": digit, "code": f"Numpad{digit}", "altKey": True}] for digit in f"0{ord(sign)}"]
        pressed += [[4, {"key": "Alt", "up": True}]]
    (answer,) = scanned([*pressed, ENTER])
    assert [one["text"] for one in answer["done"]] == [code]


def physical(sign: str) -> dict[str, Any]:
    code = f"Key{sign}" if sign.isalpha() else f"Digit{sign}" if sign.isdigit() else "Semicolon"
    return {"code": code, "shiftKey": sign.isalpha() or sign == ":"}


def test_an_input_method_that_swallows_keys_is_seen_and_seen_through() -> None:
    code = online_code()
    swallowed = [[20, {"key": "Process", "isComposing": True, **physical(sign)}] for sign in code]
    (answer,) = scanned([*swallowed, ENTER])
    assert [(one["text"], one["inputMethod"]) for one in answer["done"]] == [(code, True)]
    (plain,) = scanned([*keys(code, 20), ENTER])
    assert plain["done"][0]["inputMethod"] is False


def test_shortcuts_and_held_keys_are_nobodys_text() -> None:
    code = online_code()
    noise = [[5, {"key": "v", "ctrlKey": True}], [5, {"key": "E", "repeat": True}], [5, {"key": "Shift"}]]
    (answer,) = scanned([*noise, *keys(code, 20), ENTER])
    assert [one["text"] for one in answer["done"]] == [code]


# The camera


def test_a_phone_that_is_held_still_is_one_showing() -> None:
    code, other = online_code(), online_code()
    fresh = code[:40] + other[40:]
    (answer,) = ask(
        {
            "call": "showings",
            "seen": [
                *([code, 0, True], [code, 500], [fresh, 7900], [other, 8000, False], [other, 8100]),
                *([other[:40] + code[40:], 8200], [code, 60_000], [code, 70_000]),
            ],
        }
    )
    assert answer == [True, False, False, True, False, True, True, True]


# Pictures


def drawn(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, kind)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + bytes(64)


def test_pictures_are_known_by_their_first_bytes() -> None:
    good = [drawn(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
    webp = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(webp, "WEBP", lossless=True)
    good.append(webp.getvalue())
    answers = ask(*({"call": "inspect", "bytes": data.hex()} for data in good))
    assert answers == [{"width": 40, "height": 30}] * len(good)


def test_what_would_be_enormous_or_is_no_picture_is_refused_before_it_is_decoded() -> None:
    bad = {
        "picture_pixels": (png_of(60_000, 60_000), png_of(2**32 - 1, 2**32 - 1), png_of(8000, 7000)),
        "picture_heic": (b"\x00\x00\x00\x18ftypheic" + bytes(40),),
        "picture_damaged": (png_of(0, 10), b"\xff\xd8" + bytes(40), b"\xff\xd8\xff\xe0\x00\x00" + b"\xff" * 40),
        "picture_kind": (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>" + bytes(40),
            b"%PDF-1.7" + bytes(40),
            b"",
            b"PNG",
        ),
    }
    rows = [(reason, data) for reason, many in bad.items() for data in many]
    answers = ask(*({"call": "inspect", "bytes": data.hex()} for _, data in rows))
    assert answers == [{"reason": reason} for reason, _ in rows]


# What the service said, and who hears of it


def test_an_answer_that_is_none_is_undecided_and_never_valid() -> None:
    whole = {"outcome": "valid", "reason": "ok", "scan_id": "a", "shown": {"name": "王**"}}
    bad: list[Any] = [
        *(None, [], "valid", 1, {}, {**whole, "outcome": "VALID"}, {**whole, "reason": None}),
        *({**whole, "scan_id": "b"}, {k: v for k, v in whole.items() if k != "scan_id"}),
    ]
    good, *others = ask(*({"call": "understood", "answer": one} for one in [whole, *bad]))
    assert (good["outcome"], good["shown"]) == ("valid", {"name": "王**"})
    assert {(one["outcome"], one["reason"], str(one["shown"])) for one in others} == {
        ("undecided", "answer_unknown", "{}")
    }
    (damaged,) = ask({"call": "understood", "answer": {**whole, "outcome": "invalid", "reason": "code_damaged"}})
    assert damaged["outcome"] == "undecided", "a misread is nobody's fault but ours"


def test_other_systems_hear_an_id_and_only_where_the_service_allows() -> None:
    his, query = "https://his.example", "?state=s1&return=https://his.example/back?x=1"
    cases = ask(
        {"call": "integrate", "query": query, "origins": [his], "id": "ver_1"},
        {"call": "integrate", "query": query, "origins": ["*", "https://evil.example"], "id": "ver_1"},
        {"call": "integrate", "query": query, "origins": [his], "id": None},
        {"call": "integrate", "query": "?return=javascript:alert(1)", "origins": ["null"], "id": "ver_1"},
        {"call": "integrate", "query": "?return=https://his.example@evil.example/", "origins": [his], "id": "ver_1"},
    )
    message = {"type": "ecard:verification", "verification_id": "ver_1", "state": "s1"}
    assert cases[0] == {"told": [[message, his]], "address": f"{his}/back?x=1&verification_id=ver_1&state=s1"}
    assert cases[1] == {"told": [[message, "https://evil.example"]], "address": None}
    assert cases[2] == {"told": [], "address": None}
    assert [case["address"] for case in cases[3:]] == [None, None]


def test_a_cell_is_never_a_formula() -> None:
    row = {"at": "2026-11-30T10:00:00Z", "outcome": "valid", "reason": '=cmd|"x"', "purpose": "a,b"}
    (text,) = ask({"call": "csv", "items": [row]})
    assert text.splitlines() == [
        "at,outcome,reason,reference,purpose,way",
        '2026-11-30T10:00:00Z,valid,"\'=cmd|""x""",,"a,b",',
    ]
