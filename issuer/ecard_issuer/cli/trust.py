"""`ecard trust`: draft the next list for a ceremony, submit an entry elsewhere, publish what was signed, show the list.

The signing itself is `ecard trust ceremony`, on machines that see neither this register nor a network.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.bundle import write_output
from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk

if TYPE_CHECKING:
    from datetime import datetime

    from ecard_issuer.assembly import Issuer
    from ecard_issuer.trust_board import TrustBoard
    from ecard_keys.trust.root import TrustRoot
    from ecard_keys.trust.trust_list import TrustList

_MAX_FILE = 12 << 20


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the issuer's verbs to `ecard trust`."""
    plan = commands.add_parser(
        "plan",
        help="draft the next list, and a change of roots, as a plan for a ceremony",
        description="The next list says what the register says now. The plan is for people to read before they sign.",
    )
    plan.add_argument("-o", "--output", type=Path, metavar="PLAN", required=True)
    plan.add_argument(
        "--issuer-file", type=Path, metavar="FILE", action="append", default=[], help="another issuer's submission"
    )
    plan.add_argument(
        "--root-file", type=Path, metavar="FILE", help="the next root: `ecard trust ceremony root --after`"
    )
    plan.add_argument("--root-only", action="store_true", help="leave the list as it is")
    add_options(plan, _plan)

    submit = commands.add_parser(
        "submit", help="write this issuer's entry, signed by its keys, for a list made elsewhere"
    )
    submit.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)
    add_options(submit, _submit)

    publish = commands.add_parser("publish", help="publish a list or root that a ceremony signed; another admin agrees")
    publish.add_argument("file", type=Path, metavar="FILE", help="as `ecard trust ceremony finish` wrote")
    add_options(publish, _publish)

    listed = commands.add_parser("show", help="issuers, keys and states of the list, its end, and its root")
    listed.add_argument("file", type=Path, metavar="FILE", nargs="?", help="another list (default: the one published)")
    add_options(listed, _show)


def _plan(args: argparse.Namespace) -> int:
    from ecard_keys.ceremony.plan import make_plan
    from ecard_keys.trust.root import read_root
    from ecard_keys.trust.submission import read_submission

    with opened(args) as issuer:
        now = issuer.clock()
        seconds, board = int(now.timestamp()), issuer.keys.board
        new_root = None if args.root_file is None else read_root(_read(args.root_file))
        content = None
        if not args.root_only:
            entries = [issuer.keys.entry(), *(read_submission(_read(path), seconds) for path in args.issuer_file)]
            content = board.draft(entries, now, root_version=None if new_root is None else new_root.version)
        predecessor = None if board.latest() is None else board.document()
        plan = make_plan(seconds, board.root(), predecessor, chain=board.chain(), new_root=new_root, content=content)
    write_output(args.output, plan)
    return 0


def _submit(args: argparse.Namespace) -> int:
    from ecard_keys.trust.submission import make_submission

    with opened(args) as issuer:
        data = make_submission(
            issuer.keys.entry(),
            lambda record, message: issuer.signer.sign(record.kid, [message])[0],
            int(issuer.clock().timestamp()),
        )
    write_output(args.output, data)
    return 0


def _publish(args: argparse.Namespace) -> int:
    from ecard_issuer.approvals import Change
    from ecard_keys.ceremony.ceremony import read_outcome

    data = _read(args.file)
    with opened(args) as issuer:
        now, board = issuer.clock(), issuer.keys.board
        documents = read_outcome(data)
        facts = _facts(board, documents, now)
        change = Change("trust.publish", " and ".join(facts), facts)
        grant = issuer.approvals.require(change, actor_of(args, issuer), now)
        for document in documents:
            board.accept(document, now, grant=grant)
            grant = None  # one agreement, to both at once: used up with the first
        issuer.keys.refresh(now)
        show(args, {"published": list(facts)}, *facts)
        _talk_of_waiting(issuer)
    return 0


def _facts(board: TrustBoard, documents: tuple[bytes, ...], now: datetime) -> dict[str, object]:
    """What exactly is to be published, after judging it: by name of document, so that both stand in one request."""
    from ecard_keys.trust.root import TrustRoot

    facts: dict[str, object] = {}
    under: TrustRoot | None = None
    for document in documents:
        examined = board.examine(document, now, under=under)
        if isinstance(examined, TrustRoot):
            under = examined
            facts[f"root {examined.version}"] = _root_facts(examined)
        else:
            facts[f"list {examined.version}"] = _list_facts(examined)
    return facts


def _root_facts(root: TrustRoot) -> dict[str, object]:
    from ecard_keys.ceremony.words import holder_name

    return {
        "digest": root.digest,
        "threshold": root.threshold,
        "holders": [holder_name(holder) for holder in root.holders],
    }


def _list_facts(content: TrustList) -> dict[str, object]:
    from ecard_keys.ceremony.words import moment

    keys = {
        entry.issuer: [f"{key.kid} {key.purpose.value} {key.state.value}" for key in entry.keys]
        for entry in content.issuers
    }
    return {
        "digest": content.digest,
        "root": content.root_version,
        "issued": moment(content.issued_at),
        "expires": moment(content.expires_at),
        "issuers": keys,
    }


def _show(args: argparse.Namespace) -> int:
    from ecard_card.messages import language
    from ecard_keys.ceremony.words import describe_list

    with opened(args) as issuer:
        board = issuer.keys.board
        document = board.document() if args.file is None else _read(args.file)
        content = board.read(document)
        lang = language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")
        answer = {
            "version": content.version,
            **_list_facts(content),
            "next_root": board.next_root().version,
            "expired": content.expires_at <= issuer.clock().timestamp(),
        }
        lines = [*describe_list(content, None, lang), f"expired: {'yes' if answer['expired'] else 'no'}"]
        lines.append(f"root of the next list: {answer['next_root']}")
        show(args, answer, *lines)
        _talk_of_waiting(issuer)
    return 0


def _talk_of_waiting(issuer: Issuer) -> None:
    if not issuer.keys.board.is_current(issuer.keys.entry()):
        talk("Not yet published: the register says more than the list. Plan a ceremony with `ecard trust plan`.")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError:
        raise InvalidInput("ceremony_file_unreadable", f"{path} cannot be read") from None
    if len(data) > _MAX_FILE:
        raise InvalidInput("ceremony_file_unreadable", f"{path} is too long")
    return data
