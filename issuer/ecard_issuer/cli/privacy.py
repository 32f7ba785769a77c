"""`ecard privacy`: a person's data for that person, erasing people, and what is kept for how long."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `privacy` with its six commands."""
    privacy = subparsers.add_parser(
        "privacy",
        help="give a person their data, erase a person, keep to the terms of retention",
        epilog="Exit status: 0 done; 1 something stands in the way; 4 another admin must approve; 5 nobody there.",
    )
    commands = privacy.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("export", _export, "everything kept about a person (document as POST /v1/privacy/exports takes it)"),
        ("erase", _erase, "erase a person for good (document as POST /v1/privacy/erasures takes it); takes two admins"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("file", metavar="FILE", help="the document; - reads standard input")
        add_options(command, run)

    erased = commands.add_parser("erased", help="the list of erased people, to be kept apart from the backups")
    add_options(erased, _erased)

    again = commands.add_parser("reapply", help="erase again whom an old backup brought back")
    again.add_argument("file", metavar="FILE", help="as `ecard privacy erased` wrote it before the backup was restored")
    add_options(again, _reapply)

    scrub = commands.add_parser("scrub", help="have the database let go of what it keeps of deleted rows; slow")
    add_options(scrub, _scrub)

    keep = commands.add_parser("retention", help="delete what the policies of the regions say is over")
    keep.add_argument("--dry-run", action="store_true", help="only count it")
    add_options(keep, _retention)


def _export(args: argparse.Namespace) -> int:
    from ecard_issuer.web.privacy_models import ExportBody

    body = read_body(args.file, ExportBody)
    with opened(args) as issuer:
        document = issuer.privacy.exporting.export(
            body.export_id, body.to_id_number(), body.to_acting(), actor_of(args, issuer), issuer.clock()
        )
        print(json.dumps(document, ensure_ascii=False, indent=2))
    return 0


def _erase(args: argparse.Namespace) -> int:
    from ecard_issuer.privacy.answers import erasure_answer
    from ecard_issuer.web.privacy_models import ErasureBody

    body = read_body(args.file, ErasureBody)
    with opened(args) as issuer:
        result = issuer.privacy.erasing.erase(
            body.erasure_id,
            body.to_id_number(),
            body.to_ground(),
            body.proof,
            actor_of(args, issuer),
            issuer.clock(),
        )
        show(args, erasure_answer(result))
        if not result.scrubbed:
            talk("The database may still keep what it deleted: run `ecard privacy scrub` when it is quiet.")
        talk("Write the list of erased people anew (`ecard privacy erased`) and keep it apart from the backups.")
    return 0


def _erased(args: argparse.Namespace) -> int:
    from ecard_issuer.privacy.erased_list import lines

    with opened(args) as issuer:
        for line in lines(issuer.privacy.erasures.erased()):
            print(line)
    return 0


def _reapply(args: argparse.Namespace) -> int:
    from ecard_issuer.privacy.answers import repeated_answer
    from ecard_issuer.privacy.erased_list import read

    try:
        with Path(args.file).open(encoding="utf-8") as file:
            people = list(read(file))
    except (OSError, UnicodeError):
        raise InvalidInput("bad_erased_list", "the file cannot be read") from None
    with opened(args) as issuer:
        done = issuer.privacy.erasing.repeat(people, actor_of(args, issuer), issuer.clock())
        show(args, repeated_answer(done))
        if done.waiting:
            talk("Some have cards that are live in this register: bring the cards up to date, then run this again.")
    return 1 if done.waiting else 0


def _scrub(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        done = issuer.privacy.erasures.scrub(whole=True)
        show(args, {"scrubbed": done}, "scrubbed" if done else "somebody is reading the database: try again")
    return 0 if done else 1


def _retention(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        job, now = issuer.privacy.retention, issuer.clock()
        counts = job.preview(now) if args.dry_run else job.run(now)
        what = "would_go" if args.dry_run else "gone"
        show(args, {what: dict(counts)}, *(f"{name}: {count}" for name, count in counts.items()))
    return 0
