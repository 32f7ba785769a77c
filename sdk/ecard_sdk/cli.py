"""`ecard`, the one command. Its subcommands come from entry points, so a base install shows only what it can run."""

from __future__ import annotations

import argparse
import locale
import os
import re
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from typing import NoReturn

from ecard_card.errors import (
    ApprovalNeeded,
    CheckFailed,
    ChipFault,
    Conflict,
    EcardError,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RuleViolation,
)
from ecard_card.messages import language, text

#: The module by which we know that an extra is installed.
_PROBES = {
    "service": "sqlalchemy",
    "image": "qrcode",
    "reader": "smartcard",
    "desk": "wsproto",
    "vault": "hvac",
    "hsm": "pkcs11",
}

#: Commands whose verbs come from several rooms: an entry point `key.serve` adds verbs to `ecard key`.
_GROUPS = {
    "bundle": "the offline bundle that verifiers carry",
    "key": "the keys that sign, and the process that may hold them",
    "trust": "the trust list, the roots that sign it, and their ceremony",
}

_EXIT_CODES: tuple[tuple[type[EcardError], int], ...] = (
    (InvalidInput, 2),
    (NotFound, 5),
    (CheckFailed, 1),
    (ChipFault, 1),
    (Conflict, 1),
    (RuleViolation, 1),
    (NotAllowed, 1),
    (NotAuthenticated, 1),
    (ApprovalNeeded, 4),
)
_RUNTIME_FAULT = 3

_EPILOG = """\
Data goes to standard output, talk to standard error; --json gives one JSON document.
Exit status: 0 done or valid, 1 refused, 2 wrong usage, 3 undecided or a fault on our side,
4 another admin must approve, 5 not found."""


def command_line(only: str = "") -> argparse.ArgumentParser:
    """The parser of all commands that this installation can run; where `only` names one of them, of that one: to load
    the others would be most of the time that it takes to start."""
    parser = _Parser(
        prog="ecard",
        description="The authority behind electronic cards: issue, bind to chips, verify, revoke.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ecard {version('ecard')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[_Parser]] = {}
    found = entry_points(group="ecard.commands")
    named = [entry for entry in found if entry.name.partition(".")[0] == only]
    for command in _runnable(named) or _runnable(found):
        group, dot, _ = command.name.partition(".")
        if dot and group not in groups:
            itself = commands.choices.get(group)  # does something without a verb too, where its extra is installed
            verbs = itself or commands.add_parser(group, help=_GROUPS[group], description=_GROUPS[group])
            groups[group] = verbs.add_subparsers(title="commands", metavar="COMMAND", required=itself is None)
        command.load()(groups[group] if dot else commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status. No traceback reaches the user for an error of ours."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = command_line(arguments[0] if arguments else "").parse_args(arguments)
    try:
        return int(options.func(options))
    except EcardError as error:
        print(f"ecard: {error.code}: {text(error.code, language(_locale()))}", file=sys.stderr)
        if error.detail:
            print(f"  {error.detail}", file=sys.stderr)
        return next((status for kind, status in _EXIT_CODES if isinstance(error, kind)), _RUNTIME_FAULT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: say nothing at exit
        return _RUNTIME_FAULT
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line and repeats none of it: it may hold a code, or personal data."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(
            r"unrecognized arguments: .*", "too many arguments (quote a code: it may hold spaces)", message
        )
        message = re.sub(r"(invalid [a-z_ ]+): '.*'(?= \(choose from|$)", r"\1", message)
        super().error(message)


def _runnable(found: Iterable[EntryPoint]) -> list[EntryPoint]:
    """The commands whose extras are installed, by name."""
    return sorted(
        (entry for entry in found if all(find_spec(_PROBES[extra]) for extra in entry.extras)),
        key=lambda entry: entry.name,
    )


def _locale() -> str:
    return os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.getlocale()[0] or ""


if __name__ == "__main__":
    sys.exit(main())
