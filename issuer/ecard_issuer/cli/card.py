"""`ecard card`: register cards and report what happens to them, directly on the register."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from ecard_card.errors import InvalidInput
from ecard_card.messages import text
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus
from ecard_issuer.cli.common import add_options, opened, read_body, show, talk
from ecard_issuer.cli.life import add_card_verbs

if TYPE_CHECKING:
    from pydantic import BaseModel

_M = TypeVar("_M", bound="BaseModel")
_NO_JSON: Final = ": json_invalid"  # as `read_body` names it: no member is wrong, the whole is


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `card` with its commands."""
    card = subparsers.add_parser("card", help="register cards, report them lost, found, replaced, cancelled")
    commands = card.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = commands.add_parser("add", help="register a card from a JSON document (as POST /v1/cards takes it)")
    add.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(add, _add)

    find = commands.add_parser("find", help="find cards by a JSON document (as POST /v1/cards/find takes it)")
    find.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(find, _find)

    look = commands.add_parser("show", help="a card by its reference")
    look.add_argument("card_ref", metavar="CARD_REF", help="as `ecard card find` prints it")
    add_options(look, _show)

    changes = [change.value for change in ALLOWED_CHANGES if change is not CardChange.REPLACE]
    change = commands.add_parser("change", help="report what happened to a card")
    change.add_argument("card_ref", metavar="CARD_REF", help="as `ecard card find` prints it")
    change.add_argument("change", choices=changes, metavar="CHANGE", help=", ".join(changes))
    _event_options(change)
    add_options(change, _change)

    replace = commands.add_parser("replace", help="end a card and move its e-card to a new one")
    replace.add_argument("card_ref", metavar="OLD_CARD_REF", help="the card that ends")
    replace.add_argument("new_card_ref", metavar="NEW_CARD_REF", help="a card of the same holder, registered before")
    _event_options(replace)
    add_options(replace, _replace)
    add_card_verbs(commands)


def _event_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default="", metavar="NAME", help="who sends this (default: a desk of ours)")
    parser.add_argument("--sequence", type=int, metavar="N", help="the sender's number of this card's change")
    parser.add_argument("--event-id", metavar="ID", help="makes a repetition harmless")
    parser.add_argument("--occurred-at", metavar="TIME", help="when it happened, RFC 3339 (default: now)")
    parser.add_argument("--reason", default="", metavar="TEXT", help="for the record; nothing about the person")


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import registered_answer, registration_warnings
    from ecard_issuer.web.models import NewCard

    body = _document(args.file, NewCard)
    with opened(args) as issuer:
        card = body.to_card()
        card_ref = issuer.cards.register(card, CardStatus(body.status), issuer.clock())
        for warning in registration_warnings(card):
            talk(f"warning: {warning}: {text(warning)}")
        show(args, registered_answer(issuer.register, card_ref, card, issuer.clock()))
    return 0


def _find(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import card_answer
    from ecard_issuer.web.cards import found_cards
    from ecard_issuer.web.models import FindCards

    body = _document(args.file, FindCards)
    with opened(args) as issuer:
        cards = [card_answer(issuer.register, card, issuer.clock()) for card in found_cards(issuer, body)]
        show(args, {"cards": cards}, *(f"{card['card_ref']}  status {card['status']}" for card in cards))
    return 0 if cards else 5


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import card_answer

    with opened(args) as issuer:
        show(args, card_answer(issuer.register, issuer.register.get_card(args.card_ref), issuer.clock()))
    return 0


def _change(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import change_answer

    with opened(args) as issuer:
        result = issuer.lifecycle.change(
            args.card_ref,
            CardChange(args.change),
            issuer.clock(),
            source=args.source,
            sequence=args.sequence,
            event_id=args.event_id,
            occurred_at=_time(args.occurred_at),
            reason=args.reason,
        )
        show(args, change_answer(issuer.register, result, issuer.clock()))
    return 0


def _replace(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import change_answer

    with opened(args) as issuer:
        result = issuer.lifecycle.replace(
            args.card_ref,
            args.new_card_ref,
            issuer.clock(),
            source=args.source,
            sequence=args.sequence,
            event_id=args.event_id,
            occurred_at=_time(args.occurred_at),
            reason=args.reason,
        )
        show(args, change_answer(issuer.register, result, issuer.clock()))
    return 0


def _document(path: str, kind: type[_M]) -> _M:
    """`read_body`, with refusals that speak of a file and not of a request. Raises `InvalidInput` `bad_document`."""
    try:
        return read_body(path, kind)
    except InvalidInput as refused:
        what = "it is not JSON" if refused.detail == _NO_JSON else refused.detail
        raise InvalidInput("bad_document", f"standard input: {what}" if path == "-" else what) from None


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("bad_card_event", "a time looks like 2026-01-31T12:00:00Z") from None
