"""`ecard status`: what is published about statuses, and the proof that it is what the register says."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from ecard_issuer.cli.common import add_options, opened, show, talk

if TYPE_CHECKING:
    from datetime import datetime

    from ecard_issuer.assembly import Issuer
    from ecard_issuer.publishing.rebuild import Difference, PublishedBits
    from ecard_issuer.rows import StatusListRow


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `status` with its three commands."""
    status = subparsers.add_parser("status", help="status lists, deltas, snapshots: show them, prove them, make them")
    commands = status.add_subparsers(title="commands", metavar="COMMAND", required=True)
    look = commands.add_parser("show", help="every list with its age and how many entries have which value")
    add_options(look, _show)
    rebuild = commands.add_parser(
        "rebuild",
        help="compute every entry anew from the register, compare bit for bit, and repair",
        description="Computes every entry of every list anew from cards, plans, credentials and policies, and compares"
        " with what is stored and with what is published. Differences are listed on standard output. What is stored"
        " and wrong is set right, and verifiers are told; an invalid entry stays so, because it is final.",
        epilog="Exit status: 0 equal, bit for bit; 1 there were differences; 3 register or signer is away.",
    )
    rebuild.add_argument("--check", action="store_true", help="compare only, and change nothing")
    rebuild.add_argument(
        "--published",
        metavar="URL",
        help="compare with the lists that a running service gives out there (default: as this command signs them)",
    )
    add_options(rebuild, _rebuild)
    snapshot = commands.add_parser(
        "snapshot",
        help="make a snapshot of the feed now, with which new verifiers begin",
        description="Folds the feed as a verifier does, from where the last snapshot of this directory ended, and"
        " stores what it comes to, signed. New verifiers take that instead of every event since the first. A running"
        " service makes one every ECARD_FEED_SNAPSHOT_HOURS by itself; the first takes as long as a verifier would.",
        epilog="Exit status: 0 made; 2 another process makes one, or the feed is empty; 3 register or signer is away.",
    )
    add_options(snapshot, _snapshot)


def _show(args: argparse.Namespace) -> int:
    from ecard_card.errors import NotFound

    with opened(args) as issuer:
        now = issuer.clock()
        lists, after = list[dict[str, object]](), -1
        while rows := issuer.register.status_lists(after):
            lists += [_facts(issuer, row, now) for row in rows]
            after = rows[-1].list_id
        try:
            last = issuer.publishing.deltas.latest()
            age = now.timestamp() - last.as_of
            delta: dict[str, object] | None = {"number": last.number, "upto": last.upto, "as_of_age": round(age)}
        except NotFound:
            delta = None
        lines = [f"{'list':>8} {'state':<6} {'version':>8} {'suspended':>10} {'invalid':>8} {'bytes':>8}  age"]
        lines += [
            f"{row['list']:>8} {row['state']:<6} {row['version']:>8} {row['suspended']:>10} {row['invalid']:>8}"
            f" {row['bytes']:>8}  {row['days']} d"
            for row in lists
        ]
        lines.append(
            "no delta yet"
            if delta is None
            else f"delta {delta['number']}: events up to {delta['upto']}, as of {delta['as_of_age']} s ago"
        )
        snapshot = _newest_snapshot(issuer)
        lines.append(
            "no snapshot of the feed"
            if snapshot is None
            else f"snapshot {snapshot['number']}: events up to {snapshot['upto']}, made {snapshot['age']} s ago"
        )
        show(args, {"lists": lists, "delta": delta, "snapshot": snapshot}, *lines)
    return 0


def _newest_snapshot(issuer: Issuer) -> dict[str, int] | None:
    from ecard_card.errors import NotFound

    try:
        row = issuer.publishing.snapshots.latest()
    except NotFound:
        return None
    age = round((issuer.clock() - row.made_at).total_seconds())
    return {"number": row.number, "upto": row.upto, "age": age}


def _snapshot(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        row = issuer.publishing.snapshots.make()
    said = f"snapshot {row.number}: events up to {row.upto}. The running service tells verifiers of it."
    show(args, {"number": row.number, "upto": row.upto}, said)
    return 0


def _facts(issuer: Issuer, row: StatusListRow, now: datetime) -> dict[str, object]:
    from ecard_card.status import EcardStatus
    from ecard_issuer.publishing.publisher import Form

    values = Counter(value for _, value in issuer.register.status_snapshot(row.list_id).entries)
    ended = row.ended(now)
    size = 0 if ended else len(issuer.publisher.status_list(row.list_id, Form.JWT, now).body)
    return {
        "list": row.list_id,
        "state": "ended" if ended else row.state.value,
        "size": row.size,
        "version": row.version,
        "suspended": values[EcardStatus.SUSPENDED],
        "invalid": values[EcardStatus.INVALID],
        "bytes": size,
        "days": (now - row.created_at).days,
        "ends_at": None if row.ends_at is None else row.ends_at.isoformat(),
    }


def _rebuild(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        report = issuer.publishing.rebuild.run(
            issuer.clock,
            repair=not args.check,
            published=_fetched(issuer, args.published) if args.published else None,
            on_list=lambda row: talk(f"list {row.list_id}"),
        )
    answer = {
        "equal": report.equal,
        "lists": report.lists,
        "entries": report.entries,
        "differences": report.differences,
        "repaired": report.repaired,
        "named": [_named(difference) for difference in report.named],
    }
    said = "equal, bit for bit" if report.equal else f"{report.differences} differ, {report.repaired} repaired"
    named = (
        f"list {item.list_id} entry {item.index}: {item.where.value} {item.found}, ought to be {item.expected}"
        + (", repaired" if item.repaired else "")
        for item in report.named
    )
    show(args, answer, *named, f"{report.lists} lists, {report.entries} entries: {said}")
    return 0 if report.equal else 1


def _named(difference: Difference) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(difference)


def _fetched(issuer: Issuer, base: str) -> PublishedBits:
    """The lists as a service gives them out, believed as a verifier believes them."""
    from ecard_card.status_list import StatusList
    from ecard_verifier.http_published import PublishedStatus
    from ecard_verifier.statuses import accept_status_token

    source = PublishedStatus(base)

    def bits(list_id: int) -> StatusList:
        now = issuer.clock()
        return accept_status_token(source.status_list(list_id), issuer.keys.trust(now), now).statuses

    return bits
