"""`ecard pin`: a card's PIN as an operator sees it, and what a desk does to it. What is typed never stands in argv."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pin` with its three commands."""
    pin = subparsers.add_parser("pin", help="look at a card's PIN, reset or unlock it")
    commands = pin.add_subparsers(title="commands", metavar="COMMAND", required=True)

    look = commands.add_parser("show", help="whether a card's PIN is initial or locked")
    look.add_argument("card_ref", metavar="CARD_REF", help="as `ecard card find` prints it")
    add_options(look, _show)

    reset = commands.add_parser("reset", help="replace a forgotten PIN (a document as POST /v1/pins/reset takes it)")
    reset.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(reset, _reset)

    unlock = commands.add_parser("unlock", help="unlock a PIN (a document as POST /v1/pins/unlock takes it)")
    unlock.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(unlock, _unlock)


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.holder_answers import pin_answer

    with opened(args) as issuer:
        show(args, pin_answer(issuer.holders.pins.state(args.card_ref, issuer.clock())))
    return 0


def _reset(args: argparse.Namespace) -> int:
    from ecard_card.card import IdNumber
    from ecard_issuer.holder_answers import act_answer
    from ecard_issuer.pins.secret import Secret
    from ecard_issuer.web.secret_models import ResetPin
    from ecard_verifier.callers import Caller, Role

    body = read_body(args.file, ResetPin)
    with opened(args) as issuer:
        done = issuer.holders.pins.reset(
            body.ref(issuer.people.references),
            IdNumber(body.document_number),
            Caller(actor_of(args, issuer), Role.OPERATOR),
            issuer.clock(),
            new=None if body.new_pin is None else Secret.typed(body.new_pin),
            acting=body.who,
            event_id=body.event_id,
        )
        show(args, act_answer(done))
    return 0


def _unlock(args: argparse.Namespace) -> int:
    from ecard_card.card import IdNumber
    from ecard_issuer.holder_answers import act_answer
    from ecard_issuer.web.secret_models import UnlockPin
    from ecard_verifier.callers import Caller, Role

    body = read_body(args.file, UnlockPin)
    with opened(args) as issuer:
        done = issuer.holders.pins.unlock(
            body.ref(issuer.people.references),
            IdNumber(body.document_number),
            Caller(actor_of(args, issuer), Role.OPERATOR),
            issuer.clock(),
            acting=body.who,
            event_id=body.event_id,
        )
        show(args, act_answer(done))
    return 0
