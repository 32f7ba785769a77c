"""`ecard counter`: groups of merchants, their branches, counters and staff; admission; alarms. Works on the verifier's
data directory beside a running service, which notices at its next request."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from ecard_card.errors import NotFound
from ecard_issuer.cli.common import add_options, show, talk

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ecard_verifier.counters.assembly import Administration
    from ecard_verifier.counters.office import Who

_SETTING: Final = "ECARD_VERIFIER_DATA"
_DATA_HELP: Final = f"{_SETTING}, or beside an issuer ECARD_DATA_DIR"
_LEVELS: Final = ("basic", "designated", "authority")
_T = TypeVar("_T")
Run = Callable[[argparse.Namespace], int]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `counter` with its commands."""
    counter = subparsers.add_parser(
        "counter",
        help="merchants at their counters: groups, branches, counters, staff, alarms",
        description="A group has branches, a branch has counters and staff; an admission code makes a browser a "
        "counter. Each command prints the id of what it made; `list` prints them again. The guide: docs/counters.md.",
    )
    commands = counter.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _register_groups(_sub(commands, "group", "chains, hospital groups, single shops; their tokens"))
    _register_branches(_sub(commands, "branch", "shops, hospitals, outlets of a group"))
    add = _command(commands, "add", "a new counter of a branch", _add_counter, ("branch",))
    add.add_argument("name", metavar="NAME", help="what people call it")
    add.add_argument("--audience", help="what it is called in codes made for it (default: its own id)")
    add.add_argument(
        "--devices", type=int, default=1, metavar="N", help="pages admitted at a time (default %(default)s)"
    )
    add.add_argument("--daily-limit", type=int, metavar="N", help="verifications a day (default 5000)")
    add.add_argument("--staff", action="store_true", help="one of the branch's staff has to log in first")
    _command(commands, "list", "every counter", _list_counters)
    admit = _command(commands, "admit", "an admission code, as text, link and QR code", _admit, ("counter",))
    admit.add_argument("--url", help="where the page is (default ECARD_VERIFIER_URL or ECARD_PUBLIC_ORIGIN)")
    _command(commands, "revoke", "end a counter, for ever", _revoke("counter"), ("counter",))
    _register_staff(_sub(commands, "staff", "who works at a branch, by alias"))
    alarms = _command(commands, "alarms", "what somebody should look at", _alarms)
    alarms.add_argument("--all", action="store_true", help="also those that somebody has acknowledged")
    alarms.add_argument("--acknowledge", metavar="ALARM", help="put down that somebody has looked")
    alarms.add_argument("--by", metavar="NAME", help="who has looked (default: the user of this machine)")


def _register_groups(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _command(commands, "add", "a new group", _add_group)
    add.add_argument("name", metavar="NAME", help="what people call it")
    add.add_argument("--level", choices=_LEVELS, default="basic", help="how much it may see (default %(default)s)")
    add.add_argument(
        "--purpose",
        action="append",
        required=True,
        metavar="PURPOSE",
        help="one it may use; repeat it (ours: medical, pharmacy, benefit, query, payment, large-payment, elsewhere, "
        "other)",
    )
    add.add_argument(
        "--daily-limit", type=int, metavar="N", help="verifications a day, of all its counters (default 100000)"
    )
    _command(commands, "list", "every group", _list_groups)
    _command(commands, "revoke", "end a group with all its counters and tokens, for ever", _revoke("group"), ("group",))
    token = _command(commands, "token", "a token for a manager or a system, shown once", _add_token, ("group",))
    token.add_argument("name", metavar="NAME", help="whose it is")
    token.add_argument(
        "--role",
        choices=("merchant", "counter"),
        default="merchant",
        help="merchant: a manager (default); counter: a system behind the counters",
    )


def _register_branches(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _command(commands, "add", "a new branch", _add_branch, ("group",))
    add.add_argument("name", metavar="NAME", help="what people call it")
    _command(commands, "list", "every branch", _list_branches)
    _command(commands, "revoke", "end a branch with its counters, for ever", _revoke("branch"), ("branch",))


def _register_staff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pin = "; the PIN is typed, or a line of standard input"
    add = _command(commands, "add", "somebody new" + pin, _add_staff, ("branch",))
    add.add_argument("alias", metavar="ALIAS", help="no legal name: it stands in shift lists")
    _command(commands, "list", "everybody", _list_staff)
    _command(commands, "pin", "a new PIN, which ends a lock too" + pin, _set_pin, ("staff",))
    _command(commands, "revoke", "somebody left", _revoke("staff"), ("staff",))


def _sub(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return commands.add_parser(name, help=what).add_subparsers(title="commands", metavar="COMMAND", required=True)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    run: Run,
    ids: Sequence[str] = (),
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what)
    for thing in ids:
        parser.add_argument(thing, metavar=thing.upper(), help=f"the id of a {thing}" if thing != "staff" else "whose")
    add_options(parser, run, _DATA_HELP)
    return parser


def _add_group(args: argparse.Namespace) -> int:
    from ecard_verifier.counters.office import GROUP_A_DAY
    from ecard_verifier.purposes.purposes import Level
    from ecard_verifier.web.counter_management_models import group_answer

    with _opened(args) as (room, _, now):
        limit = GROUP_A_DAY if args.daily_limit is None else args.daily_limit
        group = room.office.add_group(args.name, Level(args.level), args.purpose, limit, now)
    return _shown(args, group_answer(group), group.group_id)


def _list_groups(args: argparse.Namespace) -> int:
    from ecard_verifier.web.counter_management_models import group_answer

    with _opened(args) as (room, who, _):
        found = [group_answer(group) for group in _all(lambda after: room.office.groups(who, after), "group_id")]
    lines = [f"{one.group_id}  {one.level}  {one.name}{_gone(one.revoked_at)}" for one in found]
    return _listed(args, "groups", found, lines)


def _add_token(args: argparse.Namespace) -> int:
    from ecard_verifier.callers import Role
    from ecard_verifier.web.counter_management_models import token_answer

    with _opened(args) as (room, who, now):
        token, text = room.office.add_token(who, args.group, args.name, Role(args.role), now)
    show(args, {**token_answer(token).model_dump(mode="json"), "token": text}, text)
    talk("The token is stored as a hash only and cannot be shown again.")
    return 0


def _add_branch(args: argparse.Namespace) -> int:
    from ecard_verifier.web.counter_management_models import branch_answer

    with _opened(args) as (room, who, now):
        branch = room.office.add_branch(who, args.group, args.name, now)
    return _shown(args, branch_answer(branch), branch.branch_id)


def _list_branches(args: argparse.Namespace) -> int:
    from ecard_verifier.web.counter_management_models import branch_answer

    with _opened(args) as (room, who, _):
        found = [branch_answer(one) for one in _all(lambda after: room.office.branches(who, after), "branch_id")]
    lines = [f"{one.branch_id}  {one.group_id}  {one.name}{_gone(one.revoked_at)}" for one in found]
    return _listed(args, "branches", found, lines)


def _add_counter(args: argparse.Namespace) -> int:
    from ecard_verifier.counters.office import COUNTER_A_DAY
    from ecard_verifier.web.counter_management_models import counter_answer

    with _opened(args) as (room, who, now):
        counter = room.office.add_counter(
            who,
            args.branch,
            args.name,
            now,
            audience=args.audience,
            staff_needed=args.staff,
            devices=args.devices,
            daily_limit=COUNTER_A_DAY if args.daily_limit is None else args.daily_limit,
        )
    return _shown(args, counter_answer(counter), counter.counter_id)


def _list_counters(args: argparse.Namespace) -> int:
    from ecard_verifier.web.counter_management_models import counter_answer

    with _opened(args) as (room, who, _):
        found = [counter_answer(one) for one in _all(lambda after: room.office.counters(who, after), "counter_id")]
    lines = [f"{one.counter_id}  {one.branch_id}  {one.name}{_gone(one.revoked_at)}" for one in found]
    return _listed(args, "counters", found, lines)


def _admit(args: argparse.Namespace) -> int:
    from ecard_qr.picture import terminal
    from ecard_verifier.web.counter_places import ADMIT_LINK

    base = args.url or os.environ.get("ECARD_VERIFIER_URL") or os.environ.get("ECARD_PUBLIC_ORIGIN") or ""
    with _opened(args) as (room, who, now):
        offered = room.entrance.offer(args.counter, who.group_id, now)
    link = base.rstrip("/") + ADMIT_LINK + offered.code
    answer = {"admission_code": offered.code, "expires_at": offered.expires_at.isoformat(), "link": link}
    picture = terminal(link, ansi=sys.stdout.isatty()).rstrip("\n") if base else "No address is known: give --url"
    show(args, answer, f"{offered.code[:4]}-{offered.code[4:]}", link, picture)
    talk("Good once, for ten minutes.")
    return 0


def _revoke(kind: str) -> Run:
    def run(args: argparse.Namespace) -> int:
        with _opened(args) as (room, who, now):
            getattr(room.office, f"revoke_{kind}")(who, getattr(args, kind), now)
        show(args, {"id": getattr(args, kind), "revoked": True}, f"{getattr(args, kind)} is revoked")
        return 0

    return run


def _add_staff(args: argparse.Namespace) -> int:
    from ecard_verifier.counters.entrance import MOST_TRIES
    from ecard_verifier.web.counter_management_models import staff_answer

    with _opened(args) as (room, who, now):
        person = room.office.add_staff(who, args.branch, args.alias, _typed_pin(), now)
    return _shown(args, staff_answer(person, MOST_TRIES), person.staff_id)


def _list_staff(args: argparse.Namespace) -> int:
    from ecard_verifier.counters.entrance import MOST_TRIES
    from ecard_verifier.web.counter_management_models import staff_answer

    with _opened(args) as (room, who, _):
        people = _all(lambda after: room.office.staff_of(who, after), "staff_id")
        found = [staff_answer(person, MOST_TRIES) for person in people]
    lines = [
        f"{one.staff_id}  {one.branch_id}  {one.alias}{'  locked' if one.locked else ''}{_gone(one.revoked_at)}"
        for one in found
    ]
    return _listed(args, "staff", found, lines)


def _set_pin(args: argparse.Namespace) -> int:
    with _opened(args) as (room, who, _):
        room.office.set_pin(who, args.staff, _typed_pin())
    show(args, {"id": args.staff, "locked": False}, f"{args.staff} has a new PIN")
    return 0


def _alarms(args: argparse.Namespace) -> int:
    from ecard_verifier.web.counter_management_models import alarm_answer

    with _opened(args) as (room, _, now):
        if args.acknowledge is not None:
            by = args.by or getpass.getuser()
            room.alarms.acknowledge(args.acknowledge, None, by, now)
        found = [alarm_answer(alarm) for alarm in room.alarms.list(None, open_only=not args.all)]
    lines = [
        f"{one.alarm_id}  {one.last_at:%Y-%m-%d %H:%M:%S}Z  {one.kind}  ×{one.count}  {one.counter_id or 'service'}"
        for one in found
    ]
    return _listed(args, "alarms", found, lines)


def _typed_pin() -> str:
    """Not on the command line, where everybody on the machine reads it."""
    return getpass.getpass("PIN: ") if sys.stdin.isatty() else sys.stdin.readline(64).strip()


def _all(page: Callable[[str], Sequence[_T]], key: str) -> list[_T]:
    """Every page of a list."""
    found: list[_T] = []
    while more := page(str(getattr(found[-1], key)) if found else ""):
        found += more
    return found


def _folder(given: Path | None) -> Path:
    """`given`; else the directory that a setting names; else that of a verifier by itself, where there is one, or that
    of an issuer."""
    from ecard_issuer.config import NAMES, load
    from ecard_verifier.config import load_places

    if given is not None:
        return given
    alone, _ = load_places(os.environ, NAMES)
    beside_an_issuer = "ECARD_DATA_DIR" in os.environ or not alone.is_dir()
    return load().data_dir if beside_an_issuer and _SETTING not in os.environ else alone


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[tuple[Administration, Who, datetime]]:
    """The counters of a data directory, beside whoever serves it. Raises `NotFound` `no_verifier`."""
    from ecard_issuer.config import NAMES
    from ecard_verifier.config import load_purposes_file
    from ecard_verifier.counters.assembly import open_administration
    from ecard_verifier.counters.database import FILE_NAME
    from ecard_verifier.counters.office import Who
    from ecard_verifier.purposes.purposes import load_purposes
    from ecard_verifier.service import utc_now

    folder = _folder(args.data_dir)
    if not (folder / FILE_NAME).is_file():
        raise NotFound("no_verifier", f"{folder} is no directory of a verifier; `ecard serve` makes it")
    before = os.umask(0o077)
    try:
        room = open_administration(folder, load_purposes(load_purposes_file(os.environ, NAMES)))
        try:
            yield room, Who("command line", None), utc_now()
        finally:
            room.close()
    finally:
        os.umask(before)


def _shown(args: argparse.Namespace, answer: BaseModel, line: str) -> int:
    show(args, answer.model_dump(mode="json"), line)
    return 0


def _listed(args: argparse.Namespace, name: str, rows: Sequence[BaseModel], lines: Sequence[str]) -> int:
    show(args, {name: [row.model_dump(mode="json") for row in rows]}, *(lines or [f"no {name}"]))
    return 0


def _gone(revoked_at: datetime | None) -> str:
    return "  revoked" if revoked_at else ""
