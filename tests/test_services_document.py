"""`docs/services.md`: every line of the brochure once, with a place that exists and a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ecard_sdk.cli import command_line
from tests.test_documents import ROOT

LINES = 104
_ROW = re.compile(r"\| ([0-9]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)[^`]*`")
_COMMAND = re.compile(r"`ecard ([a-z]+(?: [a-z]+)*)")


def rows() -> dict[int, tuple[str, str, str]]:
    text = (ROOT / "docs/services.md").read_text(encoding="utf-8")
    found = [match.groups() for line in text.splitlines() if (match := _ROW.fullmatch(line))]
    assert [int(number) for number, *_ in found] == list(range(1, LINES + 1))
    return {int(number): (line.strip(), place.strip(), test.strip()) for number, line, place, test in found}


ROWS = rows()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Every route of the two services, as the API description has it, with the names in paths left out."""
    from ecard_issuer.web.embedded import embed
    from tests.issuer.service import open_service

    service = open_service(tmp_path_factory.mktemp("routes"))
    try:
        paths = embed(service.issuer).app.openapi()["paths"]
    finally:
        service.issuer.close()
    return {(method.upper(), bare(path)) for path, methods in paths.items() for method in methods}


def bare(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("number", ROWS)
def test_a_line_says_where_it_lives_and_names_a_test(number: int) -> None:
    _, place, tests = ROWS[number]
    assert place != "—", "nobody says where this line lives"
    named = _TEST.findall(tests)
    assert named, "no test is named"
    for path, name in named:
        assert name.startswith("test_")
        assert name in names_in(ROOT / path), f"{path} has no {name}"


@pytest.mark.parametrize("number", ROWS)
def test_a_routes_or_command_of_a_line_exists(number: int, routes: set[tuple[str, str]]) -> None:
    _, place, _ = ROWS[number]
    for method, path in _ROUTE.findall(place):
        assert (method, bare(path)) in routes or path == "/programme", f"{method} {path}"
    top = command_line()
    for command in _COMMAND.findall(place):
        with pytest.raises(SystemExit) as end:
            top.parse_args([*command.split(), "--help"])
        assert end.value.code == 0, command
