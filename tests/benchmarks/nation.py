"""Statuses of 1.4 billion cards: bytes of all lists, time to rebuild one, bytes of deltas a minute.

`python -m tests.benchmarks.nation [PERCENT ...]` (default 0.1 1 5); `--lists N` encodes fewer lists and multiplies.
Real encoder, real signatures, random entries; the rebuild of one list goes from the rows of a real register to the
signed token. Times are of the processor, so that a busy machine does not show in them.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import tempfile
import time
from pathlib import Path

from ecard_card import jose, status_delta
from ecard_card.status import EcardStatus
from ecard_card.status_delta import LIST_SIZE, Change, pack
from ecard_issuer.publishing.decoys import FEWEST, MOST
from ecard_issuer.publishing.deltas import CHANGED_EVERY
from ecard_issuer.publishing.publisher import Form, Publisher
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import writing
from ecard_issuer.register.tables import status_entry
from tests.benchmarks.status_out import delta_of, entries, filled
from tests.issuer.service import open_service
from tests.world import World

CARDS = 1_400_000_000
LISTS = -(-CARDS // LIST_SIZE)
ROUNDS = 9
_YEAR_MINUTES = 365 * 24 * 60


def lists(percent: float, count: int, drawn: random.Random) -> None:
    """Encode `count` lists and say what all of them are together."""
    sizes, started = [], time.process_time()
    for _ in range(count):
        sizes.append(len(filled(entries(round(LIST_SIZE * percent / 100), drawn)).compressed()))
    took = time.process_time() - started
    whole = sum(sizes) * LISTS / count
    tight = statistics.mean(
        len(filled(entries(round(LIST_SIZE * percent / 100), drawn)).compressed(9)) for _ in range(3)
    )
    print(
        f"{percent:>5} % not valid: {whole / 1e6:7.2f} MB for {LISTS} lists; one {statistics.mean(sizes):9,.0f} bytes"
        f" ({min(sizes):,} to {max(sizes):,}), as JWT about {statistics.mean(sizes) * 4 / 3 * 4 / 3 + 400:,.0f};"
        f" level 9 {tight:,.0f}; {count} made and encoded in {took:.1f} s of processor"
    )


def rebuild(percent: float, drawn: random.Random) -> None:
    """One list, many times: rows of the register → bits → zlib → signed token."""
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Path(folder))
        issuer = service.issuer
        values = entries(round(LIST_SIZE * percent / 100), drawn)
        register = SqlRegister(issuer.engine)
        register.free_slot(service.clock())
        with writing(issuer.engine) as connection:
            connection.execute(
                status_entry.insert(),
                [
                    {"list_id": 1, "index": index, "card_ref": "c", "plan_id": "p", "value": EcardStatus(value)}
                    for index, value in values.items()
                ],
            )
        times = []
        for _ in range(ROUNDS):
            publisher = Publisher(register, issuer.keys, issuer.signing)
            started = time.process_time()
            publisher.status_list(1, Form.JWT, service.clock())
            times.append((time.process_time() - started) * 1000)
        again = []
        for _ in range(ROUNDS):
            started = time.process_time()
            publisher.status_list(1, Form.JWT, service.clock(), oldest=-1)
            again.append((time.process_time() - started) * 1000)
        assert dict(register.status_snapshot(1).entries) == {at: EcardStatus(value) for at, value in values.items()}
        issuer.close()
    print(
        f"{percent:>5} % not valid: register to signed token {statistics.median(times):6.1f} ms a list"
        f" ({statistics.median(times) * LISTS / 1000:.0f} s for all);"
        f" signed anew without encoding {statistics.median(again):.1f} ms"
    )


def deltas(percent_a_year: float, drawn: random.Random) -> None:
    """A virtual day of changes at that rate, decoys besides: bytes of all deltas a minute."""
    decoys = LISTS * (MOST - FEWEST) / math.log(MOST / FEWEST) / (24 * 60)
    rate = CARDS * percent_a_year / 100 / _YEAR_MINUTES
    world, total, packed, changed, number = World(), 0, 0, 0, 0
    for number in range(1, 24 * 3600 // CHANGED_EVERY + 1):
        count = _poisson((rate + decoys) * CHANGED_EVERY / 60, drawn)
        places = sorted({(drawn.randrange(LISTS), drawn.randrange(LIST_SIZE)) for _ in range(count)})
        changes: tuple[Change, ...] = tuple((*place, drawn.randrange(3)) for place in places)
        draft = status_delta.draft(delta_of(changes, number + 1), world.status_key.key_id)
        token = draft.complete(world.status_key.sign(world.status_key.key_id, [draft.signing_input])[0])
        total, packed, changed = total + len(token), packed + len(pack(changes)), changed + len(changes)
    print(
        f"{percent_a_year:>5} % a year: {rate:.1f} changes and {decoys:.1f} decoys a minute;"
        f" {total / (24 * 60):,.0f} bytes of deltas a minute, {total / 1e6:.2f} MB a day in {number} deltas;"
        f" {packed / changed:.2f} bytes a change, {total / changed:.0f} with everything around"
    )


def batches(drawn: random.Random) -> None:
    """What one change takes, by how many there are in a delta."""
    for count in (1, 10, 100, 1000, 10_000):
        places = sorted({(drawn.randrange(LISTS), drawn.randrange(LIST_SIZE)) for _ in range(count)})
        changes = tuple((*place, 1) for place in places)
        text = len(jose.b64url_encode(jose.b64url_encode(pack(changes)).encode()))
        each = len(pack(changes)) / len(changes)
        print(f"{count:>6} changes in a delta: {each:.2f} bytes each, {text / len(changes):.1f} on the wire")


def _poisson(mean: float, drawn: random.Random) -> int:
    count, left = 0, drawn.expovariate(1)
    while left < mean:
        count, left = count + 1, left + drawn.expovariate(1)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("percent", nargs="*", type=float, default=[0.1, 1.0, 5.0])
    parser.add_argument("--lists", type=int, default=LISTS)
    args = parser.parse_args()
    drawn = random.Random(1_400_000_000)  # noqa: S311 - a load, and the same each time
    for percent in args.percent:
        rebuild(percent, drawn)
    for percent in (0.1, 1.0):
        deltas(percent, drawn)
    batches(drawn)
    for percent in args.percent:
        lists(percent, args.lists, drawn)


if __name__ == "__main__":
    main()
