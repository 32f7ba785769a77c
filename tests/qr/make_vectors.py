"""Builds `tests/vectors/qr/code.json`: `python -m tests.qr.make_vectors` from the top folder. Always the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from ecard_qr.frame import draft_offline, parse_offline, parse_online
from ecard_qr.payload import Form, to_text
from tests.qr import samples

ISSUED_AT: Final = 1790000000
_FILE: Final = Path(__file__).parents[1] / "vectors/qr/code.json"


def document() -> str:
    """The whole file."""
    keys = {
        "issuer_public_key": samples.point(samples.KEYS.issuer).hex(),
        "device_public_key": samples.point(samples.KEYS.device).hex(),
    }
    draft = draft_offline(samples.credential(ISSUED_AT - 600, ISSUED_AT + 86400), ISSUED_AT, samples.NONCE, "desk-7")
    whole = draft.complete(samples.sign(samples.KEYS.device, draft.signing_input))
    offline, text1 = parse_offline(whole), to_text(whole, Form.OFFLINE)
    short = samples.online(ISSUED_AT)
    online, text0 = parse_online(short), to_text(short, Form.ONLINE)
    good = [
        {
            "name": "EC1",
            "source": "own",
            "text": text1,
            "frame": whole.hex(),
            "credential": offline.credential.hex(),
            "issued_at": offline.issued_at,
            "nonce": offline.nonce.hex(),
            "audience": offline.audience,
            "signing_input": offline.signing_input.hex(),
            "signature": offline.signature.hex(),
            **keys,
        },
        {
            "name": "EC0",
            "source": "own",
            "text": text0,
            "frame": short.hex(),
            "credential_id": online.credential_id.hex(),
            "issued_at": online.issued_at,
            "nonce": online.nonce.hex(),
            "signing_input": online.signing_input.hex(),
            "signature": online.signature.hex(),
            "device_public_key": keys["device_public_key"],
        },
    ]
    longer = b"\x98\x05" + short[1:]
    bad = {
        "EC0: a character dropped": (text0[:40] + text0[41:], "code_damaged"),
        "EC0: a character doubled": (text0[:40] + text0[39] + text0[40:], "code_damaged"),
        "EC0: a set bit after the last byte": (text0[:-1] + _next_base32(text0[-1]), "code_damaged"),
        "EC0: a digit that base32 does not have": (text0[:-1] + "1", "unreadable_code"),
        "EC0: padded": (text0 + "======", "unreadable_code"),
        "EC0: array length in a longer form": (to_text(longer, Form.ONLINE), "bad_code"),
        "EC0: version 2": (to_text(short[:1] + b"\x02" + short[2:], Form.ONLINE), "bad_code"),
        "EC0: trailing byte": (to_text(short + b"\0", Form.ONLINE), "bad_code"),
        "EC1: lower case": (text1.lower(), "unreadable_code"),
        "EC1: Base45 overflow": (text1[:-3] + ":::", "code_damaged"),
        "EC1: trailing byte": (to_text(whole + b"\0", Form.OFFLINE), "bad_code"),
        "EC1: tag in a longer form": (to_text(b"\xd8\x12" + whole[1:], Form.OFFLINE), "bad_code"),
        "EC1: alg ES256 (-7)": (
            to_text(whole.replace(b"\xa2\x01\x28\x0d", b"\xa2\x01\x26\x0d"), Form.OFFLINE),
            "bad_code",
        ),
        "EC1: an unprotected header": (
            to_text(
                whole.replace(b"\xa0" + _bytes(draft.payload), b"\xa1\x04\x00" + _bytes(draft.payload)), Form.OFFLINE
            ),
            "bad_code",
        ),
        "another QR code": ("https://pay.example/q/1234567890", "unreadable_code"),
    }
    refused = [{"name": name, "source": "own", "text": text, "expect": code} for name, (text, code) in bad.items()]
    return json.dumps([*good, *refused], indent=2, ensure_ascii=False) + "\n"


def _next_base32(char: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return alphabet[alphabet.index(char) + 1]


def _bytes(content: bytes) -> bytes:
    return bytes([0x58, len(content)]) + content if len(content) >= 24 else bytes([0x40 + len(content)]) + content


if __name__ == "__main__":
    _FILE.write_text(document(), encoding="utf-8")
