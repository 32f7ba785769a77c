"""The header of a client certificate: believed from trusted proxies alone, and read strictly."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ecard_card import jose
from ecard_issuer.oauth.client_certificate import CertificateRule
from ecard_issuer.oauth.refusals import ClientRefused
from tests.contracts.register_world import NOW

PROXY = "10.1.2.3"
RULE = CertificateRule("Client-Cert", ["10.0.0.0/8", "fd00::/8"])


def certificate(now: datetime = NOW, days: int = 30) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now - timedelta(days=1))
    return builder.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())


def headers_of(shown: x509.Certificate) -> tuple[str, str]:
    """As RFC 9440 has it, and as nginx does."""
    rfc = ":" + base64.b64encode(shown.public_bytes(Encoding.DER)).decode() + ":"
    return rfc, quote(shown.public_bytes(Encoding.PEM).decode())


def thumbprint(shown: x509.Certificate) -> str:
    return jose.b64url_encode(hashlib.sha256(shown.public_bytes(Encoding.DER)).digest())


def test_both_forms_from_a_trusted_proxy() -> None:
    shown = certificate()
    for header in headers_of(shown):
        for peer in (PROXY, "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"):
            assert RULE.thumbprint(peer, [header], NOW) == thumbprint(shown)


def test_from_anybody_else_it_is_not_heard() -> None:
    header, _ = headers_of(certificate())
    for peer in ("127.0.0.1", "11.0.0.1", "::1", "testclient", "", None):
        assert RULE.thumbprint(peer, [header], NOW) is None
    for unconfigured in (CertificateRule(None, ["10.0.0.0/8"]), CertificateRule("Client-Cert", [])):
        assert unconfigured.header is None
        assert unconfigured.thumbprint(PROXY, [header], NOW) is None
    assert RULE.thumbprint(PROXY, [], NOW) is None
    assert RULE.thumbprint(PROXY, [""], NOW) is None


def test_what_cannot_be_a_certificate() -> None:
    header, escaped = headers_of(certificate())
    over, not_yet = headers_of(certificate(days=-0))[0], headers_of(certificate(NOW + timedelta(days=5)))[0]
    late = NOW + timedelta(seconds=5)
    for values in ([header, header], ["rubbish"], [":!!:"], [":"], ["::"], [escaped[:50]], ["A" * 20_000], [not_yet]):
        with pytest.raises(ClientRefused, match="client_certificate_wrong"):
            RULE.thumbprint(PROXY, values, NOW)
    with pytest.raises(ClientRefused, match="client_certificate_wrong"):
        RULE.thumbprint(PROXY, [over], late)
