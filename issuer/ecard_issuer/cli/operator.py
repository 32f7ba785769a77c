"""`ecard operator`: who may call the services."""

from __future__ import annotations

import argparse
from typing import Final

from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk
from ecard_verifier.callers import Role

#: What the caller of each role may do, in a few words. A group's manager is no caller of the register:
#: `ecard counter group token` makes them.
_ROLES: Final = {
    Role.OPERATOR: "may do everything",
    Role.VERIFIER: "follows the live feed",
    Role.COUNTER: "has codes verified",
    Role.DESK: "a clerk at an outlet",
    Role.HOTLINE: "answers 12333, takes reports of losses",
    Role.CHANNEL: "the back end of an app, a website or a kiosk",
    Role.INSTITUTION: "a designated hospital or pharmacy",
    Role.AGENCY: "an employer, community or school that applies for its people",
    Role.SOURCE: "the physical card system",
    Role.RELYING: "a service used on the strength of a card",
    Role.PARTNER: "is told of status changes",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `operator` with its three commands."""
    operator = subparsers.add_parser(
        "operator",
        help="make, list and revoke callers of the services",
        description="Once there are enough operators to agree with each other, making or revoking one takes the"
        " approval of another: then say who you are by ECARD_TOKEN or ECARD_TOKEN_FILE.",
    )
    commands = operator.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add",
        help="a new caller; the token is shown this once",
        epilog="Roles: " + "; ".join(f"{role.value}: {what}" for role, what in _ROLES.items()) + ".",
    )
    add.add_argument("name", metavar="NAME", help="who it is; a second token under one name is allowed")
    add.add_argument(
        "--role",
        choices=[role.value for role in _ROLES],
        default=Role.OPERATOR.value,
        metavar="ROLE",
        help=f"one of those below (default {Role.OPERATOR.value})",
    )
    add_options(add, _add)
    add_options(commands.add_parser("list", help="every caller, without tokens"), _list)
    revoke = commands.add_parser("revoke", help="revoke every token of a name, for ever")
    revoke.add_argument("name", metavar="NAME", help="as `ecard operator list` prints it")
    add_options(revoke, _revoke)


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import new_operator_answer

    with opened(args) as issuer:
        role = Role(args.role)
        actor = actor_of(args, issuer) if issuer.operators.guarded(role) else ""
        made = issuer.operators.add(args.name, role, issuer.clock(), actor=actor)
        show(args, new_operator_answer(made), made.token)
        talk("The token is stored as a hash only and cannot be shown again.")
    return 0


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import operator_answer

    with opened(args) as issuer:
        rows = [operator_answer(row) for row in issuer.operators.all()]
        lines = (f"{row['name']}  {row['role']}  {'revoked' if row['revoked_at'] else 'live'}" for row in rows)
        show(args, {"operators": rows}, *lines)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        roles = {Role(row.role) for row in issuer.operators.all() if row.name == args.name and row.revoked_at is None}
        actor = actor_of(args, issuer) if any(map(issuer.operators.guarded, roles)) else ""
        count = issuer.operators.revoke(args.name, issuer.clock(), actor=actor)
        show(args, {"name": args.name, "revoked": count})
    return 0
