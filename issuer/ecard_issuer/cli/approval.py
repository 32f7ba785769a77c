"""`ecard approval`: what other admins ask this one to agree to."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `approval` with its four commands."""
    approval = subparsers.add_parser(
        "approval",
        help="agree to dangerous changes that another admin asks for, or refuse them",
        description="Who decides is told by the operator token in ECARD_TOKEN or the file ECARD_TOKEN_FILE;"
        " nobody decides on their own request.",
    )
    commands = approval.add_subparsers(title="commands", metavar="COMMAND", required=True)
    everything = commands.add_parser("list", help="requests that wait, newest first")
    everything.add_argument("--all", action="store_true", help="those that are over too")
    add_options(everything, _list)
    for name, run, text in (
        ("show", _show, "what exactly would be done, who asks, who agreed"),
        ("approve", _approve, "agree: the one who asked may then make this one change, once"),
        ("refuse", _refuse, "end the request, also one that was approved and not used yet"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("id", metavar="ID", help="as `ecard approval list` prints it")
        if name != "show":
            command.add_argument(
                "--reason", default="", metavar="TEXT", help="kept with the vote; up to 200 characters"
            )
        add_options(command, run)


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.approval_answers import approval_answer

    with opened(args) as issuer:
        now = issuer.clock()
        rows = [approval_answer(issuer.approvals, row, now) for row in issuer.approvals.list(now, every=args.all)]
        lines = [
            f"{row['id']}  {row['state']:<8}  {row['action']} {row['subject']}  asked by {row['requester']}"
            f" until {row['expires_at']}"
            for row in rows
        ]
        if not rows:
            talk("Nothing waits for approval.")
        if rows or args.json:
            show(args, {"approvals": rows}, *lines)
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.approval_answers import approval_answer, approval_lines

    with opened(args) as issuer:
        answer = approval_answer(issuer.approvals, issuer.approvals.get(args.id), issuer.clock())
        show(args, answer, *approval_lines(answer))
    return 0


def _approve(args: argparse.Namespace) -> int:
    return _decide(args, approve=True)


def _refuse(args: argparse.Namespace) -> int:
    return _decide(args, approve=False)


def _decide(args: argparse.Namespace, *, approve: bool) -> int:
    from ecard_issuer.approval_answers import approval_answer, approval_lines

    with opened(args) as issuer:
        now, actor = issuer.clock(), actor_of(args, issuer)
        row = issuer.approvals.decide(args.id, actor, approve=approve, now=now, reason=args.reason)
        answer = approval_answer(issuer.approvals, row, now)
        show(args, answer, *approval_lines(answer))
        if answer["state"] == "approved":
            talk(f"{row.requester} can now run the command again, once, until {answer['expires_at']}.")
    return 0
