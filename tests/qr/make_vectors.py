"""Builds `tests/vectors/qr/{code,challenge}.json`: `python -m tests.qr.make_vectors` from the top. Always the same."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from ecard_card import cbor
from ecard_qr import checked32
from ecard_qr.challenge import PREFIX, Challenge, Transaction
from ecard_qr.frame import OfflineFrame, OnlineFrame, draft_offline, draft_online, parse_offline, parse_online
from ecard_qr.payload import Form, to_text
from tests.qr import samples

ISSUED_AT: Final = 1790000000
_FOLDER: Final = Path(__file__).parents[1] / "vectors/qr"
ASKED: Final = Challenge("desk-7", "第七窗口", "medical", ISSUED_AT + 120, bytes(range(0xB0, 0xC0)))
PAID: Final = replace(ASKED, purpose="payment", transaction=Transaction(12_345, "medical-fund", "HIS/2026-000017"))


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
    answers = [_answer(name, frame, form, keys) for name, (frame, form) in _answers().items()]
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
    return json.dumps([*good, *answers, *refused], indent=2, ensure_ascii=False) + "\n"


def _answers() -> dict[str, tuple[bytes, Form]]:
    credential = samples.credential(ISSUED_AT - 600, ISSUED_AT + 86400)
    whole = draft_offline(credential, ISSUED_AT, samples.NONCE, challenge=PAID.digest)
    short = draft_online(samples.CREDENTIAL_ID, ISSUED_AT, samples.NONCE, challenge=PAID.digest)
    signed = [draft.complete(samples.sign(samples.KEYS.device, draft.signing_input)) for draft in (whole, short)]
    return {"EC1 answering": (signed[0], Form.OFFLINE), "EC0 answering": (signed[1], Form.ONLINE)}


def _answer(name: str, data: bytes, form: Form, keys: dict[str, str]) -> dict[str, object]:
    frame: OfflineFrame | OnlineFrame = parse_offline(data) if form is Form.OFFLINE else parse_online(data)
    own = (
        {"credential": frame.credential.hex(), "audience": None}
        if isinstance(frame, OfflineFrame)
        else {"credential_id": frame.credential_id.hex()}
    )
    return {
        "name": name,
        "source": "own",
        "text": to_text(data, form),
        "frame": data.hex(),
        **own,
        "challenge": PAID.digest.hex(),
        "issued_at": frame.issued_at,
        "nonce": frame.nonce.hex(),
        "signing_input": frame.signing_input.hex(),
        "signature": frame.signature.hex(),
        **keys,
    }


def challenges() -> str:
    """The file of challenges."""
    good = [
        {
            "name": name,
            "source": "own",
            "text": asked.text,
            "frame": asked.frame.hex(),
            "digest": asked.digest.hex(),
            "counter": asked.counter,
            "counter_name": asked.name,
            "purpose": asked.purpose,
            "expires_at": asked.expires_at,
            "nonce": asked.nonce.hex(),
            "transaction": None if asked.transaction is None else asdict(asked.transaction),
        }
        for name, asked in {"asked": ASKED, "paid": PAID}.items()
    ]
    parts = cbor.decode(PAID.frame)
    assert isinstance(parts, list)
    changed: dict[str, tuple[int, object]] = {
        "version 2": (0, 2),
        "version true": (0, True),
        "a counter with a space": (1, "desk 7"),
        "a name that turns text around": (2, "\u202eabc"),
        "a name of 31 characters": (2, "x" * 31),
        "a name that ends in a space": (2, "desk "),
        "a nonce of 15 bytes": (3, bytes(15)),
        "an end before 1970": (4, -1),
        "a purpose in capitals": (5, "Payment"),
        "no amount": (6, [0, "CNY", "medical-fund", "1"]),
        "an amount that is true": (6, [True, "CNY", "medical-fund", "1"]),
        "too much": (6, [10**12 + 1, "CNY", "medical-fund", "1"]),
        "another currency": (6, [1, "USD", "medical-fund", "1"]),
        "a payer with a dot": (6, [1, "CNY", "medical.fund", "1"]),
        "an empty reference": (6, [1, "CNY", "medical-fund", ""]),
        "a transaction of three": (6, [1, "CNY", "medical-fund"]),
    }
    bad = {
        name: (cbor.encode([*parts[:place], value, *parts[place + 1 :]]), "bad_challenge")
        for name, (place, value) in changed.items()
    }
    bad["six members"] = (cbor.encode(parts[:6]), "bad_challenge")
    bad["a trailing byte"] = (PAID.frame + b"\0", "bad_challenge")
    texts = {name: (PREFIX + checked32.encode(data), code) for name, (data, code) in bad.items()}
    texts["a character dropped"] = (PAID.text[:40] + PAID.text[41:], "code_damaged")
    texts["lower case"] = (PAID.text.lower(), "unreadable_code")
    texts["a code"] = (to_text(samples.online(ISSUED_AT), Form.ONLINE), "unreadable_code")
    refused = [{"name": name, "source": "own", "text": text, "expect": code} for name, (text, code) in texts.items()]
    return json.dumps([*good, *refused], indent=2, ensure_ascii=False) + "\n"


def _next_base32(char: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return alphabet[alphabet.index(char) + 1]


def _bytes(content: bytes) -> bytes:
    return bytes([0x58, len(content)]) + content if len(content) >= 24 else bytes([0x40 + len(content)]) + content


if __name__ == "__main__":
    (_FOLDER / "code.json").write_text(document(), encoding="utf-8")
    (_FOLDER / "challenge.json").write_text(challenges(), encoding="utf-8")
