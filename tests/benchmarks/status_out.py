"""Encoding a status list and signing a delta, each against its floor on the same bytes in the same run."""

from __future__ import annotations

import random
import zlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import jose, status_delta
from ecard_card.status_delta import LIST_SIZE, Change, StatusDelta
from ecard_card.status_list import StatusList
from ecard_keys.trust.trust import Trust
from ecard_verifier.status_deltas import accept_status_delta
from tests.benchmarks.measure import per_second, row
from tests.world import ISSUER, NOW, World, seconds

_ECDSA = ec.ECDSA(hashes.SHA256())
#: Of a hundred cards that are not valid so many have ended; the others are lost or locked.
ENDED = 80


def entries(count: int, drawn: random.Random, size: int = LIST_SIZE) -> dict[int, int]:
    """`count` random entries of a list that are not valid."""
    found: dict[int, int] = {}
    while len(found) < count:
        for number in memoryview(drawn.randbytes(4 * (count - len(found)))).cast("I"):
            found[number % size] = 1 if (number >> 20) % 100 < ENDED else 2
    return found


def filled(values: dict[int, int], size: int = LIST_SIZE) -> StatusList:
    """The list of those entries, as the publisher makes it from the register's rows."""
    statuses = StatusList(size)
    for index, value in values.items():
        statuses.set(index, value)
    return statuses


def run_list() -> list[dict[str, object]]:
    """Lists of 2^20 entries per second, 1 % of them not valid: from rows to compressed bytes."""
    values = entries(LIST_SIZE // 100, random.Random(1))  # noqa: S311 - a load, and the same each time
    packed = filled(values).packed()
    ours, bare = per_second(lambda: filled(values).compressed(), lambda: zlib.compress(packed, 6))
    return [row("status_list_encode", ours, "1/s", f"zlib alone on the same bytes {bare:.0f}/s", ours / bare)]


def delta_of(changes: tuple[Change, ...], number: int = 2) -> StatusDelta:
    """A delta of these changes, one event each."""
    now = seconds(NOW)
    return StatusDelta(
        issuer=ISSUER,
        issued_at=now,
        expires_at=now + 86_400,
        number=number,
        after=10**9,
        upto=10**9 + len(changes),
        previous=jose.b64url_encode(bytes(32)),
        as_of=now,
        trust_list=12,
        changes=changes,
    )


def run_delta() -> list[dict[str, object]]:
    """Deltas of 100 changes per second: drafted and signed, and accepted by a verifier; against a bare signature."""
    world, drawn = World(), random.Random(2)  # noqa: S311 - a load, and the same each time
    places = sorted({(drawn.randrange(1336), drawn.randrange(LIST_SIZE)) for _ in range(100)})
    delta = delta_of(tuple((*place, 1 + drawn.randrange(2)) for place in places))
    signer, private, trust = world.status_key, ec.generate_private_key(ec.SECP256R1()), world.trust()
    message = bytes(900)

    def made() -> str:
        draft = status_delta.draft(delta, signer.key_id)
        return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])

    token = made()
    signature = private.sign(message, _ECDSA)
    public = private.public_key()
    ours, theirs, bare, bare_check = per_second(
        made,
        lambda: _accept(token, trust),
        lambda: private.sign(message, _ECDSA),
        lambda: public.verify(signature, message, _ECDSA),
    )
    return [
        row("status_delta", ours, "1/s", f"a raw P-256 signature {bare:.0f}/s", ours / bare),
        row("status_delta_accept", theirs, "1/s", f"a raw P-256 verification {bare_check:.0f}/s", theirs / bare_check),
    ]


def _accept(token: str, trust: Trust) -> None:
    accept_status_delta(token, trust, NOW)
