"""Frames as they are in real life, at the largest values that a country has: every test of this room uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_card import cwt
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef
from ecard_qr.frame import draft_offline, draft_online
from ecard_qr.payload import Form, to_text

LAST_TIME: Final = 2**32 - 1
NONCE: Final = bytes(range(0xA0, 0xA8))
CREDENTIAL_ID: Final = bytes(range(0x10, 0x20))
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
LONGEST_AUDIENCE: Final = "counter-440100-clinic-07"


@dataclass(frozen=True)
class Keys:
    """Test keys, never used elsewhere: the private scalars are small numbers in plain sight."""

    issuer: ec.EllipticCurvePrivateKey
    device: ec.EllipticCurvePrivateKey


KEYS: Final = Keys(ec.derive_private_key(0xEC1501, ec.SECP256R1()), ec.derive_private_key(0xEC1502, ec.SECP256R1()))


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Raw r||s, the same each time (RFC 6979), with the smaller s."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    s = min(s, _ORDER - s)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def credential(
    issued_at: int = LAST_TIME - 1, expires_at: int = LAST_TIME, algorithm: Algorithm = Algorithm.ES256
) -> bytes:
    """An issuer CWT with list id 99999 and index 2^20 - 1; of `algorithm` in form, its signature is always ES256."""
    draft = cwt.draft(
        Credential(
            issuer="https://issuer.example",
            credential_id=CREDENTIAL_ID,
            device_key=point(KEYS.device),
            issued_at=issued_at,
            expires_at=expires_at,
            status=StatusRef("https://status.example/99999", 99999, 2**20 - 1),
            assurance=ChipAssurance.SIGNATURE,
            vct="https://issuer.example/vct/social-security-card/1",
            claims={},
            region="659004",
            device_algorithm=algorithm,
        ),
        bytes.fromhex("c0ffee01"),
        algorithm,
    )
    return draft.complete(sign(KEYS.issuer, draft.signing_input))


def offline(audience: str | None = LONGEST_AUDIENCE, issued_at: int = LAST_TIME) -> bytes:
    """A signed EC1 frame."""
    draft = draft_offline(credential(), issued_at, NONCE, audience)
    return draft.complete(sign(KEYS.device, draft.signing_input))


def sm2_offline_text(audience: str | None) -> str:
    """An EC1 code as long as a real one by SM2: only its signatures are none."""
    draft = draft_offline(credential(algorithm=Algorithm.SM2), LAST_TIME, NONCE, audience, Algorithm.SM2)
    return to_text(draft.complete(bytes(range(64))), Form.OFFLINE)


def online(issued_at: int = LAST_TIME) -> bytes:
    """A signed EC0 frame."""
    draft = draft_online(CREDENTIAL_ID, issued_at, NONCE)
    return draft.complete(sign(KEYS.device, draft.signing_input))


def online_text(issued_at: int) -> str:
    """An EC0 code of that second."""
    return to_text(online(issued_at), Form.ONLINE)


OFFLINE_TEXT: Final = to_text(offline(), Form.OFFLINE)
ONLINE_TEXT: Final = online_text(LAST_TIME)
