"""Keys with a certificate, in the encrypted key file: a verifier signs its requests to wallets with one of them.

A key is made here and never leaves; a certificate authority gets a signing request and gives a chain, which is stored
with the key. Rotation is two keys at once: the one whose chain came last signs, the other stays for what it signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import Conflict, InvalidInput, NotFound, Unavailable
from ecard_keys.homes.encrypted_file import EncryptedFile, Entry
from ecard_keys.private_key import generate_private_key, load_private_key

MAX_CHAIN: Final = 4
MAX_KEYS: Final = 8
_MAX_PEM: Final = 32 << 10
_KIND: Final = "request-key"
_LONGEST_NAME: Final = 64  # of a common name (X.520)


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A key and its certificates as DER, leaf first and without the anchor; none of them before a chain is installed.

    Times are NumericDates; `installed_at` is 0 without a chain.
    """

    key_id: str
    created_at: int
    installed_at: int
    public: bytes
    chain: tuple[bytes, ...] = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        """Raises `Conflict` `certificate_missing` before there is one."""
        if not self.chain:
            raise Conflict("certificate_missing", "no certificate was installed for this key")
        return x509.load_der_x509_certificate(self.chain[0])

    @property
    def x5c(self) -> list[str]:
        """The chain as a JOSE header has it (RFC 7515 §4.1.6)."""
        return [base64.b64encode(der).decode() for der in self.chain]

    def serves(self, now: datetime) -> bool:
        """Whether its certificate is valid now."""
        if not self.chain:
            return False
        leaf = self.leaf
        return leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc


class CertifiedKeys:
    """The keys in `file`. Every verb may raise the `Unavailable` codes of `EncryptedFile`."""

    def __init__(self, file: EncryptedFile) -> None:
        self._file = file

    def held(self) -> tuple[CertifiedKey, ...]:
        """All of them, oldest first."""
        found = [_read(name, entry) for (kind, name), entry in self._file.entries().items() if kind == _KIND]
        return tuple(sorted(found, key=lambda key: (key.created_at, key.key_id)))

    def get(self, key_id: str) -> CertifiedKey:
        """Raises `NotFound` `request_key_unknown`."""
        return _read(key_id, self._entry(key_id))

    def active(self, now: datetime) -> CertifiedKey:
        """The one to sign with: of those whose certificate is valid, the one installed last.

        Raises `Unavailable` `no_request_key`.
        """
        serving = [key for key in self.held() if key.serves(now)]
        if not serving:
            raise Unavailable("no_request_key", "no key for requests to wallets has a certificate that is valid now")
        return max(serving, key=lambda key: (key.installed_at, key.created_at, key.key_id))

    def create(self, now: datetime) -> CertifiedKey:
        """A new P-256 key, stored durably. Raises `Conflict` `request_keys_many`."""
        with self._file.editing() as entries:
            if sum(kind == _KIND for kind, _ in entries) >= MAX_KEYS:
                raise Conflict("request_keys_many", "eight keys are held; remove one that is over")
            private = generate_private_key(Algorithm.ES256)
            key_id = jose.b64url_encode(jose.thumbprint(jose.jwk_of(private.public)))
            about: dict[str, str | int] = {
                "public": jose.b64url_encode(private.public),
                "created_at": int(now.timestamp()),
                "installed_at": 0,
                "chain": "",
            }
            entries[_KIND, key_id] = self._file.seal((_KIND, key_id), about, private.secret)
        return self.get(key_id)

    def request(self, key_id: str, *, name: str, host: str) -> str:
        """A certificate signing request (PKCS#10, PEM) for a key: `name` is whom wallets show, `host` the DNS name of
        the service. Raises `NotFound` `request_key_unknown`, `InvalidInput` `bad_certificate_name`."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(name))
        builder = builder.add_extension(_host(host), critical=False)
        return builder.sign(self._private(key_id), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def self_sign(self, key_id: str, *, name: str, host: str, now: datetime, days: int) -> CertifiedKey:
        """Give a key a certificate that nobody else vouches for: to try things out. Raises as `request`."""
        private = self._private(key_id)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(_subject(name))
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(_host(host), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(private, hashes.SHA256())
        )
        return self._store(key_id, (certificate.public_bytes(serialization.Encoding.DER),), now)

    def install(self, pem: bytes, now: datetime) -> CertifiedKey:
        """Store the chain that an authority gave: leaf first, each signed by the next; a self-signed anchor at its end
        is left out, as wallets want it.

        Raises `InvalidInput` `bad_certificate` (no chain, out of date, not for signing), `NotFound`
        `request_key_unknown` where no key here is the leaf's.
        """
        chain = _chain(pem)
        leaf = chain[0]
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise InvalidInput("bad_certificate", "the first certificate is not valid now")
        public = leaf.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise InvalidInput("bad_certificate", "the first certificate is for no P-256 key")
        point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        key_id = jose.b64url_encode(jose.thumbprint(jose.jwk_of(point)))
        return self._store(key_id, tuple(item.public_bytes(serialization.Encoding.DER) for item in chain), now)

    def remove(self, key_id: str) -> None:
        """Forget a key for ever. Raises `NotFound` `request_key_unknown`."""
        with self._file.editing() as entries:
            if entries.pop((_KIND, key_id), None) is None:
                raise _unknown()

    def sign(self, key_id: str, message: bytes) -> bytes:
        """ES256 as raw r||s. Raises `NotFound` `request_key_unknown`."""
        key, entry = self.get(key_id), self._entry(key_id)
        return load_private_key(Algorithm.ES256, self._file.reveal((_KIND, key_id), entry), key.public).sign(message)

    def _store(self, key_id: str, chain: tuple[bytes, ...], now: datetime) -> CertifiedKey:
        with self._file.editing() as entries:
            entry = entries.get((_KIND, key_id))
            if entry is None:
                raise _unknown()
            last = max((_read(name, item).installed_at for (kind, name), item in entries.items() if kind == _KIND))
            # The order of installing decides who signs; two in one second have one too.
            installed_at = max(int(now.timestamp()), last + 1)
            about = {**entry.about, "installed_at": installed_at, "chain": ".".join(map(jose.b64url_encode, chain))}
            secret = self._file.reveal((_KIND, key_id), entry)
            entries[_KIND, key_id] = self._file.seal((_KIND, key_id), about, secret)
        return self.get(key_id)

    def _entry(self, key_id: str) -> Entry:
        entry = self._file.entries().get((_KIND, key_id))
        if entry is None:
            raise _unknown()
        return entry

    def _private(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        secret = self._file.reveal((_KIND, key_id), self._entry(key_id))
        return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())


def _read(key_id: str, entry: Entry) -> CertifiedKey:
    about = entry.about
    chain = tuple(jose.b64url_decode(part) for part in str(about["chain"]).split(".") if part)
    public = jose.b64url_decode(str(about["public"]))
    return CertifiedKey(key_id, int(about["created_at"]), int(about["installed_at"]), public, chain)


def _unknown() -> NotFound:
    return NotFound("request_key_unknown", "no such key for requests to wallets is held here")


def _subject(name: str) -> x509.Name:
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("bad_certificate_name", "a name has 1 to 64 printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.SubjectAlternativeName:
    try:
        return x509.SubjectAlternativeName([x509.DNSName(host)])
    except ValueError:
        raise InvalidInput("bad_certificate_name", "the host is no DNS name in ASCII") from None


def _chain(pem: bytes) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem[: _MAX_PEM + 1])
        if len(pem) > _MAX_PEM or not 1 <= len(chain) <= MAX_CHAIN + 1:
            raise InvalidInput("bad_certificate", "want one to five certificates, leaf first")
        if len(chain) > 1 and chain[-1].subject == chain[-1].issuer:
            chain[-1].verify_directly_issued_by(chain[-1])
            last = chain.pop()
            chain[-1].verify_directly_issued_by(last)
        for lower, upper in pairwise(chain):
            lower.verify_directly_issued_by(upper)
        usage = [item.value for item in chain[0].extensions if isinstance(item.value, x509.KeyUsage)]
    except (ValueError, TypeError, InvalidSignature):
        raise InvalidInput("bad_certificate", "not PEM certificates of which each is signed by the next") from None
    if usage and not usage[0].digital_signature:
        raise InvalidInput("bad_certificate", "its key may not sign (key usage)")
    return chain
