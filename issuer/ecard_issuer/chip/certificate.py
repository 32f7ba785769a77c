"""The certificate of an on-chip key: who the chip says it is, and which key must have signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ecard_card.card import IdentificationCode
from ecard_card.errors import ChipFault, InvalidInput

MAX_CERTIFICATE = 4096


#: What the parser raises for DER that is no certificate, or one that it does not understand.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    x509.DuplicateExtension,
)


@dataclass(frozen=True, slots=True)
class ChipCertificate:
    """A chip's X.509 certificate (RFC 5280): subject serialNumber is the identification code, the key is P-256."""

    identification_code: IdentificationCode
    public_key: ec.EllipticCurvePublicKey = field(repr=False)
    _certificate: x509.Certificate = field(repr=False)

    @classmethod
    def parse(cls, der: bytes) -> ChipCertificate:
        """Read without trusting; raises `ChipFault` `chip_certificate_malformed`."""
        if len(der) > MAX_CERTIFICATE:
            raise ChipFault("chip_certificate_malformed", "a certificate of more than 4096 bytes")
        try:
            certificate = x509.load_der_x509_certificate(der)
            key = certificate.public_key()
            names = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
            certificate.extensions  # noqa: B018  a lazy parse: let its errors come out here
        except _UNREADABLE:
            raise ChipFault("chip_certificate_malformed", "no X.509 certificate that can be read") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ChipFault("chip_certificate_malformed", "the chip's key is not on P-256")
        try:
            (name,) = names
            code = IdentificationCode(str(name.value))
        except (ValueError, InvalidInput):
            raise ChipFault("chip_certificate_malformed", "no single identification code in the subject") from None
        return cls(code, key, certificate)

    @property
    def public_key_der(self) -> bytes:
        """DER SubjectPublicKeyInfo of the on-chip key, re-encoded and therefore one form per key."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def check_issued_by(self, anchor: bytes, now: datetime) -> bool:
        """Was this certificate issued by `anchor` (DER, ours) and is it an end entity for signing, valid at `now`?

        False where the anchor did not issue it. Raises `ChipFault` `chip_certificate_untrusted` where the anchor did
        but the certificate may not be used so, and `chip_certificate_expired` outside either validity period.
        """
        issuer = x509.load_der_x509_certificate(anchor)
        try:
            self._certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        if not _is_authority(issuer) or _is_authority(self._certificate) or not _may_sign(self._certificate):
            raise ChipFault("chip_certificate_untrusted", "the certificate chain is not authority to chip key")
        for certificate in (issuer, self._certificate):
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise ChipFault("chip_certificate_expired", "a certificate of the chain is not valid now")
        return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return False
