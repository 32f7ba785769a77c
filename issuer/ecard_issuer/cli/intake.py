"""`ecard intake`: card systems whose word is taken, and what of it a person must see."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `intake` with its commands."""
    parser = subparsers.add_parser("intake", help="events of the physical card system: exceptions, gaps, sources")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add_options(commands.add_parser("list", help="what came in and could not be taken"), _list)
    for name, what, run in (
        ("show", "one of them", _show),
        ("retry", "try one again", _retry),
        ("dismiss", "decide that nothing follows", _dismiss),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("exception_ref", metavar="REF", help="as `ecard intake list` prints it")
        if name == "dismiss":
            command.add_argument("--reason", required=True, metavar="TEXT", help="for the record; nothing personal")
        add_options(command, run)
    gaps = commands.add_parser("gaps", help="numbers of a source's sequence that never came")
    gaps.add_argument("--source", metavar="NAME", help="of one source")
    add_options(gaps, _gaps)
    add_options(commands.add_parser("sources", help="the card systems whose word is taken"), _sources)
    source = commands.add_parser("source", help="register a card system, or change what is known of it (four eyes)")
    source.add_argument("name", metavar="NAME", help="that of its caller of role source")
    source.add_argument("file", metavar="FILE", help="as PUT /v1/card-sources takes it; - reads standard input")
    add_options(source, _put)
    end = commands.add_parser("end", help="take no more of a card system's word")
    end.add_argument("name", metavar="NAME", help="as `ecard intake sources` prints it")
    add_options(end, _end)


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import exception_answer

    with opened(args) as issuer:
        store = issuer.intake.store
        rows = list(page := store.open_exceptions())
        while page:
            rows += (page := store.open_exceptions((page[-1].first_seen, page[-1].exception_ref)))
        answers = [exception_answer(row) for row in rows]
        counts = dict(store.counts())
    show(
        args,
        {"exceptions": answers, "counts": counts},
        *(f"{row['exception_ref']}  {row['source']}  {row['code']}  ×{row['count']}" for row in answers),
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import exception_answer

    with opened(args) as issuer:
        show(args, exception_answer(issuer.intake.store.get_exception(args.exception_ref)))
    return 0


def _retry(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import exception_answer

    with opened(args) as issuer:
        row = issuer.intake.events.retry(args.exception_ref, actor_of(args, issuer), issuer.clock())
        show(args, exception_answer(row))
    return 0


def _dismiss(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import exception_answer

    with opened(args) as issuer:
        actor = actor_of(args, issuer)
        row = issuer.intake.events.dismiss(args.exception_ref, actor, args.reason, issuer.clock())
        show(args, exception_answer(row))
    return 0


def _gaps(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import gap_answer

    with opened(args) as issuer:
        rows = [gap_answer(row) for row in issuer.intake.store.gaps(args.source)]
    show(
        args, {"gaps": rows}, *(f"{row['source']}  {row['card_ref']}  {row['first']} to {row['last']}" for row in rows)
    )
    return 0


def _sources(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import source_answer

    with opened(args) as issuer:
        rows = [source_answer(row) for row in issuer.intake.sources.all()]
    show(args, {"sources": rows}, *(f"{row['name']}  {row['issuer']}  {row['delivery']}" for row in rows))
    return 0


def _put(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.answers import source_answer
    from ecard_issuer.web.intake_models import SourceBody

    body = read_body(args.file, SourceBody)
    with opened(args) as issuer:
        source = body.to_source(args.name)
        row = issuer.intake.sources.put(source, actor_of(args, issuer), issuer.clock(), poll_token=body.poll_token)
        show(args, source_answer(row))
    return 0


def _end(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        issuer.intake.sources.end(args.name, issuer.clock())
    show(args, {"ended": args.name})
    return 0
