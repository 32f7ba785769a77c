"""HTTP Message Signatures (RFC 9421) with content digest (RFC 9530), in the one profile `ecard-v1`.

Signed are method, target URI, digest of the body, `Authorization`, and `Content-Type` and `Idempotency-Key` where the
request has them. The target URI is that of the origin that the authority was configured with: whoever checks puts it
together and never takes it from `Host`. The signature base is `http-message-signatures`' work; what must be covered,
times and nonces are judged here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519, HTTPSignatureAlgorithm
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotAuthenticated
from ecard_keys.client_keys import ClientKey
from ecard_keys.client_signer import ClientSigner

TAG: Final = "ecard-v1"
LABEL: Final = "ecard"
#: The longest life of a signature, `expires` less `created`.
LONGEST_LIFE: Final = timedelta(seconds=300)
_ALWAYS: Final = ("@method", "@target-uri", "content-digest", "authorization")
_IF_THERE: Final = ("content-type", "idempotency-key")
_MAX_FIELD: Final = 2048
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_KEY_ID: Final = re.compile(r';keyid="([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"')


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as its signature sees it: `url` is the absolute target URI, `headers` every line of the header."""

    method: str
    url: str
    lines: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def headers(self) -> _Lines:
        """For the library, which asks for `items()`."""
        return _Lines(self.lines)

    def one(self, name: str) -> str | None:
        """The only line of this name; None without one. Raises `NotAuthenticated` `http_signature_wrong` for two."""
        found = [value for key, value in self.lines if key.lower() == name]
        if len(found) > 1:
            raise NotAuthenticated("http_signature_wrong", f"the header {name} is there more than once")
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature that holds says of itself. The nonce has still to be taken once, until `until`."""

    kid: str
    nonce: str
    created: datetime
    until: datetime


def sign_request(
    signer: ClientSigner,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    life: timedelta = timedelta(seconds=60),
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> dict[str, str]:
    """The headers to send besides: `Content-Digest`, `Signature-Input`, `Signature`. `headers` are those of the
    request, with `Authorization`.

    Raises `InvalidInput` `bad_private_key` for an RSA key, which the profile has no algorithm for, and
    `bad_message` for a request that cannot be signed.
    """
    message = _Draft(method, url, {name.lower(): value for name, value in headers.items()})
    covered = [*_ALWAYS, *(name for name in _IF_THERE if name in message.headers)]
    library = HTTPMessageSigner(signature_algorithm=_algorithm_of(signer.private), key_resolver=_Private(signer))
    try:
        library.sign(
            message,
            key_id=signer.kid,
            created=now,
            expires=now + life,
            nonce=jose.b64url_encode(random(16)),
            label=LABEL,
            tag=TAG,
            covered_component_ids=covered,
            body=body,
        )
    except HTTPMessageSignaturesException as error:
        raise InvalidInput("bad_message", str(error)) from None
    sent = {name.lower(): value for name, value in message.headers.items()}
    return {name: sent[name.lower()] for name in ("Content-Digest", "Signature-Input", "Signature")}


def key_id_of(request: SignedRequest) -> str:
    """The `keyid` that the request's signature claims, to look the key up by; nothing is judged yet.

    Raises `NotAuthenticated` `http_signature_missing`, `http_signature_wrong`.
    """
    given = request.one("signature-input")
    if given is None or request.one("signature") is None:
        raise NotAuthenticated("http_signature_missing", "this call is signed: Signature-Input and Signature")
    found = _KEY_ID.findall(given)
    if len(given) > _MAX_FIELD or len(found) != 1:
        raise NotAuthenticated("http_signature_wrong", "want one signature with one keyid")
    return str(found[0])


def verify_request(request: SignedRequest, key: ClientKey, now: datetime, *, skew: timedelta) -> Signed:
    """Judge the one signature with tag `ecard-v1`. That its nonce was not used before is for the caller to ask.

    Raises `NotAuthenticated`: `http_signature_missing`, `http_signature_wrong`, `content_digest_wrong`, and
    `clock_differs` where `created` is more than `skew` from `now`, with the difference in its detail.
    """
    if key_id_of(request) != key.kid:
        raise NotAuthenticated("http_signature_wrong", "signed by another key")
    present = {name.lower() for name, _ in request.lines}
    required = [*_ALWAYS, *(name for name in _IF_THERE if name in present)]
    for name in (*required[2:], "signature"):
        request.one(name)
    try:
        verifier = _Verifier(signature_algorithm=_algorithm_of(key.public), key_resolver=_Public(key))
    except InvalidInput as error:
        raise NotAuthenticated("http_signature_wrong", error.detail) from None
    try:
        results = verifier.verify(request, max_age=None, expect_tag=TAG, require_components=required)
    except HTTPMessageSignaturesException as error:
        raise NotAuthenticated("http_signature_wrong", _reason(error)) from None
    if len(results) != 1:
        raise NotAuthenticated("http_signature_wrong", "more than one signature")
    signed = _judged(results[0].parameters, key, now, skew)
    try:
        verifier.verify_body(request, results, request.body)
    except HTTPMessageSignaturesException:
        raise NotAuthenticated("content_digest_wrong", "Content-Digest is not that of the body") from None
    return signed


def _judged(parameters: Mapping[str, Any], key: ClientKey, now: datetime, skew: timedelta) -> Signed:
    if parameters.keys() < {"created", "expires", "nonce", "keyid", "alg", "tag"}:
        raise NotAuthenticated("http_signature_wrong", "want created, expires, nonce, keyid, alg and tag")
    nonce, created, expires = parameters["nonce"], parameters["created"], parameters["expires"]
    if not _NONCE.fullmatch(nonce):
        raise NotAuthenticated("http_signature_wrong", "a nonce is 16 to 64 characters of base64url")
    if not 0 < expires - created <= LONGEST_LIFE.total_seconds():
        raise NotAuthenticated("http_signature_wrong", "a signature lives 1 to 300 seconds")
    ahead = created - int(now.timestamp())
    # One that is old and not over yet is late, not of another clock; one that is over may be either.
    if ahead > skew.total_seconds() or now.timestamp() > expires + skew.total_seconds():
        raise NotAuthenticated("clock_differs", f"created is {difference(ahead)}")
    until = datetime.fromtimestamp(expires, UTC) + skew
    return Signed(key.kid, nonce, datetime.fromtimestamp(created, UTC), until)


def difference(ahead: int) -> str:
    """A difference of clocks in words, for a `clock_differs`."""
    return f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the server's clock"


class _Verifier(HTTPMessageVerifier):
    """The library reads the machine's clock; `_judged` looks at the times instead."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        for name in ("created", "expires"):
            if not 0 <= sig_input.params.get(name, -1) < 1 << 33:
                raise HTTPMessageSignaturesException("created and expires are numeric dates")


@dataclass(frozen=True, slots=True)
class _Lines:
    lines: Iterable[tuple[str, str]] = field(repr=False)

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self.lines)


@dataclass(slots=True)
class _Draft:
    method: str
    url: str
    headers: dict[str, str] = field(repr=False)


class _Public(HTTPSignatureKeyResolver):
    def __init__(self, key: ClientKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:
        return self._key.public if key_id == self._key.kid else None


class _Private(HTTPSignatureKeyResolver):
    def __init__(self, signer: ClientSigner) -> None:
        self._signer = signer

    def resolve_private_key(self, key_id: str) -> Any:
        return self._signer.private


def _algorithm_of(key: object) -> type[HTTPSignatureAlgorithm]:
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return ECDSA_P256_SHA256
    if isinstance(key, Ed25519PublicKey | Ed25519PrivateKey):
        return ED25519
    raise InvalidInput("bad_private_key", "messages are signed with a key of P-256 or Ed25519")


def _reason(error: Exception) -> str:
    """The library's words, unless they repeat what was sent."""
    text = str(error)
    return text if text.isascii() and len(text) <= 120 and '"' not in text else "the signature does not hold"
