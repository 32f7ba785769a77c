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
SIGNATURE_SIZE: Final = 64
MAX_AUDIENCE: Final = 64
MAX_CREDENTIAL: Final = 1024
MAX_FRAME: Final = 2728  # what 4096 characters of Base45 hold, prefix included
MAX_TIME: Final = 253402300799  # 9999-12-31T23:59:59Z, so that every time read is also a date

_OFFLINE_AAD: Final = b"ecard-qr-1"
_ONLINE_CONTEXT: Final = b"ecard-qr-0"
_ONLINE_VERSION: Final = 1
_CLAIM_AUD, _CLAIM_IAT, _CLAIM_CNONCE = 3, 6, 39
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

    `algorithm` is what the header says the device signed with.
    """

    credential: bytes
    issued_at: int
    nonce: bytes
    audience: str | None
    algorithm: Algorithm
    signing_input: bytes
    signature: bytes

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

    @property
    def signing_input(self) -> bytes:
        return _online_signing_input(self.credential_id, self.issued_at, self.nonce)

    def complete(self, signature: bytes) -> bytes:
        """The frame. `signature` is raw r||s, 64 bytes; otherwise `InvalidInput` `bad_code`."""
        signature = _exactly(signature, SIGNATURE_SIZE)
        return cbor.encode([_ONLINE_VERSION, self.credential_id, self.issued_at, self.nonce, signature])


def draft_offline(
    credential: bytes,
    issued_at: int,
    nonce: bytes,
    audience: str | None = None,
    algorithm: Algorithm = Algorithm.ES256,
) -> UnsignedOffline:
    """Lay out an EC1 frame for a device key of `algorithm`.

    `credential` is an issuer CWT (COSE_Sign1, tag 18), `issued_at` a NumericDate, `nonce` 8 fresh random bytes,
    `audience` the counter the code is for, if one is meant. Raises `InvalidInput` `bad_code`.
    """
    try:
        cose.decode_sign1(credential, limit=MAX_CREDENTIAL)
    except EcardError:
        raise InvalidInput("bad_code", "the credential is no COSE_Sign1") from None
    claims: dict[int, object] = {_CLAIM_IAT: _time(issued_at), _CLAIM_CNONCE: _exactly(nonce, NONCE_SIZE)}
    if audience is not None:
        claims[_CLAIM_AUD] = _audience(audience)
    return UnsignedOffline(_PROTECTED_START[algorithm] + credential, cbor.encode(claims))


def draft_online(credential_id: bytes, issued_at: int, nonce: bytes) -> UnsignedOnline:
    """Lay out an EC0 frame: 16-byte credential id, NumericDate, 8 fresh random bytes. `InvalidInput` `bad_code`."""
    return UnsignedOnline(_exactly(credential_id, CREDENTIAL_ID_SIZE), _time(issued_at), _exactly(nonce, NONCE_SIZE))


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
        raise InvalidInput("bad_code", "not the claims iat and cnonce, with or without aud, in deterministic CBOR")
    head, text, issued_at, nonce = match.groups()
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
    )


# Deterministic CBOR leaves the claims one spelling: {3: aud (1 to 64 visible ASCII characters), 6: iat, 39: cnonce}.
_CLAIMS: Final = re.compile(
    rb"(?:\xa2|\xa3\x03([\x61-\x77]|\x78[\x18-\x40])([!-~]{1,64}))\x06" + cbor.UINT64 + rb"\x18\x27\x48(.{8})",
    re.DOTALL,
)


def parse_online(data: bytes) -> OnlineFrame:
    """Read an EC0 frame; raises `InvalidInput` `bad_code`. The signature is not checked."""
    try:
        parts = cbor.decode(data, limit=MAX_FRAME, max_depth=2)
    except EcardError:
        raise InvalidInput("bad_code", "the frame is no CBOR of ours") from None
    if type(parts) is not list or len(parts) != 5 or type(parts[0]) is not int or parts[0] != _ONLINE_VERSION:
        raise InvalidInput("bad_code", "want an array of five that starts with version 1")
    credential_id = _exactly(parts[1], CREDENTIAL_ID_SIZE)
    issued_at, nonce = _time(parts[2]), _exactly(parts[3], NONCE_SIZE)
    return OnlineFrame(
        credential_id=credential_id,
        issued_at=issued_at,
        nonce=nonce,
        signing_input=_online_signing_input(credential_id, issued_at, nonce),
        signature=_exactly(parts[4], SIGNATURE_SIZE),
    )


def _online_signing_input(credential_id: bytes, issued_at: int, nonce: bytes) -> bytes:
    return _ONLINE_CONTEXT + cbor.encode([_ONLINE_VERSION, credential_id, issued_at, nonce])


def _exactly(value: object, size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise InvalidInput("bad_code", "a byte string of the frame has the wrong type or length")
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_TIME:  # a bool is an int, and no time
        raise InvalidInput("bad_code", "the time of the frame is no NumericDate in whole seconds")
    return value


def _audience(value: object) -> str:
    # Visible ASCII only: two texts that look alike must not be two audiences.
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_AUDIENCE:
        raise InvalidInput("bad_code", "want an audience of 1 to 64 characters")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise InvalidInput("bad_code", "an audience has visible ASCII characters only")
    return value
