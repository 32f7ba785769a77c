"""Who judges a chip's shared-key answer: the port `ChipKeyHolder`, and a holder with its master key in this process.

A key that can verify can also forge, so the port takes everything that was asked and answered and gives back one
signed statement, yes or no; no key crosses it. A province puts an HSM behind the same port.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card.errors import ChipFault, InvalidInput, Unavailable
from ecard_card.jose import UnsignedJws, b64url_encode, compact_signing_input, parse_compact, parse_json
from ecard_keys.chip_recipe import FACTOR_BYTES, KEY_BYTES, card_key, internal_authentication, recipe_named
from ecard_keys.verify import load_public_key, verify

STATEMENT_TYPE: Final = "ecard-chip-statement+jwt"
_STATEMENT_LIMIT: Final = 2048
_HISTORICAL_LIMIT: Final = 15  # ISO 7816-3: K has four bits


@dataclass(frozen=True, slots=True)
class ChipAnswer:
    """What was asked of a chip and what it answered; `algorithm` is the recipe id of the chip's profile.

    The two random numbers must have been chosen by the verifier and never by the desk. Raises `InvalidInput`
    `bad_chip_challenge` where R1 or R2 is not 8 bytes, `ChipFault` `chip_atr_malformed` for too many historical
    bytes and `chip_answer_truncated` where the answer is not 8 bytes.
    """

    identification_code: str = field(repr=False)
    atr_historical: bytes = field(repr=False)
    algorithm: str
    r1: bytes
    r2: bytes
    answer: bytes

    def __post_init__(self) -> None:
        if len(self.r1) != FACTOR_BYTES or len(self.r2) != FACTOR_BYTES:
            raise InvalidInput("bad_chip_challenge", "R1 and R2 are 8 bytes each")
        if len(self.atr_historical) > _HISTORICAL_LIMIT:
            raise ChipFault("chip_atr_malformed", "an answer to reset has at most 15 historical bytes")
        if len(self.answer) != FACTOR_BYTES:
            raise ChipFault("chip_answer_truncated", "the answer to INTERNAL AUTHENTICATION has 8 bytes")

    def digest(self) -> bytes:
        """SHA-256 over all six parts, each with its length: what a statement names instead of the chip's identifier."""
        parts = (
            b"ecard-chip-answer-1",
            self.identification_code.encode(),
            self.atr_historical,
            self.algorithm.encode(),
            self.r1,
            self.r2,
            self.answer,
        )
        return hashlib.sha256(b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()


@dataclass(frozen=True, slots=True)
class ChipStatement:
    """A key holder's signed yes or no about one `ChipAnswer`; `token`, a compact JWS, is stored with the evidence."""

    holder: str
    genuine: bool
    issued_at: int
    token: str = field(repr=False)


class ChipKeyHolder(Protocol):
    """Holds master keys and judges answers with them. Must give a statement for a wrong answer too (`genuine` False).

    Raises `ChipFault` where the question cannot be judged (unknown recipe, unusable ATR), `Unavailable`
    `chip_key_holder_unavailable` where the holder cannot be reached. Never retries on its own, never logs an answer.
    """

    def judge(self, answer: ChipAnswer, *, now: datetime) -> ChipStatement: ...


class LocalChipKeyHolder:
    """A key holder with one 16-byte master key in memory; no method or `repr` shows it.

    `name` goes into every statement (`test:…` for simulated chips); `sign` makes a raw r||s ES256 signature with the
    key that `kid` names. Raises `InvalidInput` `bad_chip_key` where the master key is not 16 bytes.
    """

    __slots__ = ("__master_key", "_kid", "_name", "_sign")

    def __init__(self, name: str, master_key: bytes, *, kid: str, sign: Callable[[bytes], bytes]) -> None:
        if len(master_key) != KEY_BYTES:
            raise InvalidInput("bad_chip_key", "a chip master key has 16 bytes")
        self._name = name
        self.__master_key = bytes(master_key)
        self._kid = kid
        self._sign = sign

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._name!r})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a chip key holder is not copied or pickled")

    def judge(self, answer: ChipAnswer, *, now: datetime) -> ChipStatement:
        recipe_named(answer.algorithm)
        key = card_key(self.__master_key, answer.algorithm, answer.identification_code, answer.atr_historical)
        expected = internal_authentication(answer.algorithm, key, answer.r1, answer.r2)
        return self._state(answer, genuine=hmac.compare_digest(expected, answer.answer), issued_at=int(now.timestamp()))

    def _state(self, answer: ChipAnswer, *, genuine: bool, issued_at: int) -> ChipStatement:
        header = {"alg": "ES256", "kid": self._kid, "typ": STATEMENT_TYPE}
        payload = {
            "iss": self._name,
            "iat": issued_at,
            "answer": b64url_encode(answer.digest()),
            "genuine": genuine,
        }
        unsigned = UnsignedJws(compact_signing_input(header, payload))
        token = unsigned.complete(self._sign(unsigned.signing_input))
        return ChipStatement(self._name, genuine, issued_at, token)


class FileChipKeyHolder(LocalChipKeyHolder):
    """The same, its master key read once from a file of 32 hex digits that only its owner may read.

    Raises `Unavailable` `chip_key_holder_unavailable` where the file cannot be read or is open to others, and
    `InvalidInput` `bad_chip_key` where it holds anything else.
    """

    __slots__ = ()

    def __init__(self, name: str, path: Path, *, kid: str, sign: Callable[[bytes], bytes]) -> None:
        try:
            if path.stat().st_mode & 0o077:
                raise Unavailable("chip_key_holder_unavailable", "the master key file is open to others; want mode 600")
            with path.open("rb") as file:
                text = file.read(256)
        except OSError:
            raise Unavailable("chip_key_holder_unavailable", "the master key file cannot be read") from None
        try:
            master_key = bytes.fromhex(text.decode("ascii").strip())
        except ValueError:
            raise InvalidInput("bad_chip_key", "the master key file holds 32 hex digits") from None
        super().__init__(name, master_key, kid=kid, sign=sign)


def open_statement(token: str, answer: ChipAnswer, keys: Mapping[str, bytes]) -> ChipStatement:
    """Check a statement: signed by one of `keys` (kid -> SEC1 P-256 point), and about exactly this answer.

    Raises `ChipFault` `chip_statement_invalid` for everything that does not hold.
    """
    try:
        jws = parse_compact(token, typ=STATEMENT_TYPE, limit=_STATEMENT_LIMIT)
        payload = parse_json(jws.payload, limit=_STATEMENT_LIMIT)
        key = _statement_key(keys, jws.header.get("kid"))
    except InvalidInput:
        raise ChipFault("chip_statement_invalid", "the key holder's statement cannot be read") from None
    if key is None or not verify(key, jws.signing_input, jws.signature):
        raise ChipFault("chip_statement_invalid", "the key holder's statement is not signed by a known key")
    if not isinstance(payload, dict) or payload.keys() != {"iss", "iat", "answer", "genuine"}:
        raise ChipFault("chip_statement_invalid", "the statement has other members than iss, iat, answer, genuine")
    holder, issued_at, genuine = payload["iss"], payload["iat"], payload["genuine"]
    if not (isinstance(holder, str) and type(issued_at) is int and isinstance(genuine, bool)):
        raise ChipFault("chip_statement_invalid", "a member of the statement has the wrong type")
    if payload["answer"] != b64url_encode(answer.digest()):
        raise ChipFault("chip_statement_invalid", "the statement is about another answer")
    return ChipStatement(holder, genuine, issued_at, token)


def _statement_key(keys: Mapping[str, bytes], kid: object) -> ec.EllipticCurvePublicKey | None:
    point = keys.get(kid) if isinstance(kid, str) else None
    return None if point is None else load_public_key(point)
