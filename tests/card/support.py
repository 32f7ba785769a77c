"""What the tests of `card/` share: vectors, throwaway signatures, one sample credential, refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef
from ecard_card.errors import EcardError, InvalidInput

VECTORS = Path(__file__).parent.parent / "vectors" / "card"
SIGNATURE = bytes(range(64))


def load(name: str) -> Any:
    """The document `tests/vectors/card/<name>.json`."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def params(name: str) -> list[Any]:
    """The vectors of that document as pytest parameters, named after their source."""
    vectors = load(name)["vectors"]
    return [pytest.param(vector, id=f"{vector['source'][:40]} #{i}") for i, vector in enumerate(vectors)]


def brief(value: object) -> str:
    """A short id for a parameter that may be megabytes long."""
    return repr(value if not isinstance(value, str | bytes) else value[:24]) + (
        f"... {len(value)}" if isinstance(value, str | bytes) and len(value) > 24 else ""
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the raw r||s `signature` of `message` verifies under the SEC1 point `public`."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def sample(device: bytes | None = None, **changes: Any) -> Credential:
    credential = Credential(
        issuer="https://issuer.example",
        credential_id=bytes(range(16)),
        device_key=device or b"\x04" + bytes(range(64)),
        issued_at=1_790_000_000,
        expires_at=1_821_536_000,
        status=StatusRef("https://issuer.example/status-lists/7", 7, 734512),
        assurance=ChipAssurance.CHALLENGE,
        vct="https://issuer.example/vct/social-security-card/1",
        claims={
            "name": "张测试",
            "birthdate": "1990-01-01",
            "personal_administrative_number": "11010119900101123X",
            "card_number": "A00000003",
            "expiry_date": "2035-01-01",
            "chip_ref": "c2FtcGxl",
        },
        region="110100",
    )
    return replace(credential, **changes)


def refused(call: Callable[[], object], *codes: str, within: float = 0.25) -> str:
    """Asserts that `call` ends in `InvalidInput` with one of `codes`, after at most `within` seconds of work."""
    began = time.process_time()
    with pytest.raises(InvalidInput) as caught:
        call()
    assert time.process_time() - began < within, "the refusal took too long"
    assert caught.value.code in codes
    return caught.value.code


def only_our_errors(call: Callable[[], object]) -> None:
    """Asserts that nothing but our own errors leaves `call`, whatever it was given."""
    with suppress(EcardError):
        call()
