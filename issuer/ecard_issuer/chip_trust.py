"""Whom this issuer believes about chips, from its settings: authorities, and who judges shared-key chips."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ecard_card.errors import InvalidInput
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.config import IssuerSettings
from ecard_keys.chip_key import ChipKeyHolder, FileChipKeyHolder
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import KeyHome


def chip_anchors(settings: IssuerSettings, home: KeyHome) -> Anchors:
    """The anchors that `settings` name. Raises `InvalidInput` `bad_chip_anchors`."""
    statements = {key.key_id: key.public for key in home.held() if key.purpose is KeyPurpose.CHIP}
    if settings.chip_anchors is None:
        return Anchors((), statements, settings.allow_test_chips)
    try:
        certificates = x509.load_pem_x509_certificates(settings.chip_anchors.read_bytes())
        anchors = tuple(Anchor(_name(item), item.public_bytes(Encoding.DER)) for item in certificates)
    except (OSError, ValueError):
        raise InvalidInput("bad_chip_anchors", "the file of chip authorities is no readable PEM file") from None
    return Anchors(anchors, statements, settings.allow_test_chips)


def chip_key_holder(settings: IssuerSettings, home: KeyHome, now: datetime) -> ChipKeyHolder | None:
    """The local judge of shared-key chips, if a master key is configured. A key of `home` signs its statements."""
    if settings.chip_master_key_file is None:
        return None
    held = [key.key_id for key in home.held() if key.purpose is KeyPurpose.CHIP]
    kid = held[-1] if held else home.create(KeyPurpose.CHIP, now)
    return FileChipKeyHolder(
        settings.chip_key_holder,
        settings.chip_master_key_file,
        kid=kid,
        sign=lambda message: home.sign(kid, [message])[0],
    )


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        raise ValueError("an authority without a common name")
    return str(names[0].value)
