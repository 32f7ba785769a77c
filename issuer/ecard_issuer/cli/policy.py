"""`ecard policy`: the rules of regions, as files: check one, set it, show what holds and what was set before."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `policy` with its four commands."""
    policy = subparsers.add_parser(
        "policy",
        help="the rules of regions: check a file, set it, show what holds",
        epilog="Exit status: 0 done; 2 the file or the moment cannot be used; 4 another admin must approve.",
    )
    commands = policy.add_subparsers(title="commands", metavar="COMMAND", required=True)

    check = commands.add_parser("check", help="read a policy's file; needs no register")
    check.add_argument("file", metavar="FILE", help="TOML")
    check.add_argument("--json", action="store_true", help="one JSON document")
    check.set_defaults(func=_check)

    put = commands.add_parser("set", help="let a file's policy hold from a moment on; takes two admins")
    put.add_argument("file", metavar="FILE", help="TOML")
    put.add_argument(
        "--from", dest="moment", required=True, metavar="TIME", help="RFC 3339 with its zone, a minute ahead or more"
    )
    put.add_argument("--dry-run", action="store_true", help="say what would change, and for how many cards")
    add_options(put, _set)

    look = commands.add_parser("show", help="what holds in a region")
    look.add_argument("region", nargs="?", default="000000", metavar="REGION", help="six digits (default: 000000)")
    look.add_argument("--at", metavar="TIME", help="RFC 3339 (default: now)")
    add_options(look, _show)

    past = commands.add_parser("history", help="every policy that was set for a region")
    past.add_argument("region", metavar="REGION", help="six digits")
    add_options(past, _history)


def _check(args: argparse.Namespace) -> int:
    from ecard_card.region_policy import read_policy
    from ecard_issuer.policies.answers import settings_answer
    from ecard_issuer.policies.office import digest_of

    document = _document(args.file)
    policy = read_policy(document)
    answer = {"region": policy.region, "digest": digest_of(document), "settings": settings_answer(policy)}
    show(args, answer, *_lines(answer))
    return 0


def _set(args: argparse.Namespace) -> int:
    from ecard_issuer.policies.answers import preview_answer, row_answer

    document, moment = _document(args.file), _time(args.moment)
    with opened(args) as issuer:
        now, office = issuer.clock(), issuer.policies.office
        if args.dry_run:
            preview = office.preview(document, moment, now)
            show(args, preview_answer(preview), *preview.words("en"), *preview.words("zh"))
            return 0
        row = office.set(document, moment, actor_of(args, issuer), now)
        answer = row_answer(row)
        show(args, answer, f"policy {row.number} of {row.region} holds from {answer['effective_from']}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.policies.answers import policy_answer

    region = _region(args.region)
    with opened(args) as issuer:
        moment = issuer.clock() if args.at is None else _time(args.at)
        answer = policy_answer(region, issuer.policies.book.in_force(region, moment))
        show(args, answer, *_lines(answer))
    return 0


def _history(args: argparse.Namespace) -> int:
    from ecard_issuer.policies.answers import row_answer

    region = _region(args.region)
    with opened(args) as issuer:
        rows = [row_answer(row) for row in issuer.policies.book.history(region)]
        if not rows:
            talk("Nobody has set a policy for this region.")
        if rows or args.json:
            show(
                args,
                {"policies": rows},
                *(
                    f"{row['number']}  from {row['effective_from']}  set by {row['set_by']} at {row['set_at']}"
                    f"  {row['digest']}"
                    for row in rows
                ),
            )
    return 0


def _lines(answer: Mapping[str, object]) -> list[str]:
    settings = answer["settings"]
    lines = [
        f"{name}: {answer[name]}" for name in ("region", "set_for", "effective_from", "digest") if answer.get(name)
    ]
    if "set_for" in answer and not answer.get("effective_from"):
        lines.append("nobody has set a policy for this region or one above it: the strict reading holds")
    for item in settings if isinstance(settings, list) else ():
        lines.append(f"{item['name']} = {item['value']}  # {item['text']['en']} {item['text']['zh']}")
    return lines


def _document(path: str) -> str:
    from ecard_card.region_policy import MAX_DOCUMENT

    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return file.read(MAX_DOCUMENT + 1)
    except (OSError, ValueError):
        raise InvalidInput("bad_region_policy", "the file cannot be read as UTF-8") from None


def _region(text: str) -> str:
    from ecard_card.region import is_region

    if not is_region(text):
        raise InvalidInput("bad_region", "a region is six digits")
    return text


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("bad_policy_moment", "a time looks like 2027-01-01T00:00:00+08:00") from None
    if moment.tzinfo is None:
        raise InvalidInput("bad_policy_moment", "a time has a zone: 2027-01-01T00:00:00+08:00")
    return moment
