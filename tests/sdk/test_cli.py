"""The one command: its help, its exit codes, and what a user sees of an error."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from ecard_card import errors
from ecard_sdk import cli


def fake(monkeypatch: pytest.MonkeyPatch, work: Callable[[], int]) -> None:
    """One command, `act`, that does `work`."""

    class Entry:
        name, extras = "act", ()

        def load(self) -> Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None]:
            return lambda commands: commands.add_parser("act").set_defaults(func=lambda options: work())

    monkeypatch.setattr(cli, "entry_points", lambda group: [Entry()])


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def test_help_reads_well_and_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert "verify" in shown
    assert "Exit status" in shown


@pytest.mark.parametrize("arguments", [["nonsense"], [], ["verify", "--nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidInput("bad_json"), 2),
        (errors.NotFound("card_unknown"), 5),
        (errors.CheckFailed("bad_signature"), 1),
        (errors.ChipFault("chip_removed"), 1),
        (errors.Conflict("card_exists"), 1),
        (errors.RuleViolation("card_change_impossible"), 1),
        (errors.NotAllowed("not_allowed"), 1),
        (errors.NotAuthenticated("not_authenticated"), 1),
        (errors.Unavailable("database_unavailable"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_class_of_error_has_its_exit_code(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(monkeypatch, raising(error))
    assert cli.main(["act"]) == status
    shown = capsys.readouterr()
    assert not shown.out
    assert "Traceback" not in shown.err
    if isinstance(error, errors.EcardError):
        assert error.code in shown.err


def test_what_a_command_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, lambda: 4)
    assert cli.main(["act"]) == 4


def test_a_command_whose_extra_is_missing_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint("always", "x:y", "ecard.commands"),
        EntryPoint("never", "x:y [service,reader]", "ecard.commands"),
    ]
    monkeypatch.setattr(cli, "find_spec", lambda module: None if module == "smartcard" else object())
    assert [entry.name for entry in cli._runnable(entries)] == ["always"]


@pytest.mark.parametrize("arguments", [["act"], ["many", "one"]])
def test_a_command_that_is_named_is_loaded_alone(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start of every command would else pay for the modules of all."""
    loaded: list[str] = []

    class Entry:
        extras = ()

        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None]:
            loaded.append(self.name)
            verb = self.name.rpartition(".")[2]
            return lambda commands: commands.add_parser(verb).set_defaults(func=lambda options: 7)

    names = ["act", "actor", "many.one", "many.two", "other"]
    monkeypatch.setattr(cli, "_GROUPS", {"many": "several"})
    monkeypatch.setattr(cli, "entry_points", lambda group: [Entry(name) for name in names])
    assert cli.main(arguments) == 7
    assert loaded == [name for name in names if name.partition(".")[0] == arguments[0]]
    for everything in ([], ["--help"], ["nonsense"]):
        loaded.clear()
        with pytest.raises(SystemExit):
            cli.main(everything)
        assert loaded == names


def test_nobody_reading_on_is_no_traceback() -> None:
    reader = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    reader.wait()
    shown = subprocess.run(
        [sys.executable, "-m", "ecard_sdk.cli", "verify", "--offline", "/nonexistent", "EC1:X"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 3
    assert "Traceback" not in shown.stderr
    assert "BrokenPipe" not in shown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["EC1:SECRET"],
        ["verify", "EC1:SECRET", "PART SECRET", "$x"],
        ["verify", "--minimum-assurance", "SECRET", "EC1:A"],
        ["verify", "--SECRET", "EC1:A"],
    ],
)
def test_a_wrong_command_line_is_not_repeated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unquoted code falls apart at its spaces; the shell's screen and logs are no place for its pieces."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert "SECRET" not in shown.out + shown.err
    assert "usage: ecard" in shown.err
