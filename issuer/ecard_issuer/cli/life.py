"""`ecard loss`, `ecard replacement`, and the verbs of `ecard card` that end a card or look at what time changed.

Who is meant stands in a JSON document, as the routes take it: nobody's data on a command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ecard_issuer.cli.common import add_options, opened, read_body, show, talk

_Run = Callable[[argparse.Namespace], int]

if TYPE_CHECKING:
    from ecard_issuer.assembly import Issuer
    from ecard_issuer.life.values import Asked, CaseKind, Outcome
    from ecard_verifier.callers import Caller

#: Whose request ids those of this command are.
_NAME: Final = "command line"


def register_loss(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `loss` with its commands."""
    loss = subparsers.add_parser("loss", help="report cards lost, release those that were found")
    commands = loss.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _document(commands.add_parser("report", help="report a loss (as POST /v1/losses takes it)"), _report)
    _document(commands.add_parser("release", help="a card was found (as POST /v1/releases takes it)"), _release)
    _case(commands.add_parser("show", help="a loss, as it is now"), _show_loss)


def register_replacement(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `replacement` with its commands."""
    replacement = subparsers.add_parser("replacement", help="new cards for old ones: ordered, made, ready, collected")
    commands = replacement.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _document(commands.add_parser("order", help="order a new card (as POST /v1/replacements takes it)"), _order)
    made = commands.add_parser("made", help="the new card was made, and is registered")
    _case(made, _made)
    made.add_argument("new_card_ref", metavar="NEW_CARD_REF", help="as `ecard card find` prints it")
    _case(commands.add_parser("ready", help="the new card waits for its holder"), _ready)
    collected = commands.add_parser("collected", help="the holder has the new card: the e-card moves to it")
    _case(collected, _collected)
    collected.add_argument("--enrolment-id", metavar="ID", help="a proven enrolment of the new card's chip")
    _case(commands.add_parser("withdraw", help="no new card is wanted"), _withdraw)
    _case(commands.add_parser("show", help="how far a new card is"), _show_replacement)


def add_card_verbs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cancel` and `review` to the verbs of `ecard card`."""
    _document(commands.add_parser("cancel", help="end a card for good (as POST /v1/cancellations takes it)"), _cancel)
    review = commands.add_parser(
        "review",
        help="work in what time alone changes: terms, last days, policies",
        description="Does at once, and to the end, what a running service does little by little. It may run beside one,"
        " and be stopped and started again.",
    )
    review.add_argument("--region", metavar="CODE", help="look at all cards under this code, whatever is known of it")
    add_options(review, _review)


def _document(parser: argparse.ArgumentParser, run: _Run) -> None:
    parser.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(parser, run)


def _case(parser: argparse.ArgumentParser, run: _Run) -> None:
    parser.add_argument("case_id", metavar="CASE_ID", help="as the opening of the case printed it")
    add_options(parser, run)


def _report(args: argparse.Namespace) -> int:
    from ecard_issuer.web.life_models import LossBody

    body = read_body(args.file, LossBody)
    with opened(args) as issuer:
        asked = body.asked(_caller(), body.request_id)
        _show(args, issuer, issuer.life.losses.report(body.kind, body.who(), asked, issuer.clock()))
    return 0


def _release(args: argparse.Namespace) -> int:
    from ecard_issuer.web.life_models import ReleaseBody

    body = read_body(args.file, ReleaseBody)
    with opened(args) as issuer:
        asked = body.asked(_caller(), body.request_id)
        _show(args, issuer, issuer.life.losses.release(body.who(), asked, issuer.clock()))
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from ecard_issuer.web.life_models import CancellationBody

    body = read_body(args.file, CancellationBody)
    with opened(args) as issuer:
        asked = body.asked(_caller(), body.request_id)
        outcome = issuer.life.cancellations.cancel(body.cause, body.who(), asked, body.proof, issuer.clock())
        _show(args, issuer, outcome)
    return 0


def _order(args: argparse.Namespace) -> int:
    from ecard_issuer.web.life_models import ReplacementOrder

    body = read_body(args.file, ReplacementOrder)
    with opened(args) as issuer:
        outcome = issuer.life.replacements.order(
            body.reason,
            body.who(),
            body.asked(_caller(), body.request_id),
            issuer.clock(),
            new_name=body.new_name,
            new_id_number=body.new_id_number,
        )
        _show(args, issuer, outcome)
    return 0


def _made(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        _show(args, issuer, issuer.life.replacements.made(args.case_id, args.new_card_ref, _caller(), issuer.clock()))
    return 0


def _ready(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        _show(args, issuer, issuer.life.replacements.ready(args.case_id, _caller(), issuer.clock()))
    return 0


def _collected(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        outcome = issuer.life.replacements.collect(args.case_id, args.enrolment_id, _asked(), issuer.clock())
        _show(args, issuer, outcome)
    return 0


def _withdraw(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        _show(args, issuer, issuer.life.replacements.withdraw(args.case_id, _asked(), issuer.clock()))
    return 0


def _show_loss(args: argparse.Namespace) -> int:
    from ecard_issuer.life.values import CaseKind

    return _found(args, CaseKind.LOSS)


def _show_replacement(args: argparse.Namespace) -> int:
    from ecard_issuer.life.values import CaseKind

    return _found(args, CaseKind.REPLACEMENT)


def _found(args: argparse.Namespace, kind: CaseKind) -> int:
    with opened(args) as issuer:
        _show(args, issuer, issuer.life.office.find(args.case_id, kind, _caller(), issuer.clock()))
    return 0


def _review(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        now = issuer.clock()
        if args.region is not None:
            issuer.life.upkeep.review_region(args.region, now)
        looked_at = issuer.life.upkeep.finish(now, lambda done: talk(f"looked at {done}"))
        show(args, {"looked_at": looked_at})
    return 0


def _show(args: argparse.Namespace, issuer: Issuer, outcome: Outcome) -> None:
    from ecard_issuer.life.answers import case_answer, remains

    policy = issuer.life.office.policy_of(outcome.region, issuer.clock())
    answer = case_answer(outcome, policy, "en")
    show(args, answer)
    if not args.json and remains(outcome, policy):
        from ecard_card.messages import text

        for code in remains(outcome, policy):
            talk(f"{text(code)} {text(code, 'zh')}")


def _asked() -> Asked:
    """A step of a case, for the holder in person."""
    from ecard_card.acting import IN_PERSON, Channel
    from ecard_issuer.life.values import Asked

    return Asked("", _caller(), Channel.AUTHORITY, IN_PERSON)


def _caller() -> Caller:
    from ecard_verifier.callers import Caller, Role

    return Caller(_NAME, Role.OPERATOR)
