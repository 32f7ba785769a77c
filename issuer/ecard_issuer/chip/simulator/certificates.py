"""A certificate authority for simulated chips, made at run time. Everything it signs says `test:`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AUTHORITY_NAME = "test: chip CA"
SUBJECT_NAME = "test: simulated chip"
_VALIDITY = timedelta(days=3650)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ChipAuthority:
    """A self-signed P-256 CA. Its key lives in this object and nowhere else, unless it was given."""

    certificate: x509.Certificate
    _private_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(
        cls, now: datetime, name: str = AUTHORITY_NAME, private_key: ec.EllipticCurvePrivateKey | None = None
    ) -> ChipAuthority:
        """A fresh authority, valid from an hour before `now`; or a known one's key under a certificate of today."""
        private_key = private_key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, subject, private_key.public_key(), now, is_authority=True)
        return cls(builder.sign(private_key, hashes.SHA256()), private_key)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def issue(self, public_key: ec.EllipticCurvePublicKey, identification_code: str, now: datetime) -> bytes:
        """A chip's certificate in DER: subject serialNumber (2.5.4.5) is the identification code."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT_NAME),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, identification_code),
            ]
        )
        builder = _builder(subject, self.certificate.subject, public_key, now, is_authority=False)
        return builder.sign(self._private_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, *, is_authority: bool
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
    )
