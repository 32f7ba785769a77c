"""`ecard key quota`: how much may be signed in an hour, and how to change that."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, show


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `quota`."""
    quota = commands.add_parser(
        "quota",
        help="how much may be signed in an hour; raising it takes two admins",
        description="Without arguments: every quota, in documents an hour (a credential counts once, in both its"
        " formats). With a name and a number: sets one, which a running service obeys at its next request."
        " A signer process has quotas of its own, in its own configuration.",
        epilog="Exit status: 0 shown or set; 2 no such number; 4 another admin must approve; 5 no quota of that name.",
    )
    quota.add_argument("name", nargs="?", metavar="NAME", help="as this command lists them: credential, event, ...")
    quota.add_argument("per_hour", nargs="?", type=int, metavar="PER_HOUR", help="documents an hour, 0 to 1000000000")
    add_options(quota, _run)


def _run(args: argparse.Namespace) -> int:
    from ecard_card.errors import InvalidInput

    if args.name is not None and args.per_hour is None:
        raise InvalidInput("bad_usage", "give the number too, or neither")
    with opened(args) as issuer:
        if args.name is None:
            limits = issuer.quotas.limits()
        else:
            limits = issuer.quotas.set(args.name, args.per_hour, actor_of(args, issuer), issuer.clock())
    lines = (f"{name:<12} {limit:>13,} an hour" for name, limit in limits.items())
    show(args, {"per_hour": dict(limits)}, *lines)
    return 0
