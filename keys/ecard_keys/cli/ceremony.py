"""`ecard trust ceremony`: make a holder's keys and a root, show a plan, sign it, finish it, check the transcript.

Works on a machine without a network and without any extra. The transcript lies beside the plan, `PLAN.transcript`; each
command reads and verifies both before it does anything, so a ceremony may be interrupted anywhere and carried on.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ecard_card import jose
from ecard_card.errors import Conflict, InvalidInput, RuleViolation, Unavailable
from ecard_card.messages import Language, language
from ecard_keys.ceremony import ceremony
from ecard_keys.ceremony.plan import MAX_PLAN, Plan, indented, read_plan, require_root
from ecard_keys.ceremony.transcript import Transcript, read_transcript
from ecard_keys.ceremony.words import describe, describe_standing, say
from ecard_keys.homes.passphrase import ask
from ecard_keys.trust.root import (
    RootHolder,
    TrustRoot,
    holder_from_json,
    holder_to_json,
    read_root,
    root_to_json,
)
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.root_signature import MAX_DOCUMENT

_MAX_PASSPHRASE = 1024
_MAX_HOLDER = 16 << 10


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ceremony` and its verbs."""
    parser = commands.add_parser("ceremony", help="root holders sign a plan, offline")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    # No abbreviations: `--passphrase` would be taken for `--passphrase-file`, and a secret for a file's name.
    key = verbs.add_parser(
        "key", help="make one holder's key file, and print the public half to hand in", allow_abbrev=False
    )
    key.add_argument("file", type=Path, metavar="FILE", help="kept by the holder alone; made if there is none")
    key.add_argument("--name", help="how the root names the holder, for people")
    _passphrase_option(key)
    key.set_defaults(func=_key)

    root = verbs.add_parser("root", help="write a root from holders' public halves: the first, or the one after")
    root.add_argument("holders", type=Path, metavar="HOLDER", nargs="+", help="as `key` printed, one file a holder")
    root.add_argument("--threshold", type=int, metavar="N", required=True, help="how many of them must sign")
    root.add_argument("--after", type=Path, metavar="ROOT", help="the root that this one follows (default: the first)")
    root.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)
    root.set_defaults(func=_root)

    show = verbs.add_parser("show", help="what a plan changes, in words, with its digest, and who signed so far")
    _plan_argument(show)
    show.set_defaults(func=_show)

    sign = verbs.add_parser("sign", help="sign a plan with one holder's keys", allow_abbrev=False)
    _plan_argument(sign, root_needed=True)
    sign.add_argument("--key-file", type=Path, metavar="FILE", required=True, help="as `ecard trust ceremony key` made")
    _passphrase_option(sign)
    sign.add_argument("--yes", action="store_true", help="do not ask for the first group of the digest")
    sign.add_argument("--allow-expired", action="store_true", help="sign although the list before has expired")
    sign.set_defaults(func=_sign)

    finish = verbs.add_parser("finish", help="put the signatures together and verify the result as a client would")
    _plan_argument(finish)
    finish.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="for `ecard trust publish`")
    finish.set_defaults(func=_finish)

    check = verbs.add_parser("check", help="verify a transcript, every line of it; needs nothing else")
    check.add_argument("transcript", type=Path, metavar="TRANSCRIPT")
    check.add_argument("--document", type=Path, metavar="FILE", help="also: that this is what came out")
    check.set_defaults(func=_check)


def _plan_argument(parser: argparse.ArgumentParser, *, root_needed: bool = False) -> None:
    """A plan brings its root along; only a holder's own copy tells a stranger's plan from ours."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="as `ecard trust plan` wrote")
    told = "the root you know, your own copy: the plan must be under it"
    parser.add_argument("--root", type=Path, metavar="ROOT", required=root_needed, help=told)


def _passphrase_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="instead of asking for it")


def _key(args: argparse.Namespace) -> int:
    passphrase = _passphrase(args, twice=not args.file.exists())
    home = RootHome(args.file, passphrase, create=True)
    home.make(1, _now())
    for holder in home.holders():
        named = RootHolder(holder.es256, holder.ml_dsa_65, args.name)
        sys.stdout.buffer.write(indented(holder_to_json(named)))
    sys.stdout.flush()
    return 0


def _root(args: argparse.Namespace) -> int:
    holders = tuple(holder_from_json(jose.parse_json(_read(path, _MAX_HOLDER))) for path in args.holders)
    if args.after is None:
        root = TrustRoot(holders, args.threshold)
    else:
        before = read_root(_read(args.after, MAX_DOCUMENT))
        root = TrustRoot(holders, args.threshold, before.version + 1, before.digest)
    _write(args.output, indented(root_to_json(root)))
    return 0


def _show(args: argparse.Namespace) -> int:
    lang = _language()
    plan, transcript = _opened(args)
    for line in (*describe(plan, lang), *describe_standing(transcript, ceremony.standing(transcript), lang)):
        print(line)
    return 0


def _sign(args: argparse.Namespace) -> int:
    lang = _language()
    with _alone(args.plan):
        plan, transcript = _opened(args)
        _talk(*describe(plan, lang))
        if not args.yes and _ask(say("confirm", lang)).strip().lower() != plan.digest_groups[0]:
            raise RuleViolation("ceremony_not_confirmed", "want the first four digits of the digest")
        home = RootHome(args.key_file, _passphrase(args))
        tool = f"ecard {version('ecard')}"
        now = int(_now().timestamp())
        transcript, added = ceremony.sign(transcript, home, now, tool, allow_expired=args.allow_expired)
        if added:
            _write(_beside(args.plan), transcript.data)
        else:
            _talk(say("repeated", lang))
    _talk(*describe_standing(transcript, ceremony.standing(transcript), lang))
    return 0


def _finish(args: argparse.Namespace) -> int:
    with _alone(args.plan):
        _, transcript = _opened(args)
        finished, documents = ceremony.finish(transcript, int(_now().timestamp()))
        _write(args.output, ceremony.outcome_of(documents))
        if finished is not transcript:
            _write(_beside(args.plan), finished.data)
    return 0


def _check(args: argparse.Namespace) -> int:
    lang = _language()
    transcript = read_transcript(_read(args.transcript, 2 * MAX_PLAN))
    ceremony.check(transcript, None if args.document is None else _read(args.document, MAX_PLAN))
    for line in describe(transcript.plan, lang):
        print(line)
    for line in describe_standing(transcript, ceremony.standing(transcript), lang)[: len(transcript.steps)]:
        print(line)
    print(say("checked", lang, count=len(transcript.steps)))
    print(json.dumps(transcript.documents))
    return 0


def _opened(args: argparse.Namespace) -> tuple[Plan, Transcript]:
    """The plan and how far it is signed, both verified."""
    plan = read_plan(_read(args.plan, MAX_PLAN))
    if args.root is not None:
        require_root(plan, read_root(_read(args.root, MAX_DOCUMENT)))
    beside = _beside(args.plan)
    return plan, ceremony.resume(plan, _read(beside, 2 * MAX_PLAN) if beside.exists() else None)


def _beside(plan: Path) -> Path:
    return plan.with_name(plan.name + ".transcript")


@contextmanager
def _alone(plan: Path) -> Iterator[None]:
    """One command at a time on a plan. Raises `Conflict` `ceremony_busy`."""
    try:
        with plan.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise Conflict("ceremony_busy", f"another command has {plan} open") from None
    except FileNotFoundError:
        raise InvalidInput("ceremony_file_unreadable", f"{plan} is not there") from None


def _passphrase(args: argparse.Namespace, *, twice: bool = False) -> bytes:
    """From the file, without its last line end, or typed; typed twice for a new file."""
    if args.passphrase_file is not None:
        return _read(args.passphrase_file, _MAX_PASSPHRASE).rstrip(b"\r\n")
    typed = ask(twice=twice)
    if typed is None:
        raise InvalidInput("ceremony_passphrase_missing", "no terminal to ask at, and no --passphrase-file")
    return typed


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError:
        raise InvalidInput("ceremony_file_unreadable", f"{path} cannot be read") from None
    if len(data) > limit:
        raise InvalidInput("ceremony_file_unreadable", f"{path} is too long")
    return data


def _write(path: Path, data: bytes) -> None:
    """The whole file or none of it, on the disk when this returns: a signature is never half written."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # for everybody to check
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError:
        raise Unavailable("output_unwritable", f"{path} cannot be written") from None


def _ask(question: str) -> str:
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline(64)


def _talk(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def _language() -> Language:
    return language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")


def _now() -> datetime:
    return datetime.now(UTC)
