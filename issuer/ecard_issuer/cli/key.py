"""`ecard key`: what the keys are and what they need, and every change of them, each with a dry run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ecard_card import messages
from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, show

if TYPE_CHECKING:
    from datetime import datetime

    from ecard_issuer.assembly import Issuer
    from ecard_issuer.consequences import Consequences

#: As `ecard_issuer.keyring.PURPOSES`, which is not loaded for a help text.
_PURPOSES = ("credential", "status", "event", "statement")
_DAY = 86_400


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the issuer's verbs to `ecard key`."""
    add_options(
        commands.add_parser(
            "list",
            help="every key, its state and its times, and what is due, late or unsafe",
            description="Prints every key with the next moment that matters to it, and below that what an admin should"
            " do: unsafe first, then late, then due.",
        ),
        _list,
    )
    create = _verb(commands, "create", _create, "make and publish the next key of a purpose; it does not sign yet")
    create.add_argument("purpose", choices=_PURPOSES, help="what the key will sign")
    promote = _verb(
        commands,
        "promote",
        _promote,
        "let the waiting key sign; its predecessor then only verifies",
        "Refused until every verifier has had to fetch a trust list that names the key: its publication, plus"
        " ECARD_VERIFIER_CACHE_SECONDS, plus a margin.",
    )
    _add_kid(promote)
    promote.add_argument(
        "--despite-lead", action="store_true", help="promote at once; verifiers with an older list refuse what it signs"
    )
    retire = _verb(
        commands,
        "retire",
        _retire,
        "take a key out of the trust list that nothing needs any more",
        "Refused while a live credential names the key. A key for events is never retired: the feed keeps its events.",
    )
    _add_kid(retire)
    compromise = _verb(
        commands,
        "compromise",
        _compromise,
        "declare a key stolen or lost; verifiers refuse what it signed",
        "If the key signs now, the waiting key or a new one takes its place in the same moment. Works while the home"
        " of the stolen key is away.",
    )
    _add_kid(compromise)
    compromise.add_argument(
        "--cut-off",
        required=True,
        metavar="TIME",
        help="refuse what it signed after TIME (RFC 3339, such as 2026-01-31T12:00:00Z), or `none`: refuse everything."
        " A thief can write earlier dates, so choose a time only if your own records prove what is older",
    )
    destroy = _verb(
        commands,
        "destroy",
        _destroy,
        "have the key's home forget it for ever",
        "For a key that was never published, or was retired 30 days ago or earlier.",
    )
    _add_kid(destroy)
    schedule = _verb(
        commands,
        "schedule",
        _schedule,
        "rotate the keys of a purpose by themselves, or stop that",
        "What is approved here once is done again and again: the next key is made and, when its lead is over,"
        " promoted. Old keys are only advised to be retired.",
    )
    schedule.add_argument("purpose", choices=_PURPOSES, help="whose keys")
    period = schedule.add_mutually_exclusive_group(required=True)
    period.add_argument("--every-days", type=int, metavar="DAYS", help="from one promotion to the next")
    period.add_argument("--off", action="store_true", help="rotate by hand again")


def _verb(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """A command that changes something: it can be asked what would come of it."""
    said = f"{what[0].upper()}{what[1:]}."
    parser = commands.add_parser(name, help=what, description=f"{said} {more}".rstrip())
    parser.add_argument("--dry-run", action="store_true", help="change nothing; say what would break and for whom")
    add_options(parser, run)
    return parser


def _add_kid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kid", metavar="KID", help="the key id, as `ecard key list` prints it")


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.cli.key_table import lines_of
    from ecard_issuer.key_answers import advice_answer, key_answer, schedule_answer

    with opened(args) as issuer:
        now, lives = issuer.clock(), issuer.key_office.lives
        keys = [key_answer(row, lives, now) for row in issuer.keys.rows()]
        advice = [advice_answer(item, _language()) for item in lives.advice(now)]
        schedules = [schedule_answer(row) for row in issuer.register.schedules()]
        answer = {"keys": keys, "advice": advice, "schedules": schedules}
        show(args, answer, *lines_of(answer, _language()))
    return 0


def _create(args: argparse.Namespace) -> int:
    from ecard_keys.key import KeyPurpose

    purpose = KeyPurpose(args.purpose)
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.dry_run:
            return _foreseen(args, office.foresight.create(purpose, now))
        _show_key(args, issuer, office.create(purpose, now).kid, now)
    return 0


def _promote(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.dry_run:
            return _foreseen(args, office.foresight.promote(args.kid, now, despite_lead=args.despite_lead))
        office.promote(args.kid, actor_of(args, issuer), now, despite_lead=args.despite_lead)
        _show_key(args, issuer, args.kid, now)
    return 0


def _retire(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.dry_run:
            return _foreseen(args, office.foresight.retire(args.kid, now))
        office.retire(args.kid, actor_of(args, issuer), now)
        _show_key(args, issuer, args.kid, now)
    return 0


def _compromise(args: argparse.Namespace) -> int:
    cut_off = _cut_off(args.cut_off)
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.dry_run:
            return _foreseen(args, office.foresight.compromise(args.kid, cut_off, now))
        office.compromise(args.kid, cut_off, actor_of(args, issuer), now)
        _show_key(args, issuer, args.kid, now)
    return 0


def _destroy(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.dry_run:
            return _foreseen(args, office.foresight.destroy(args.kid, now))
        office.destroy(args.kid, actor_of(args, issuer), now)
        _show_key(args, issuer, args.kid, now)
    return 0


def _schedule(args: argparse.Namespace) -> int:
    from ecard_issuer.key_answers import schedule_answer
    from ecard_keys.key import KeyPurpose

    purpose = KeyPurpose(args.purpose)
    with opened(args) as issuer:
        office, now = issuer.key_office, issuer.clock()
        if args.off:
            if args.dry_run:
                return _foreseen(args, office.foresight.clear_schedule(purpose))
            office.clear_schedule(purpose, actor_of(args, issuer), now)
            show(args, {"purpose": purpose.value, "every_seconds": None})
            return 0
        wanted = office.wanted_schedule(purpose, args.every_days * _DAY)
        if args.dry_run:
            return _foreseen(args, office.foresight.schedule(wanted, now))
        show(args, schedule_answer(office.set_schedule(wanted, actor_of(args, issuer), now)))
    return 0


def _foreseen(args: argparse.Namespace, consequences: Consequences) -> int:
    """Say what would come of it; 1 where a rule forbids it now, as the change itself would end."""
    from ecard_issuer.key_answers import consequences_answer

    show(args, consequences_answer(consequences, _language()), *consequences.words(_language()))
    return 0 if consequences.refused is None else 1


def _show_key(args: argparse.Namespace, issuer: Issuer, kid: str, now: datetime) -> None:
    from ecard_issuer.key_answers import key_answer

    show(args, key_answer(issuer.keys.row(kid), issuer.key_office.lives, now))


def _cut_off(text: str) -> datetime | None:
    from datetime import datetime

    if text == "none":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("bad_cut_off", "want a time such as 2026-01-31T12:00:00Z, or none") from None
    if moment.tzinfo is None:
        raise InvalidInput("bad_cut_off", "want a time with its zone")
    return moment


def _language() -> messages.Language:
    return messages.language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")
