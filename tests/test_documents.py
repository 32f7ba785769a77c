"""The documents tell the truth where a machine can see it: links, paths, commands, and nothing of anybody's machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ecard_sdk.cli import command_line

ROOT = Path(__file__).parents[1]
ROOMS = ("card", "keys", "qr", "verifier", "issuer", "sdk", "demo")
#: Made by a command or at run time, so not there in a fresh clone.
GENERATED = (".venv", ".slim", "build", "data", "dist")

_FENCE = re.compile(r"^```([\w -]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_SUFFIXES = (".py", ".md", ".json", ".toml", ".svg", ".sh", ".lock", ".yaml")
_COMMAND = re.compile(r"(?:\.venv/bin/)?(?:make|ecard) .+")


def documents() -> list[Path]:
    patterns = ("*.md", "docs/**/*.md", "examples/**/*.md", "tests/**/*.md")
    own = [path for pattern in patterns for path in ROOT.glob(pattern)]
    found = {*own, *(path for room in ROOMS for path in (ROOT / room).glob("README*.md"))}
    return sorted(path for path in found if "node_modules" not in path.parts)


def tracked() -> Iterator[tuple[Path, str]]:
    """Every text file in the repository, or about to be; without git, whatever is not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        names = [name for name in names if not any(p.startswith(".") or p in GENERATED for p in name.parts)]
    for name in names:
        if (ROOT / name).is_file():
            content = (ROOT / name).read_bytes()
            if b"\0" not in content:
                yield name, content.decode("utf-8")


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def exists(name: str, *bases: Path) -> bool:
    """Whether `name`, which may be a glob, is there as seen from one of `bases`."""
    return any(any(base.glob(name.rstrip("/"))) for base in bases)


def is_path(name: str) -> bool:
    """A slash, and either one of our folders in front or the ending of a file. Media types and URLs are neither."""
    head, slash, _ = name.partition("/")
    ours = (ROOT / head).is_dir() or name.endswith((*_SUFFIXES, "/"))
    return bool(slash) and bool(_PATH.fullmatch(name)) and ours and head not in GENERATED


def commands(path: Path) -> list[str]:
    """What a reader is told to type, in order: lines of fenced blocks, then spans of the text."""
    text = path.read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for _, block in _FENCE.findall(text) for line in block.splitlines()]
    found = [*lines, *_SPAN.findall(prose(text))]
    return [command for command in found if _COMMAND.fullmatch(command)]


def anchors(path: Path) -> set[str]:
    """The headings of a document as the forge names them."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_house_has_its_documents() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in documents()}
    expected = {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
    expected |= {"docs/architecture.md", "docs/trust.md", *(f"{room}/README.md" for room in ROOMS)}
    assert not expected - names


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken = []
    for groups in _LINK.findall(prose(path.read_text(encoding="utf-8"))):
        target, _, anchor = "".join(groups).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (path.parent / target).resolve() if target else path
        known = place.exists() and place.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(place)):
            broken.append("".join(groups))
    assert not broken


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_path_that_is_named_exists(path: Path) -> None:
    """As seen from the repository, from the document, or from the room's package."""
    bases = (ROOT, path.parent, path.parent / f"ecard_{path.parent.name}")
    named = {name for name in _SPAN.findall(prose(path.read_text(encoding="utf-8"))) if is_path(name)}
    assert not sorted(name for name in named if not exists(name, *bases))


def test_both_readmes_tell_the_same() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    assert commands(english) == commands(chinese)
    assert "(README.zh-CN.md)" in english.read_text(encoding="utf-8")
    assert "(README.md)" in chinese.read_text(encoding="utf-8")
    for pattern in (_SPAN, re.compile(r"^(#+) ", re.MULTILINE), re.compile(r"^\| ", re.MULTILINE)):
        same = [sorted(set(pattern.findall(prose(path.read_text(encoding="utf-8"))))) for path in (english, chinese)]
        assert same[0] == same[1]
    assert len(re.findall("^#", english.read_text(), re.MULTILINE)) == len(
        re.findall("^#", chinese.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_the_commands_of_the_readme_exist() -> None:
    """Each `make` target is in the Makefile, and each `ecard` line is one that its parser takes."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = [command.removeprefix(".venv/bin/").split() for command in commands(ROOT / "README.md")]
    assert {"demo", "check", "bench"} <= {words[1] for words in told if words[0] == "make"} <= targets
    parser = command_line()
    lines = [words[1:] for words in told if words[0] == "ecard" and words[1:] != ["--help"]]
    assert ["serve"] in lines
    for line in lines:
        parser.parse_args(line)


def test_the_picture_stands_by_itself() -> None:
    """Well-formed, with a text alternative, and nothing fetched from anywhere."""
    picture = (ROOT / "docs/story.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(picture)  # noqa: S314 - our own file
    names = {child.tag.rpartition("}")[2] for child in root}
    assert {"title", "desc"} <= names
    assert not re.search(r"href|script|@import|url\((?!#)", picture)


def test_a_decision_has_its_four_parts_and_stands_in_the_index() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert f"({path.name})" in index, path.name
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Refused", "Consequences")), path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is more than a page"


def test_the_index_of_decisions_is_in_order() -> None:
    numbers = re.findall(
        r"^\| \[(\d{4})\]", (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_listed_twice(path: Path) -> None:
    """A row that stands in a table twice, or a line in a list, was merged and not read since."""
    for block in prose(path.read_text(encoding="utf-8")).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith(("| ", "- "))]
        assert not {line for line in lines if lines.count(line) > 1}


def test_every_format_page_stands_in_the_index() -> None:
    index = (ROOT / "docs/formats/README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs/formats").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


def test_no_registry_and_no_path_of_a_machine_stands_in_any_file() -> None:
    """What is tracked works for everybody: hosts of registries and mirrors and home directories are somebody's own."""
    hosts = r"(?:pypi|pythonhosted|npmjs|crates|rubygems|maven|anaconda)\.(?:org|com|io)\b|(?:--|_|-)index-url\b"
    places = r"(?<![\w.}\"'])/(?:home|root|work|Users|mnt)/\w|(?<![\w.}])/tmp/\w|\b[A-Z]:\\Users"
    found = []
    for name, text in tracked():
        for number, line in enumerate(text.splitlines(), 1):
            if match := re.search(f"{hosts}|{places}", line):
                found.append(f"{name}:{number}: {match[0]}")
    assert not found
