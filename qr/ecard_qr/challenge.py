"""The counter shows first: a challenge that a holder's device answers with a code made for it alone.

A code that anybody may scan can be relayed from a screen far away within its minute. A challenge names the counter,
what is asked there and, where money moves, exactly what is paid to whom; the device shows that to the holder and signs
a code over its digest. Such a code is good for this challenge only (docs/formats/code.md, "Challenges").

Text: `ECQ:` and the base32 of the frame with its checksum. Frame: the CBOR array [1, counter, name, nonce, expires at,
purpose, transaction or null], transaction being [amount, currency, payer, reference].
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from ecard_card import cbor
from ecard_card.errors import InvalidInput
from ecard_card.jose import b64url_encode
from ecard_qr import checked32
from ecard_qr.frame import CHALLENGE_SIZE, MAX_TIME, check_audience

PREFIX: Final = "ECQ:"
NONCE_SIZE: Final = 16
MAX_NAME: Final = 30  # characters
#: 10 billion yuan, in fen: more than anybody owes at a counter.
MAX_AMOUNT: Final = 10**12
CURRENCY: Final = "CNY"
_MAX_TEXT: Final = 1024
_CONTEXT: Final = b"ecard-challenge-1"
_VERSION: Final = 1
_PURPOSE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PARTY: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is to be paid: `amount` in the currency's smallest unit (fen), `payer` the service that pays (an insurer, a
    bank), `reference` the merchant's own number of it. Valid once it exists; `InvalidInput` `bad_challenge`."""

    amount: int
    payer: str
    reference: str
    currency: str = CURRENCY

    def __post_init__(self) -> None:
        _require(type(self.amount) is int and 0 < self.amount <= MAX_AMOUNT, "an amount is 1 to 10^12 fen")
        _require(self.currency == CURRENCY, "the one currency is CNY")
        _require(_PARTY.fullmatch(self.payer), "a payer is named like a service")
        _require(_REFERENCE.fullmatch(self.reference), "a reference has 1 to 64 letters, digits and . _ / -")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a counter asks. `counter` is its audience, `name` what the holder reads, `expires_at` a NumericDate, `nonce`
    16 random bytes. Valid once it exists; raises `InvalidInput` `bad_challenge`."""

    counter: str
    name: str
    purpose: str
    expires_at: int
    nonce: bytes = field(repr=False)
    transaction: Transaction | None = None

    def __post_init__(self) -> None:
        try:
            check_audience(self.counter)
        except InvalidInput as error:
            raise InvalidInput("bad_challenge", error.detail) from None
        # What a phone shows must be all there is: no controls, no marks that turn text around, no half characters.
        _require(0 < len(self.name) <= MAX_NAME and self.name.isprintable(), "a name has 1 to 30 printable characters")
        _require(self.name == self.name.strip(), "a name neither begins nor ends with a space")
        _require(_PURPOSE.fullmatch(self.purpose), "a purpose is a lower-case word")
        _require(type(self.expires_at) is int and 0 <= self.expires_at <= MAX_TIME, "expires_at is no NumericDate")
        _require(type(self.nonce) is bytes and len(self.nonce) == NONCE_SIZE, "a nonce has 16 bytes")

    @property
    def frame(self) -> bytes:
        """Its one encoding."""
        asked = self.transaction
        paid = None if asked is None else [asked.amount, asked.currency, asked.payer, asked.reference]
        members = [_VERSION, self.counter, self.name, self.nonce, self.expires_at, self.purpose, paid]
        return cbor.encode(members)

    @property
    def digest(self) -> bytes:
        """What an answer carries: the first 16 bytes of SHA-256 over `ecard-challenge-1` and the frame."""
        return hashlib.sha256(_CONTEXT + self.frame).digest()[:CHALLENGE_SIZE]

    @property
    def answer(self) -> str:
        """The digest as the `nonce` that a check is given."""
        return b64url_encode(self.digest)

    @property
    def text(self) -> str:
        """What the counter shows as a QR code."""
        return PREFIX + checked32.encode(self.frame)


def parse_challenge(text: str) -> Challenge:
    """Read what a phone scanned. Whether it has expired is the caller's question.

    Raises `InvalidInput`: `unreadable_code` (not `ECQ:`, foreign characters, over 1024 characters), `code_damaged`,
    `bad_challenge` (not as above).
    """
    if len(text) > _MAX_TEXT or not text.startswith(PREFIX):
        raise InvalidInput("unreadable_code", "starts like no challenge, or is longer than any")
    body = text.removeprefix(PREFIX)
    frame = checked32.decode(body)
    if frame is None:
        if not checked32.ALPHABET.issuperset(body):
            raise InvalidInput("unreadable_code", "a character that no challenge has")
        raise InvalidInput("code_damaged", "characters of the challenge are lost, doubled or changed")
    try:
        parts = cbor.decode(frame, limit=_MAX_TEXT, max_depth=2)
    except InvalidInput:
        raise InvalidInput("bad_challenge", "the frame is no CBOR of ours") from None
    match parts:
        case [_, str(counter), str(name), bytes(nonce), int(expires_at), str(purpose), asked] if _is_version(parts[0]):
            return Challenge(counter, name, purpose, expires_at, nonce, _transaction(asked))
    raise InvalidInput("bad_challenge", "want an array of seven that starts with version 1")


def _transaction(asked: object) -> Transaction | None:
    match asked:
        case None:
            return None
        case [int(amount), str(currency), str(payer), str(reference)]:
            return Transaction(amount, payer, reference, currency)
    raise InvalidInput("bad_challenge", "a transaction is an array of four")


def _is_version(value: object) -> bool:
    return type(value) is int and value == _VERSION


def _require(fits: object, detail: str) -> None:
    if not fits:
        raise InvalidInput("bad_challenge", detail)
