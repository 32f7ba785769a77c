"""`ecard read`: the card in a reader, in a terminal. Numbers and names are masked unless somebody asks for them."""

from __future__ import annotations

import argparse
import json
import queue
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ecard_card.errors import ChipFault, EcardError, NotFound, Unavailable
from ecard_card.messages import text
from ecard_issuer.chip.pcsc import PcscReader, list_readers
from ecard_issuer.chip.read import read_chip
from ecard_issuer.desk.acts import Acts, Read, card_facts
from ecard_issuer.desk.guarded import GuardedReader, reading
from ecard_issuer.desk.readers import Change, News, ReaderWatch

_T = TypeVar("_T")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `read`."""
    read = subparsers.add_parser(
        "read",
        help="read the card in a card reader (needs pyscard: 'ecard[reader]')",
        description="Read what the card in a card reader gives away freely. Numbers and names are covered.",
        epilog="Exit status: 0 read; 1 the card does not answer, or not as one; 3 no reader service, or no pyscard; "
        "5 no such reader.",
    )
    read.add_argument("--readers", action="store_true", help="list the readers instead")
    read.add_argument("--reader", metavar="NAME", help="a reader by its name (default: the first with a card)")
    read.add_argument("--watch", action="store_true", help="stay, and read each card that is put in; Ctrl-C ends it")
    read.add_argument("--show", action="store_true", help="show numbers and names in full")
    read.add_argument("--json", action="store_true", help="one JSON document; with --watch one for each event")
    read.set_defaults(func=_run)


def _run(options: argparse.Namespace) -> int:
    if options.readers:
        return _list(options)
    if options.watch:
        return _watch(options)
    _show(options, _faults_of(lambda: _read(options.reader)))
    return 0


def _list(options: argparse.Namespace) -> int:
    names = _faults_of(list_readers)
    if options.json:
        print(json.dumps({"readers": names}, ensure_ascii=False))
    elif names:
        print(*names, sep="\n")
    else:
        print("no reader is connected", file=sys.stderr)
    return 0


def _read(name: str | None) -> Read:
    """From that reader, or from the first with a card in it."""
    names = list_readers()
    if name is None and not names:
        raise ChipFault("reader_missing", "no reader is connected")
    for candidate in names if name is None else [name]:
        try:
            with PcscReader(candidate) as opened:
                return Read(candidate, read_chip(GuardedReader(opened, reading)))
        except ChipFault as fault:
            if name is not None or fault.code != "chip_removed":
                raise
    raise ChipFault("chip_removed", "there is no card in any reader")


def _watch(options: argparse.Namespace) -> int:
    """Each event as it comes. What goes wrong with one card is said, and the next one is read."""
    _faults_of(list_readers)  # without pyscard or its service say so and end
    told: queue.SimpleQueue[News] = queue.SimpleQueue()
    watch = ReaderWatch(told.put)
    acts = Acts(watch.shown)
    watch.start()
    try:
        while True:
            news = told.get()
            acts.heard(news)
            if options.reader in (None, news.reader, ""):
                _tell(options, news, acts)
    except KeyboardInterrupt:
        return 0
    finally:
        watch.stop()


def _tell(options: argparse.Namespace, news: News, acts: Acts) -> None:
    event: dict[str, Any] = {"event": news.change, "reader": news.reader}
    if news.change is Change.INSERTED:
        try:
            event["card"] = _facts(options, acts.read(news.reader))
        except EcardError as error:
            event["error"] = error.code
    if options.json:
        print(json.dumps(event, ensure_ascii=False), flush=True)
        return
    print(f"{news.change}  {news.reader}", flush=True)
    if "card" in event:
        _print(event["card"])
    elif "error" in event:
        print(f"  {event['error']}: {text(event['error'], 'zh')}", flush=True)


def _facts(options: argparse.Namespace, read: Read) -> dict[str, Any]:
    facts = card_facts(read)
    return facts if options.show else masked(facts)


def masked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with what names a person or a chip covered: enough is left to see that it is the card in hand."""
    holder = facts["holder"]
    covered = {name: _cover(facts[name], head, tail) for name, head, tail in _COVERED}
    if holder is not None:
        holder = {"id_number": _cover(holder["id_number"], 3, 2), "name": _cover(holder["name"], 0, 1)}
    return {**facts, **covered, "holder": holder}


_COVERED = (("identification_code", 6, 4), ("card_number", 0, 4))


def _cover(value: str | None, head: int, tail: int) -> str | None:
    if value is None:
        return None
    shown = min(tail, max(len(value) - head - 1, 0))
    return value[:head] + "*" * (len(value) - head - shown) + value[len(value) - shown :]


def _show(options: argparse.Namespace, read: Read) -> None:
    facts = _facts(options, read)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _print(facts)


def _print(facts: Mapping[str, Any]) -> None:
    holder = facts["holder"] or {"id_number": "closed", "name": "closed"}
    lines = {name: value for name, value in facts.items() if name != "holder"} | holder
    width = max(map(len, lines))
    print(*(f"{name:<{width}}  {'' if value is None else value}" for name, value in lines.items()), sep="\n")
    sys.stdout.flush()


def _faults_of(call: Callable[[], _T]) -> _T:
    """A reader or service that is not there is no fault of a card: exit status 3, and 5 for an unknown name."""
    try:
        return call()
    except ChipFault as fault:
        if fault.code == "reader_unavailable":
            raise Unavailable("reader_unavailable", fault.detail) from None
        if fault.code == "reader_missing":
            raise NotFound("reader_missing", fault.detail) from None
        raise
