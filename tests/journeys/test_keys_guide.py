"""`docs/keys.md`, run: each `sh` block of the guide as it stands, with a real OpenBao and a real SoftHSM2.

What differs from the page, and nothing else: addresses, ports, folders of the system, and its users (`_replace`); the
verifiers' cache, so that a lead lasts a second; and `sleep`, which in one story moves the clock instead of waiting. A
line that ends in `# exit status N` must end so, every other one with 0. A block `sh service` runs beside the following
ones; `sh no-test` says in its first line why it does not run here. `ecard` is `tests.journeys.warm_ecard`, services are
the program itself.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ecard_card.messages import codes
from ecard_keys.key import KeyState
from tests.journeys.warm_ecard import CLIENT
from tests.openbao import OpenBao
from tests.require import require
from tests.softhsm import require_softhsm

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "keys.md"
_LIMIT_S = 120
_SET_UP = ("First set-up", "Two admins")
_CEREMONIES = (
    "Roots offline: a ceremony from zero",
    "The yearly ceremony",
    "A lost or stolen root holder",
    "Many issuers, one list",
)
#: Sections of the guide that are read in one go, each story in a folder of its own; all but that of `_CEREMONIES` go on
#: where the set-up ended.
STORIES = {
    "rotation": ("What key list says", "Rotating by hand", "Rotating by schedule", "A stolen key"),
    "backup": ("Backup and restore", "Metrics"),
    "openbao": ("Keys in OpenBao or Vault",),
    "hsm": ("Keys on an HSM",),
    "sm2": ("SM2 keys",),
    "signer": ("The signer as a process of its own",),
    "ceremonies": _CEREMONIES,
    "roots-leave": ("Moving the roots offline",),
}
_CACHE = {"ECARD_VERIFIER_CACHE_SECONDS=86400": "ECARD_VERIFIER_CACHE_SECONDS=0"}
_BLOCK = re.compile(r"^```sh(?: (service|no-test))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDING = re.compile(r"\s*(\S.*?)\s+# exit status (\d)\b.*")

_HEAD = """
set -euo pipefail
services=()
trap '((${#services[@]})) && kill "${services[@]}"; wait' EXIT
"""
_SERVICE = """
PATH={path} bash {script} > {log} 2>&1 &
services+=($!)
until grep -qE '^(listening on|API: )' {log}; do kill -0 "${{services[-1]}}" || {{ cat {log}; exit 91; }}; {nap}; done
"""
_CHECKED = """\
status=0; {command} || status=$?
test $status = {status} || {{ echo "GUIDE: ended with $status, not {status}: "{quoted}; exit 90; }}"""


def sections() -> dict[str, list[tuple[str, str]]]:
    """The blocks under each heading, as mark and text."""
    parts = re.split(r"^## (.+)$", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {parts[i]: _BLOCK.findall(parts[i + 1]) for i in range(1, len(parts), 2)}


def _script(told: Sequence[str], folder: Path) -> str:
    """The sections as one script."""
    found, lines = sections(), [_HEAD]
    for section in told:
        lines.append(f"echo '=== {section}'")
        for mark, block in found[section]:
            if mark == "service":
                *before, command = block.splitlines()
                service = folder / f"service-{len(lines)}.sh"
                service.write_text("\n".join([*before, f"exec {command}"]), "utf-8")
                log = folder / f"service-{len(lines)}.log"
                path = os.environ["PATH"] + ":" + str(Path(sys.executable).parent)
                nap = f"{shutil.which('sleep')} 0.05"
                lines.append(_SERVICE.format(path=shlex.quote(path), script=service, log=log, nap=nap))
            elif not mark:
                lines += [_checked(line) for line in block.splitlines()]
    return "\n".join(lines)


def _checked(line: str) -> str:
    match = _ENDING.fullmatch(line)
    if match is None:
        return line
    return _CHECKED.format(command=match[1], status=match[2], quoted=shlex.quote(match[1]))


def _replace(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def warm_ecard() -> Iterator[Path]:
    """A folder with the program `ecard`."""
    with tempfile.TemporaryDirectory(prefix="ecard-warm-") as name:
        folder = Path(name)
        place = folder / "socket"
        command = [sys.executable, "-m", "tests.journeys.warm_ecard", str(place)]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ECARD_")}
        with subprocess.Popen(
            command, cwd=ROOT, env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                program = folder / "ecard"
                program.write_text(CLIENT.format(python=sys.executable, socket=str(place)), "utf-8")
                program.chmod(0o755)
                yield folder
            finally:
                assert server.stdin is not None
                server.stdin.close()
                server.wait(10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory, warm_ecard: Path) -> Path:
    """A folder in which the set-up was followed; `exports` has the settings that it left in the shell."""
    folder = tmp_path_factory.mktemp("set-up")
    script = _replace(_script(_SET_UP, folder), _CACHE)
    (folder / "guide.sh").write_text(f"{script}\nexport -p | grep ' ECARD_' > exports\n", "utf-8")
    _run(folder, _environment(folder, warm_ecard))
    return folder


@pytest.mark.parametrize("story", STORIES)
def test_the_guide_can_be_followed(
    story: str,
    tmp_path: Path,
    warm_ecard: Path,
    authority: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    before = ""
    if STORIES[story] is not _CEREMONIES:
        shutil.copytree(authority, tmp_path, dirs_exist_ok=True, symlinks=True)
        before = (tmp_path / "exports").read_text("utf-8").replace(str(authority), str(tmp_path))
    environment = _environment(tmp_path, warm_ecard) | _machine(story, tmp_path, request)
    (tmp_path / "guide.sh").write_text(before + _script(STORIES[story], tmp_path), "utf-8")
    changes = _changes(story, tmp_path, request)
    for path in (tmp_path / "guide.sh", *tmp_path.glob("service-*.sh")):
        path.write_text(_replace(path.read_text("utf-8"), changes), "utf-8")
    began = time.monotonic()
    _run(tmp_path, environment)
    record_property("counts", f"guide, {story}: {time.monotonic() - began:.1f} s")


def test_every_section_with_commands_is_in_a_story() -> None:
    told = {section for story in (_SET_UP, *STORIES.values()) for section in story}
    assert {name for name, blocks in sections().items() if any(mark != "no-test" for mark, _ in blocks)} == told


def test_blocks_that_do_not_run_are_few_and_say_why() -> None:
    left = [block for blocks in sections().values() for mark, block in blocks if mark == "no-test"]
    assert len(left) <= 2
    assert all(block.startswith("# ") for block in left)


def test_every_finding_and_no_unknown_code_stands_in_the_tables() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.MULTILINE))
    rules = (ROOT / "keys/ecard_keys/rotation.py").read_text(encoding="utf-8")
    findings = set(re.findall(r'Advice\(\s*[\w. ]+,\s*"(\w+)"', rules))
    assert len(findings) > 10
    assert not findings - told
    assert not {code for code in told if not code.startswith("ecard_")} - codes() - set(KeyState)


def _run(folder: Path, environment: dict[str, str]) -> None:
    """Run the folder's `guide.sh`; stop it, and the services that it started, if it takes too long."""
    with subprocess.Popen(
        ["bash", "guide.sh"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        try:
            said = run.communicate(timeout=_LIMIT_S)[0].decode()
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)  # a group of our own making
            said = run.communicate()[0].decode() + "\nGUIDE: takes too long"
    assert run.returncode == 0, said[-6000:]


def _environment(folder: Path, warm: Path) -> dict[str, str]:
    """Of somebody who has just logged in; `sleep` is short."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    _program(programs / "sleep", f"exec {shutil.which('sleep')} 0.1")
    path = f"{programs}:{warm}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _machine(story: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What a story needs to be there, and what it adds to the environment."""
    if story == "rotation":  # the wait before a key retires outlasts a minute: there `sleep` moves the clock
        clock = folder / "clock"
        clock.write_text("0")
        _program(folder / "programs" / "sleep", f'echo $(($(cat "{clock}") + $1)) > "{clock}"')
        return {"GUIDE_CLOCK": str(clock)}
    if story == "backup":
        require(shutil.which("curl") is not None, "curl", "apt-get install curl")
    if story == "hsm":
        require_softhsm()
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        return {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
    if story == "signer":
        for name in ("etc", "run", "lib"):
            (folder / name).mkdir(mode=0o750)
    if story == "openbao":
        server: OpenBao = request.getfixturevalue("openbao")
        server.admin().sys.disable_auth_method("approle")  # as its maker leaves it
        (folder / "programs" / "bao").symlink_to(server.program)
        (folder / "keys").symlink_to(ROOT / "keys")
        return {"BAO_TOKEN": server.root_token}
    return {}


def _changes(story: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What is called otherwise on this machine: addresses, ports, folders, users."""
    if story == "signer":
        user, group = pwd.getpwuid(os.getuid())[0], grp.getgrgid(os.getgid())[0]
        places = {f"/{tree}/ecard-signer": f"{folder}/{tree.rpartition('/')[2]}" for tree in ("etc", "run", "var/lib")}
        places["8420"] = str(_free_port())
        return _CACHE | places | {'user = "ecard"': f'user = "{user}"', 'group = "ecard"': f'group = "{group}"'}
    if story == "backup":
        return _CACHE | {port: str(_free_port()) for port in ("8420", "9420")}
    if story == "openbao":
        return _CACHE | {"https://bao.example:8200": request.getfixturevalue("openbao").address}
    return _CACHE


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
