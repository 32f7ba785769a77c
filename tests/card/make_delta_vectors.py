"""Builds `tests/vectors/card/status_delta.json`: `python -m tests.card.make_delta_vectors` from the top folder. Always
the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from ecard_card import status_delta
from ecard_card.jose import UnsignedJws, b64url_encode, compact_signing_input
from ecard_card.status_delta import FIRST, LIST_SIZE, MAX_LIST, Change, StatusDelta, digest_of, pack
from tests.qr.samples import KEYS, point, sign

T: Final = 1_790_000_000
KID: Final = "0ec15010"
_FILE: Final = Path(__file__).parents[1] / "vectors/card/status_delta.json"
_PACKED: Final[dict[str, tuple[Change, ...]]] = {
    "nothing": (),
    "the first place": ((0, 0, 1),),
    "one byte at the most": ((0, 31, 2),),
    "neighbours, and a way off": ((0, 0, 1), (0, 1, 2), (0, 40, 0)),
    "over the end of a list": ((6, LIST_SIZE - 1, 2), (7, 0, 1)),
    "the last place": ((MAX_LIST, LIST_SIZE - 1, 1),),
}
_REFUSED: Final = {
    "a longer spelling": "8100",
    "cut short": "80",
    "value 3": "03",
    "beyond the last list": "ffffffffffffff3f",
    "nine bytes of a number": "81818181818181818101",
}


def document() -> str:
    """The whole file."""
    first = _delta(StatusDelta("https://issuer.example", T, T + 86_400, 1, 4711, 4711, FIRST, T, 3, ()))
    second = replace(_said(first), number=2, issued_at=T + 25, as_of=T + 24, expires_at=T + 24 + 86_400, upto=4714)
    chained = _delta(replace(second, previous=first["digest"], changes=((1, 7, 2), (3, 1_048_575, 1))))
    whole = {
        "about": "Status deltas (docs/formats/status-delta.md). Signatures are deterministic (RFC 6979), low s.",
        "public_key": point(KEYS.issuer).hex(),
        "vectors": [
            *(
                _vector(name, "packed", {"changes": [list(change) for change in changes]}, bytes=pack(changes).hex())
                for name, changes in _PACKED.items()
            ),
            *(_vector(name, "packed", "bad_status_delta", bytes=data) for name, data in _REFUSED.items()),
            *(
                _vector(name, "token", {"digest": made["digest"], "changes": made["changes"]}, token=made["token"])
                for name, made in (("the first delta", first), ("the next one", chained))
            ),
        ],
    }
    return json.dumps(whole, indent=1) + "\n"


def _vector(name: str, kind: str, expect: object, **given: str) -> dict[str, object]:
    return {"name": name, "kind": kind, "source": "ours", **given, "expect": expect}


def _said(vector: dict[str, str]) -> StatusDelta:
    return status_delta.sealed(vector["token"]).open()


def _delta(delta: StatusDelta) -> dict[str, str]:
    header = {"alg": "ES256", "kid": KID, "typ": status_delta.TYP}
    draft = UnsignedJws(compact_signing_input(header, delta.claims()))
    token = draft.complete(sign(KEYS.issuer, draft.signing_input))
    return {"token": token, "digest": digest_of(draft.signing_input), "changes": b64url_encode(pack(delta.changes))}


if __name__ == "__main__":
    _FILE.write_text(document())
