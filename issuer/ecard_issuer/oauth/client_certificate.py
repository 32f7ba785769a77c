"""Client certificates that a reverse proxy checked and passes on in a header (RFC 8705, RFC 9440).

Such a header is believed where the deployment named it and the request comes from a proxy that it trusts, and nowhere
else: anybody can write a header.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ecard_card import jose
from ecard_issuer.oauth.refusals import ClientRefused

_MAX_HEADER: Final = 16 << 10


class CertificateRule:
    """Which header says what certificate a client has, and from whom it is believed."""

    def __init__(self, header: str | None, proxies: Sequence[str]) -> None:
        self.header = header.lower() if header and proxies else None
        self._proxies = tuple(map(ipaddress.ip_network, proxies))

    def thumbprint(self, peer: str | None, values: Sequence[str], now: datetime) -> str | None:
        """The `x5t#S256` (RFC 8705 §3.1) of the certificate in the header's lines `values`, or None where there is
        none that may be believed. `peer` is the address at the other end of the connection.

        Raises `ClientRefused` `client_certificate_wrong` for a header that a trusted proxy sent and that cannot be
        used: there twice, not a certificate, or one that is over or has not begun.
        """
        if self.header is None or not values or not self._trusted(peer):
            return None
        if len(values) != 1 or len(values[0]) > _MAX_HEADER:
            raise ClientRefused("client_certificate_wrong", "the header of the client certificate is there twice")
        if values[0] == "":  # how a proxy says that the client showed none
            return None
        certificate = _read(values[0])
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise ClientRefused("client_certificate_wrong", "the client certificate is over or has not begun")
        return jose.b64url_encode(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())

    def _trusted(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address((peer or "").partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        return any(address.version == proxy.version and address in proxy for proxy in self._proxies)


def _read(value: str) -> x509.Certificate:
    """From `:base64 of DER:` (RFC 9440 §2.1), or PEM with percent escapes, as nginx has it."""
    try:
        if value.startswith(":") and value.endswith(":") and len(value) > 1:
            return x509.load_der_x509_certificate(binascii.a2b_base64(value[1:-1], strict_mode=True))
        return x509.load_pem_x509_certificate(unquote_to_bytes(value))
    except ValueError:
        raise ClientRefused("client_certificate_wrong", "the header holds no certificate") from None
