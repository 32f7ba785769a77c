"""Every stable code that a person may meet has a text in English and Chinese; found by reading our own sources."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ecard_card import errors, messages
from ecard_verifier.verdict import OUTCOMES

ROOT = Path(__file__).parents[1]
ROOMS = ("card", "keys", "qr", "verifier", "issuer", "sdk", "demo")
FAMILY = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.EcardError)}
#: Calls of ours that take a code at this position.
TAKERS = {"problem": 2, "_refused": 2}


@cache
def nodes() -> tuple[tuple[Path, tuple[ast.AST, ...]], ...]:
    """What our sources consist of, file by file: the nodes that some test below looks at."""
    wanted = (ast.Call, ast.ClassDef, ast.FunctionDef, ast.Assign)
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    return tuple((path, tuple(node for node in ast.walk(tree) if isinstance(node, wanted))) for path, tree in trees)


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def family() -> set[str]:
    """The names of the error classes, with those that a room derives from them."""
    names = set(FAMILY)
    for _, found in nodes():
        for node in found:
            if isinstance(node, ast.ClassDef) and {ast.unparse(base).split(".")[-1] for base in node.bases} & names:
                names.add(node.name)
    return names


@cache
def codes() -> dict[str, str]:
    """Each code and a place where it is raised or returned."""
    found: dict[str, str] = dict.fromkeys(OUTCOMES, "ecard_verifier.verdict.OUTCOMES")
    names = family()
    for path, inside in nodes():
        for node in inside:
            for literal in literals(node, names):
                found.setdefault(literal, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    return found


def literals(node: ast.AST, names: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Call):
        position = 0 if called(node) in names else TAKERS.get(called(node), -1)
        if 0 <= position < len(node.args):
            yield from _texts(node.args[position])
    elif isinstance(node, ast.FunctionDef) and node.name == "accepts":  # a trusted key says why it may not have signed
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _texts(inner.value)
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_OF_STATUS" and node.value is not None:
        assert isinstance(node.value, ast.Dict)
        for value in node.value.values:
            yield from _texts(value)


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def test_every_code_has_a_text_in_english_and_chinese() -> None:
    found = codes()
    assert len(found) > 100, "the scan no longer sees our errors"
    missing = {code: place for code, place in sorted(found.items()) if code not in messages.codes()}
    assert not missing, f"no text in card/ecard_card/messages.json for {missing}"


def test_the_reasons_of_refusals_are_among_the_codes() -> None:
    assert {"replayed", "key_compromised", "bad_signature", "code_expired", "suspended", "ended"} <= codes().keys()


@pytest.mark.parametrize("code", sorted(messages.codes()))
def test_a_text_is_for_people(code: str) -> None:
    english, chinese = messages.text(code, "en"), messages.text(code, "zh")
    assert re.fullmatch(r"[a-z0-9_]{2,60}", code)
    assert english != code
    assert english.strip() == english
    assert len(english) > 3
    assert re.search(r"[\u4e00-\u9fff]", chinese), "the Chinese text is Chinese"
    assert not re.search(r"[\u4e00-\u9fff]", english), "the English text is English"


@pytest.mark.parametrize("code", sorted(messages.codes()))
def test_a_developer_is_told_what_to_do_about_a_code(code: str) -> None:
    english, chinese = messages.help_text(code, "en"), messages.help_text(code, "zh")
    assert len(english) > 10
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_help_of_its_own_is_for_codes_that_there_are() -> None:
    """And it stands in one place."""
    folder = ROOT / "card/ecard_card"
    own = json.loads((folder / "help.json").read_text(encoding="utf-8"))["codes"]
    assert own.keys() <= messages.codes()
    assert {"rate_limited", "idempotency_key_reused", "not_authenticated"} <= own.keys()
    table = json.loads((folder / "messages.json").read_text(encoding="utf-8"))
    assert all(texts.keys() == {"en", "zh"} for texts in table.values())


def test_few_codes_are_left_to_the_help_that_fits_all() -> None:
    general = messages.help_text("no such code at all, so the last kind")
    left = [code for code in messages.codes() if messages.help_text(code) == general]
    assert len(left) < len(messages.codes()) / 10


def test_a_code_is_written_where_its_error_is_raised() -> None:
    """First arguments are literals, or the reason that a trusted key gave."""
    odd = []
    for path, inside in nodes():
        for node in inside:
            if isinstance(node, ast.Call) and called(node) in FAMILY:
                first = node.args[0] if node.args else None
                if not (first is not None and (list(_texts(first)) or ast.unparse(first) == "refusal")):
                    odd.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:80]}")
    assert not odd
