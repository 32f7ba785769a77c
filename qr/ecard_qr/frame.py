"""The two code frames, bytes <-> structure. Reads and lays out; verifies no signature.

Both are signed by the device key (ES256, or SM2 with the default user id) that the issuer certified:

* `OfflineFrame`, "EC1": COSE_Sign1 (RFC 9052 §4.2, tag 18). Protected header {1: -9 (ESP256, RFC 9864) or -65537
  (SM2), 13: the issuer CWT (`kcwt`, RFC 9528: the message itself, not in a byte string)}, payload {6: iat,
  39: cnonce (RFC 9200), 3: aud or absent}, external_aad `ecard-qr-1`. Verifies without a network.
* `OnlineFrame`, "EC0": CBOR array [1, credential id, iat, nonce, signature]; signed is `ecard-qr-0` followed by
  the array without its signature. Short enough to be typed; whoever verifies looks the credential up.

Only the deterministic encoding (RFC 8949 §4.2) with exactly these members is read, so a frame has one form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ecard_card import cbor, cose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import EcardError, InvalidInput

CREDENTIAL_ID_SIZE: Final = 16
NONCE_SIZE: Final = 8
CHALLENGE_SIZE: Final = 16
SIGNATURE_SIZE: Final = 64
MAX_AUDIENCE: Final = 64
MAX_CREDENTIAL: Final = 1024
MAX_FRAME: Final = 2728  # what 4096 characters of Base45 hold, prefix included
MAX_TIME: Final = 253402300799  # 9999-12-31T23:59:59Z, so that every time read is also a date

_OFFLINE_AAD: Final = b"ecard-qr-1"
_ONLINE_CONTEXT: Final = b"ecard-qr-0"
_ONLINE_VERSION, _ANSWER_VERSION = 1, 2
_CLAIM_AUD, _CLAIM_IAT, _CLAIM_NONCE, _CLAIM_CNONCE = 3, 6, 10, 39
# A protected header of exactly two members in deterministic order always starts so; the credential is the rest.
_PROTECTED_START: Final = {
    Algorithm.ES256: bytes.fromhex("a201280d"),
    Algorithm.SM2: bytes.fromhex("a2013a000100000d"),
}
_SIGN1_START: Final = bytes.fromhex("d284")  # tag 18, array of four
_ES256, _SM2 = _PROTECTED_START
_ES256_START, _SM2_START = (start + _SIGN1_START for start in _PROTECTED_START.values())
_ES256_SKIPPED, _SM2_SKIPPED = map(len, _PROTECTED_START.values())


class OfflineFrame(NamedTuple):
    """An EC1 frame as read. `credential` is the issuer CWT, whole (tag 18); `issued_at` is a NumericDate.

    `algorithm` is what the header says the device signed with, `challenge` the digest of the one that this answers.
    """

    credential: bytes
    issued_at: int
    nonce: bytes
    audience: str | None
    algorithm: Algorithm
    signing_input: bytes
    signature: bytes
    challenge: bytes | None = None

    def __repr__(self) -> str:
        return f"OfflineFrame(issued_at={self.issued_at}, audience={self.audience!r})"  # the rest is the whole code


@dataclass(frozen=True, slots=True)
class OnlineFrame:
    """An EC0 frame as read. `credential_id` is 16 bytes, `issued_at` a NumericDate."""

    credential_id: bytes = field(repr=False)
    issued_at: int
    nonce: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    challenge: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UnsignedOffline:
    """An EC1 frame that waits for the device key's signature over `signing_input`."""

    protected: bytes = field(repr=False)
    payload: bytes = field(repr=False)

    @property
    def signing_input(self) -> bytes:
        return cose.signing_input(self.protected, self.payload, _OFFLINE_AAD)

    def complete(self, signature: bytes) -> bytes:
        """The frame. `signature` is raw r||s, 64 bytes; otherwise `InvalidInput` `bad_code`."""
        return cose.encode_sign1(self.protected, self.payload, _exactly(signature, SIGNATURE_SIZE))


@dataclass(frozen=True, slots=True)
class UnsignedOnline:
    """An EC0 frame that waits for the device key's signature over `signing_input`."""

    credential_id: bytes = field(repr=False)
    issued_at: int
    nonce: bytes = field(repr=False)
    challenge: bytes | None = field(default=None, repr=False)

    @property
    def signing_input(self) -> bytes:
        return _ONLINE_CONTEXT + cbor.encode(self._members)

    def complete(self, signature: bytes) -> bytes:
        """The frame. `signature` is raw r||s, 64 bytes; otherwise `InvalidInput` `bad_code`."""
        return cbor.encode([*self._members, _exactly(signature, SIGNATURE_SIZE)])

    @property
    def _members(self) -> list[object]:
        plain = [self.credential_id, self.issued_at, self.nonce]
        return [_ONLINE_VERSION, *plain] if self.challenge is None else [_ANSWER_VERSION, *plain, self.challenge]


def draft_offline(
    credential: bytes,
    issued_at: int,
    nonce: bytes,
    audience: str | None = None,
    algorithm: Algorithm = Algorithm.ES256,
    *,
    challenge: bytes | None = None,
) -> UnsignedOffline:
    """Lay out an EC1 frame for a device key of `algorithm`.

    `credential` is an issuer CWT (COSE_Sign1, tag 18), `issued_at` a NumericDate, `nonce` 8 fresh random bytes,
    `audience` the counter the code is for, if one is meant, `challenge` the digest of the one that is answered: it
    names the counter already, so that both together are refused. Raises `InvalidInput` `bad_code`.
    """
    try:
        cose.decode_sign1(credential, limit=MAX_CREDENTIAL)
    except EcardError:
        raise InvalidInput("bad_code", "the credential is no COSE_Sign1") from None
    claims: dict[int, object] = {_CLAIM_IAT: _time(issued_at), _CLAIM_CNONCE: _exactly(nonce, NONCE_SIZE)}
    if audience is not None and challenge is not None:
        raise InvalidInput("bad_code", "an answer to a challenge names no audience besides")
    if audience is not None:
        claims[_CLAIM_AUD] = check_audience(audience)
    if challenge is not None:
        claims[_CLAIM_NONCE] = _exactly(challenge, CHALLENGE_SIZE)
    return UnsignedOffline(_PROTECTED_START[algorithm] + credential, cbor.encode(claims))


def draft_online(
    credential_id: bytes, issued_at: int, nonce: bytes, *, challenge: bytes | None = None
) -> UnsignedOnline:
    """Lay out an EC0 frame: 16-byte credential id, NumericDate, 8 fresh random bytes, and the digest of the challenge
    that is answered, if one is. Raises `InvalidInput` `bad_code`."""
    answered = None if challenge is None else _exactly(challenge, CHALLENGE_SIZE)
    named = _exactly(credential_id, CREDENTIAL_ID_SIZE)
    return UnsignedOnline(named, _time(issued_at), _exactly(nonce, NONCE_SIZE), answered)


def parse_offline(data: bytes) -> OfflineFrame:
    """Read an EC1 frame; raises `InvalidInput` `bad_code`. Checks no signature, and `credential` only from outside."""
    try:
        protected, payload, signature = cose.split_sign1(data, limit=MAX_FRAME)
    except InvalidInput as error:
        raise InvalidInput("bad_code", error.detail) from None
    if protected.startswith(_ES256_START):
        algorithm, credential = _ES256, protected[_ES256_SKIPPED:]
    elif protected.startswith(_SM2_START):
        algorithm, credential = _SM2, protected[_SM2_SKIPPED:]
    else:
        raise InvalidInput("bad_code", "want exactly the headers alg (ESP256 or SM2) and kcwt (a COSE_Sign1)")
    if len(credential) > MAX_CREDENTIAL:
        raise InvalidInput("bad_code", "the credential is longer than any of ours")
    match = _CLAIMS.fullmatch(payload)
    if match is None:
        raise InvalidInput("bad_code", "not the claims iat and cnonce, with aud or nonce or neither, as written here")
    head, text, _, issued_at, challenge, nonce = match.groups()
    if head is not None and len(text) != (head[1] if len(head) == 2 else head[0] - 0x60):
        raise InvalidInput("bad_code", "the length of the audience is not the one it states")
    return OfflineFrame(
        credential=credential,
        issued_at=_time(cbor.uint(issued_at)),
        nonce=nonce,
        audience=None if head is None else text.decode("ascii"),
        algorithm=algorithm,
        signing_input=cose.signing_input(protected, payload, _OFFLINE_AAD),
        signature=signature,
        challenge=challenge,
    )


# Deterministic CBOR leaves the claims one spelling each: {6: iat, 39: cnonce}, with 3: aud (1 to 64 visible ASCII
# characters) before them, or with 10: nonce between them.
_CLAIMS: Final = re.compile(
    rb"(?:\xa2|\xa3\x03([\x61-\x77]|\x78[\x18-\x40])([!-~]{1,64})|(\xa3))\x06"
    + cbor.UINT64
    + rb"(?(3)\x0a\x50(.{16}))\x18\x27\x48(.{8})",
    re.DOTALL,
)


def parse_online(data: bytes) -> OnlineFrame:
    """Read an EC0 frame; raises `InvalidInput` `bad_code`. The signature is not checked."""
    try:
        parts = cbor.decode(data, limit=MAX_FRAME, max_depth=2)
    except EcardError:
        raise InvalidInput("bad_code", "the frame is no CBOR of ours") from None
    if type(parts) is not list or not parts or type(parts[0]) is not int or _LENGTHS.get(parts[0]) != len(parts):
        raise InvalidInput("bad_code", "want an array of five that starts with version 1, or of six with version 2")
    answered = _exactly(parts[4], CHALLENGE_SIZE) if parts[0] == _ANSWER_VERSION else None
    draft = draft_online(parts[1], parts[2], parts[3], challenge=answered)
    return OnlineFrame(
        credential_id=draft.credential_id,
        issued_at=draft.issued_at,
        nonce=draft.nonce,
        signing_input=draft.signing_input,
        signature=_exactly(parts[-1], SIGNATURE_SIZE),
        challenge=answered,
    )


_LENGTHS: Final = {_ONLINE_VERSION: 5, _ANSWER_VERSION: 6}


def _exactly(value: object, size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise InvalidInput("bad_code", "a byte string of the frame has the wrong type or length")
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_TIME:  # a bool is an int, and no time
        raise InvalidInput("bad_code", "the time of the frame is no NumericDate in whole seconds")
    return value


def check_audience(value: object) -> str:
    """`value` if it may name a counter in a code. Raises `InvalidInput` `bad_code`.

    Visible ASCII only: two texts that look alike must not be two audiences.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_AUDIENCE:
        raise InvalidInput("bad_code", "want an audience of 1 to 64 characters")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise InvalidInput("bad_code", "an audience has visible ASCII characters only")
    return value
