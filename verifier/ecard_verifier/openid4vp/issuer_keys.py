"""The keys of a foreign issuer, each found in the one way that the operator's file says. A header never chooses."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from ecard_card import jose
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.verify import PublicKey, load_public_key
from ecard_verifier.openid4vp.fetching import Fetcher
from ecard_verifier.openid4vp.trusted_issuers import KeyWay, TrustedIssuer

WELL_KNOWN: Final = "/.well-known/jwt-vc-issuer"
KEEP: Final = 300.0  # seconds that fetched keys are believed
COOL_DOWN: Final = 10.0  # seconds in which an issuer that did not answer, or had no such key, is not asked again
_MAX_DOCUMENT: Final = 64 << 10
_MAX_KEYS: Final = 32
_MAX_DEPTH: Final = 4  # intermediate certificates


class IssuerKeys(Protocol):
    """Candidates for the signature under a header of the issuer's."""

    def candidates(self, header: Mapping[str, object], now: datetime) -> tuple[PublicKey, ...]:
        """At least one. Raises `CheckFailed` `unknown_key` or `issuer_certificate_untrusted`, `Unavailable`
        `foreign_issuer_unavailable`."""
        ...


def keys_of(issuer: TrustedIssuer, fetcher: Fetcher) -> IssuerKeys:
    """As the file says."""
    match issuer.key:
        case KeyWay.JWK:
            return PinnedKeys(issuer.keys)
        case KeyWay.X5C:
            return CertifiedIssuer(issuer)
        case KeyWay.METADATA:
            return PublishedKeys(issuer, fetcher)


class PinnedKeys:
    """Keys that stand in the file."""

    def __init__(self, keys: tuple[tuple[str | None, bytes], ...]) -> None:
        self._keys = tuple((kid, load_public_key(point)) for kid, point in keys)

    def candidates(self, header: Mapping[str, object], now: datetime) -> tuple[PublicKey, ...]:
        """See `IssuerKeys.candidates`. A key without a kid may be meant by any."""
        wanted = header.get("kid")
        found = tuple(key for kid, key in self._keys if wanted is None or kid in (None, wanted))
        if not found:
            raise CheckFailed("unknown_key", "none of the issuer's keys has this kid")
        return found


class CertifiedIssuer:
    """The key in `x5c`, if its certificate is under an anchor of the file and names the issuer as its own: an
    authority certifies many, and each speaks for itself only."""

    def __init__(self, issuer: TrustedIssuer) -> None:
        self._issuer = issuer.issuer
        self._host = urlsplit(issuer.issuer).hostname or ""
        self._store = verification.Store(list(issuer.anchors))

    def candidates(self, header: Mapping[str, object], now: datetime) -> tuple[PublicKey, ...]:
        """See `IssuerKeys.candidates`."""
        chain = header.get("x5c")
        if not isinstance(chain, list):
            raise CheckFailed("issuer_certificate_untrusted", "the header has no certificates")
        try:
            leaf, *others = [
                x509.load_der_x509_certificate(base64.b64decode(str(item), validate=True)) for item in chain
            ]
            verifier = (
                verification.PolicyBuilder()
                .store(self._store)
                .time(now)
                .max_chain_depth(_MAX_DEPTH)
                .extension_policies(
                    ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
                    ee_policy=verification.ExtensionPolicy.permit_all(),
                )
                .build_client_verifier()
            )
            verifier.verify(leaf, others)
            key, named = leaf.public_key(), self._is_named(leaf)
        except (ValueError, TypeError, verification.VerificationError, x509.UnsupportedGeneralNameType):
            raise CheckFailed(
                "issuer_certificate_untrusted", "its certificates lead to no anchor of the file"
            ) from None
        if not named or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CheckFailed("issuer_certificate_untrusted", "not a certificate of this issuer for a P-256 key")
        return (key,)

    def _is_named(self, leaf: x509.Certificate) -> bool:
        """By its URL or its host, and as one that signs and is no authority itself."""
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        for item in leaf.extensions:
            if isinstance(item.value, x509.BasicConstraints) and item.value.ca:
                return False
            if isinstance(item.value, x509.KeyUsage) and not item.value.digital_signature:
                return False
        urls = names.get_values_for_type(x509.UniformResourceIdentifier)
        return self._issuer in urls or self._host in names.get_values_for_type(x509.DNSName)


class PublishedKeys:
    """The keys at the issuer's own `/.well-known/jwt-vc-issuer` (SD-JWT VC §5), kept for a while."""

    def __init__(
        self, issuer: TrustedIssuer, fetcher: Fetcher, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        parts = urlsplit(issuer.issuer)
        self._issuer, self._fetcher, self._monotonic = issuer.issuer, fetcher, monotonic
        self._origin, self._hosts = f"{parts.scheme}://{parts.netloc}", frozenset({parts.netloc.lower()})
        self._url = f"{self._origin}{WELL_KNOWN}{parts.path.rstrip('/')}"
        self._lock = threading.Lock()
        self._keys: PinnedKeys | None = None
        self._until = self._asked_at = float("-inf")
        self._error: EcardError | None = None

    def candidates(self, header: Mapping[str, object], now: datetime) -> tuple[PublicKey, ...]:
        """See `IssuerKeys.candidates`. A kid that is not among what is kept is asked for once more."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._keys = None
            if self._keys is not None:
                try:
                    return self._keys.candidates(header, now)
                except CheckFailed:
                    if self._monotonic() < self._asked_at + COOL_DOWN:
                        raise
            self._refresh()
            if self._keys is None:
                raise self._error or CheckFailed("unknown_key", "the issuer has published no key")
            return self._keys.candidates(header, now)

    def _refresh(self) -> None:
        """Ask, unless that just failed."""
        if self._error is not None and self._monotonic() < self._asked_at + COOL_DOWN:
            return
        self._asked_at = self._monotonic()
        try:
            self._keys, self._error = PinnedKeys(self._published()), None
            self._until = self._monotonic() + KEEP
        except EcardError as error:
            self._error = error

    def _published(self) -> tuple[tuple[str | None, bytes], ...]:
        document = self._document(self._url)
        if document.get("issuer") != self._issuer or ("jwks" in document) == ("jwks_uri" in document):
            raise CheckFailed("unknown_key", "the issuer's metadata is another's, or has not one set of keys")
        keys = document.get("jwks")
        if keys is None:
            address = document["jwks_uri"]
            keys = self._document(address) if isinstance(address, str) else None
        listed = keys.get("keys") if isinstance(keys, dict) else None
        if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
            raise CheckFailed("unknown_key", "the issuer's metadata has no set of keys")
        return tuple(key for key in map(_point, listed) if key is not None)

    def _document(self, url: str) -> dict[str, object]:
        """From the issuer's own host only."""
        body = self._fetcher.get(url, hosts=self._hosts, media_type="application/json", limit=_MAX_DOCUMENT)
        try:
            content = jose.parse_json(body)
        except InvalidInput:
            content = None
        if not isinstance(content, dict):
            raise CheckFailed("unknown_key", "the issuer's metadata cannot be read")
        return content


def _point(jwk: object) -> tuple[str | None, bytes] | None:
    """A key that can sign here; None for any other, which is not ours to judge."""
    try:
        point = jose.parse_public_jwk(jwk)
        load_public_key(point)
    except InvalidInput:
        return None
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kid = jwk.get("kid")
    return (kid if isinstance(kid, str) else None), point
