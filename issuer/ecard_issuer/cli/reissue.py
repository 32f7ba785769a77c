"""`ecard key reissue`: make every live credential of a key anew under the active one."""

from __future__ import annotations

import argparse
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecard_card import messages
from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk

if TYPE_CHECKING:
    from ecard_issuer.reissue_progress import Part, Progress
    from ecard_issuer.rows import ReissueCount


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `reissue`."""
    reissue = commands.add_parser(
        "reissue",
        help="make every live credential of a key anew under the active key",
        description="For a stolen key, and for one that must leave early. Stop it when you like and run it again: it"
        " goes on where it was, and several may run side by side, each on its own part. An old credential ends when"
        " its phone has fetched the new one; of a key whose signatures are all refused, at once.",
        epilog="Exit status: 0 nothing is left to re-issue; 1 something is left, and the answer says why;"
        " 3 the register or the key's home is away, run it again later; 4 another admin must approve.",
    )
    reissue.add_argument("kid", metavar="KID", help="the key whose credentials are replaced, as `ecard key list` shows")
    reissue.add_argument("--dry-run", action="store_true", help="say how many, and change nothing")
    reissue.add_argument(
        "--end-now", action="store_true", help="end the old credentials at once: phones off line have none until then"
    )
    reissue.add_argument("--part", metavar="I/N", default="1/1", help="only part I of N, for N jobs side by side")
    add_options(reissue, _run)


def _run(args: argparse.Namespace) -> int:
    from ecard_issuer.cli.progress import Bar

    part = _part(args.part)
    with opened(args) as issuer:
        if args.dry_run:
            return _foresee(args, issuer.reissue.count(args.kid, issuer.clock(), part))
        actor = actor_of(args, issuer)
        issuer.reissue.permit(args.kid, actor, issuer.approvals, issuer.clock(), end_now=args.end_now)
        bar = Bar()

        def told(progress: Progress) -> None:
            bar.show(progress.done, progress.total, progress.rate, progress.seconds_left)

        with _stopped_by_hand() as stopped:
            try:
                progress = issuer.reissue.run(
                    args.kid,
                    issuer.clock,
                    end_now=args.end_now,
                    part=part,
                    told=told,
                    wanted=lambda: not stopped.is_set(),
                    pause=stopped.wait,
                )
            finally:
                bar.end()
        left = issuer.reissue.count(args.kid, issuer.clock(), part)
    show(args, _answer(args.kid, progress, left), *_lines(progress, left))
    if left.waiting:
        talk("Run it again for what is left, when what holds it up is gone.")
    return 1 if left.waiting else 0


def _foresee(args: argparse.Namespace, count: ReissueCount) -> int:
    show(
        args,
        {"kid": args.kid, "waiting": count.waiting, "uncollected": count.replaced},
        f"{count.waiting:,} credentials of key {args.kid} would be made anew",
        f"{count.replaced:,} have a successor that their phone has not fetched yet",
    )
    return 0


def _answer(kid: str, progress: Progress, left: ReissueCount) -> dict[str, object]:
    return {
        "kid": kid,
        "reissued": progress.done,
        "seconds": round(progress.seconds, 1),
        "per_second": round(progress.rate, 1),
        "left": left.waiting,
        "passed_over": dict(sorted(progress.left.items())),
        "uncollected": left.replaced,
    }


def _lines(progress: Progress, left: ReissueCount) -> list[str]:
    lines = [
        f"re-issued {progress.done:,} in {progress.seconds:,.1f} s, {progress.rate:,.0f}/s; left: {left.waiting:,}"
    ]
    lines += [f"  {code}: {count:,} ({messages.text(code)})" for code, count in sorted(progress.left.items())]
    if left.replaced:
        lines.append(f"{left.replaced:,} old credentials end when their phone has fetched the new one")
    return lines


@contextmanager
def _stopped_by_hand() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM, after which the batch in hand is finished; the second one ends at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _part(text: str) -> Part:
    from ecard_issuer.reissue_progress import Part

    match = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", text)
    if match is None:
        raise InvalidInput("bad_part", "want I/N, for example 3/8")
    return Part(int(match[1]), int(match[2]))
