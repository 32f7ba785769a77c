"""`ecard partner`: who is told of status changes, how their streams stand, dead letters, sending again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ecard_issuer.cli.common import add_options, opened, show, talk

if TYPE_CHECKING:
    from collections.abc import Mapping


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `partner` with its commands."""
    partner = subparsers.add_parser(
        "partner",
        help="streams and webhooks of partners: make, look at, pause, send again",
        description="A partner is a caller of role partner (`ecard operator add NAME --role partner`).",
    )
    commands = partner.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = commands.add_parser("add-stream", help="a new stream; a webhook's secret is shown this once")
    add.add_argument("partner", metavar="NAME", help="the caller whose stream it is")
    add.add_argument("--method", choices=["push", "poll", "webhook"], default="webhook", help="default %(default)s")
    add.add_argument("--endpoint", metavar="URL", help="where to send to, over https; none for poll")
    add.add_argument("--description", default="", metavar="TEXT", help="for people")
    add_options(add, _add)

    add_options(commands.add_parser("list", help="every stream, its backlog and its dead letters"), _list)
    for name, run, what in (
        ("show", _show, "one stream"),
        ("deliveries", _deliveries, "what became of a stream's last deliveries"),
        ("dead-letters", _dead, "what was given up"),
        ("delete", _delete, "end a stream, with its subjects and its log"),
    ):
        add_options(_of_stream(commands, name, what), run)

    status = _of_stream(commands, "status", "enable, pause or disable a stream; its receiver is told")
    status.add_argument("status", choices=["enabled", "paused", "disabled"], help="an enabled one goes on where it was")
    status.add_argument("--reason", default="", metavar="WORD", help="a short word in lower case")
    add_options(status, _status)

    regions = _of_stream(commands, "regions", "permit a stream every card of regions; none takes it back")
    regions.add_argument("regions", nargs="*", metavar="REGION", help="six digits (GB/T 2260)")
    add_options(regions, _regions)

    card = _of_stream(commands, "add-card", "let a stream hear of one card; prints what the partner calls it")
    card.add_argument("card_ref", metavar="CARD_REF", help="as `ecard card find` prints it")
    add_options(card, _card)

    resend = _of_stream(commands, "resend", "send one delivery again, whatever became of it")
    resend.add_argument("number", type=int, metavar="NUMBER", help="as `ecard partner dead-letters` prints it")
    add_options(resend, _resend)

    again = _of_stream(commands, "catch-up", "file everything after an event of the feed once more")
    again.add_argument("seq", type=int, metavar="SEQ", help="the last event of the feed that is not to come again")
    add_options(again, _catch_up)


def _of_stream(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what)
    parser.add_argument("stream_id", metavar="STREAM", help="as `ecard partner list` prints it")
    return parser


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import shown_once, stream_answer
    from ecard_issuer.partners.office import Wanted
    from ecard_issuer.partners.streams import Method

    with opened(args) as issuer:
        office, method = issuer.partners.office, Method(args.method)
        if not any(
            (row.name, row.role) == (args.partner, "partner") and row.revoked_at is None
            for row in issuer.operators.all()
        ):
            talk(f"Nobody can ask for this stream yet: `ecard operator add {args.partner} --role partner`.")
        wanted = Wanted(method, args.endpoint, description=args.description)
        stream = office.create(args.partner, wanted, issuer.clock())
        if method is Method.WEBHOOK:
            answer = shown_once(stream, office.secrets_of(stream).keys[0])
            show(args, answer, stream.stream_id, f"secret: {answer['secret']}", f"public key: {answer['public_key']}")
            talk("The secret is sealed now and cannot be shown again.")
        else:
            show(args, stream_answer(stream), stream.stream_id)
    return 0


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import backlog_answer

    with opened(args) as issuer:
        rows = [backlog_answer(item) for item in issuer.partners.overview()]
    lines = (
        f"{row['stream_id']}  {row['partner']}  {row['method']}  {row['status']}"
        f"  waiting {row['waiting']}  dead {row['dead_letters']}  behind {row['feed_lag']}"
        for row in rows
    )
    show(args, {"streams": rows}, *lines)
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import stream_answer

    with opened(args) as issuer:
        show(args, stream_answer(issuer.partners.office.any(args.stream_id)))
    return 0


def _deliveries(args: argparse.Namespace) -> int:
    return _log(args, None)


def _dead(args: argparse.Namespace) -> int:
    return _log(args, "dead")


def _log(args: argparse.Namespace, state: str | None) -> int:
    from ecard_issuer.partners.answers import delivery_answer
    from ecard_issuer.partners.streams import DeliveryState

    with opened(args) as issuer:
        office = issuer.partners.office
        wanted = None if state is None else DeliveryState(state)
        rows = [delivery_answer(row) for row in office.log(office.any(args.stream_id), 100, wanted)]
    show(args, {"deliveries": rows}, *map(_line, rows))
    return 0


def _line(row: Mapping[str, object]) -> str:
    return f"{row['number']}  {row['kind']}  {row['state']}  {row['attempts']} attempts  {row['result']}"


def _delete(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        issuer.partners.office.delete(issuer.partners.office.any(args.stream_id))
        show(args, {"stream_id": args.stream_id, "deleted": True})
    return 0


def _status(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import stream_answer
    from ecard_issuer.partners.streams import StreamStatus

    with opened(args) as issuer:
        office = issuer.partners.office
        stream, status = office.any(args.stream_id), StreamStatus(args.status)
        show(args, stream_answer(office.set_status(stream, status, args.reason, issuer.clock(), announce=True)))
    return 0


def _regions(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import stream_answer

    with opened(args) as issuer:
        office = issuer.partners.office
        changed = office.permit_regions(office.any(args.stream_id), args.regions, issuer.clock())
        show(args, stream_answer(changed), " ".join(changed.regions))
    return 0


def _card(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        office = issuer.partners.office
        reference = office.add_card(office.any(args.stream_id), args.card_ref, issuer.clock())
        show(args, {"reference": reference}, reference)
    return 0


def _resend(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import delivery_answer

    with opened(args) as issuer:
        office = issuer.partners.office
        row = delivery_answer(office.resend(office.any(args.stream_id), args.number, issuer.clock()))
        show(args, row, _line(row))
    return 0


def _catch_up(args: argparse.Namespace) -> int:
    from ecard_issuer.partners.answers import stream_answer

    with opened(args) as issuer:
        office = issuer.partners.office
        show(args, stream_answer(office.catch_up(office.any(args.stream_id), args.seq, issuer.clock())))
    return 0
