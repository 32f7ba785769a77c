"""The trust list: one signed document that tells every verifier which issuers and keys to believe.

A JWS in JSON General Serialization (RFC 7515 §7.2.1), signed by a threshold of offline root keys. Versioned, expiring
and linked to its predecessor, after the roles of The Update Framework: a stolen web server can neither add a key,
nor take one back (rollback), nor keep a victim on an old list for ever (freeze). `docs/formats/trust-list.md`
has the wire format; `trust_content` turns the payload into objects and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys import trust_content
from ecard_keys.key import ES256
from ecard_keys.trust_content import IssuerEntry, TrustList, canonical_json, digest_of
from ecard_keys.verify import load_public_key, verify

TYPE = "ecard-trust+jwt"
ROOT_FORMAT = "ecard-trust-root/1"
MAX_DOCUMENT = 4 << 20
MAX_SIGNATURES = 16
SKEW = 60  # seconds by which clocks may differ

__all__ = [
    "IssuerEntry",
    "TrustList",
    "TrustListDraft",
    "TrustRoot",
    "assemble",
    "draft",
    "open_trust_list",
    "read_root",
    "write_root",
]


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """The offline root keys (65-byte points) and how many distinct ones must sign.

    Raises `InvalidInput` `bad_trust_root`. `version` counts changes of the root itself.
    """

    keys: tuple[bytes, ...]
    threshold: int
    version: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.keys) <= MAX_SIGNATURES or len(set(self.keys)) != len(self.keys):
            raise InvalidInput("bad_trust_root", "want 1 to 16 distinct keys and a threshold within their number")
        for point in self.keys:
            try:
                usable = len(point) == 65 and load_public_key(point) is not None
            except InvalidInput:
                usable = False
            if not usable:
                raise InvalidInput("bad_trust_root", "a root key is a 65-byte uncompressed point of P-256")


def write_root(root: TrustRoot) -> dict[str, object]:
    """The JSON value in which a root is handed to verifiers; `docs/formats/trust-list.md`."""
    keys = [jose.public_jwk(point[1:33], point[33:]) for point in root.keys]
    return {"format": ROOT_FORMAT, "version": root.version, "threshold": root.threshold, "keys": keys}


def read_root(value: object) -> TrustRoot:
    """Inverse of `write_root`; a missing version is 1. Raises `InvalidInput` `bad_trust_root`."""
    if not isinstance(value, dict) or value.get("format") != ROOT_FORMAT or not isinstance(value.get("keys"), list):
        raise InvalidInput("bad_trust_root", "not a trust root of this version")
    threshold, version = value.get("threshold"), value.get("version", 1)
    if type(threshold) is not int or type(version) is not int or len(value["keys"]) > MAX_SIGNATURES:
        raise InvalidInput("bad_trust_root", "threshold and version are whole numbers, the keys at most 16")
    try:
        return TrustRoot(tuple(jose.parse_public_jwk(key) for key in value["keys"]), threshold, version)
    except InvalidInput as error:
        raise InvalidInput("bad_trust_root", error.detail) from None


@dataclass(frozen=True, slots=True)
class TrustListDraft:
    """A list about to be signed: the exact payload, and what each root key holder signs."""

    payload: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.payload)

    def signing_input(self, root_key: bytes) -> bytes:
        """What the holder of `root_key` (65-byte point) signs by ES256 (RFC 7515 §5.1)."""
        return _protected(root_key).encode() + b"." + jose.b64url_encode(self.payload).encode()


def draft(trust_list: TrustList) -> TrustListDraft:
    """The canonical payload of a list, ready for its signers."""
    return TrustListDraft(trust_content.encode(trust_list))


def assemble(unsigned: TrustListDraft, signatures: Mapping[bytes, bytes]) -> bytes:
    """The document from raw r||s signatures by root key (65-byte point).

    Each is verified first: `InvalidInput` `bad_root_signature`. Whether they are enough is for the reader to say.
    """
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise InvalidInput("bad_root_signature", "want 1 to 16 signatures")
    entries = []
    for root_key, signature in sorted(signatures.items()):
        if not verify(load_public_key(root_key), unsigned.signing_input(root_key), signature):
            raise InvalidInput("bad_root_signature", "a signature is not by the key it is given for")
        entries.append({"protected": _protected(root_key), "signature": jose.b64url_encode(signature)})
    return canonical_json({"payload": jose.b64url_encode(unsigned.payload), "signatures": entries})


def open_trust_list(document: bytes, root: TrustRoot, *, now: int | None, known: TrustList | None = None) -> TrustList:
    """Judge a document and return what it says. `now` is a NumericDate, `known` the newest list seen before.

    With `now` None the time is not judged: good for learning the version of a list kept from earlier, not for belief.

    In this order, each refusal a `CheckFailed`:
    1 form and size: `trust_malformed`;
    2 signatures of `root.threshold` distinct root keys, before a byte of the payload is read: `trust_undersigned`;
    3 payload: `trust_malformed` (single odd issuers and keys are skipped and counted);
    4 time, 60 s of skew: `trust_not_yet_valid`, `trust_expired`;
    5 against `known`: older version or date `trust_rolled_back`; same version with other content, or the next
      version with another predecessor `trust_unlinked`. A gap of versions is allowed: a client that was away
      for a while has the threshold's word for the newest.
    """
    payload, entries = _take_apart(document)
    if _signers(payload, entries, root) < root.threshold:
        raise CheckFailed("trust_undersigned", "fewer distinct root keys signed than the threshold")
    try:
        signed = jose.b64url_decode(payload)
        opened = trust_content.decode(signed, limit=MAX_DOCUMENT)
    except InvalidInput as error:
        raise CheckFailed("trust_malformed", f"the payload does not hold: {error.detail}") from None
    if now is not None and opened.issued_at > now + SKEW:
        raise CheckFailed("trust_not_yet_valid", "the list is dated in the future; is the clock right?")
    if now is not None and now >= opened.expires_at + SKEW:
        raise CheckFailed("trust_expired", "the list has expired")
    if known is not None:
        _compare(opened, known)
    return opened


def _compare(opened: TrustList, known: TrustList) -> None:
    if opened.version < known.version or opened.issued_at < known.issued_at:
        raise CheckFailed("trust_rolled_back", "a newer list was seen before")
    if opened.version == known.version and opened.digest != known.digest:
        raise CheckFailed("trust_unlinked", "two different lists have this version")
    if opened.version == known.version + 1 and opened.previous != known.digest:
        raise CheckFailed("trust_unlinked", "the list does not follow the one known")


def _take_apart(document: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The payload and the (protected, signature) pairs, all still base64url."""
    try:
        outer = jose.parse_json(document, limit=MAX_DOCUMENT, max_items=16 * MAX_SIGNATURES)
    except InvalidInput as error:
        raise CheckFailed("trust_malformed", f"the document does not parse: {error.detail}") from None
    if not isinstance(outer, dict) or outer.keys() != {"payload", "signatures"}:
        raise CheckFailed("trust_malformed", "want the members payload and signatures")
    payload, signatures = outer["payload"], outer["signatures"]
    if not isinstance(payload, str) or not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise CheckFailed("trust_malformed", "want a payload and at most 16 signatures")
    pairs = []
    for entry in signatures:
        if not isinstance(entry, dict) or entry.keys() != {"protected", "signature"}:
            raise CheckFailed("trust_malformed", "a signature has the members protected and signature")
        protected, signature = entry["protected"], entry["signature"]
        if not isinstance(protected, str) or not isinstance(signature, str):
            raise CheckFailed("trust_malformed", "protected and signature are text")
        pairs.append((protected, signature))
    return payload, pairs


def _signers(payload: str, entries: list[tuple[str, str]], root: TrustRoot) -> int:
    """How many distinct root keys signed. Entries of other algorithms or unknown keys count for nothing."""
    by_header: dict[str, list[bytes]] = {}
    for point in root.keys:  # two keys may share a kid, and so a header: both get tried
        by_header.setdefault(_protected(point), []).append(point)
    signed: set[bytes] = set()
    for protected, signature in entries:
        if protected not in by_header:
            continue
        try:
            raw = jose.b64url_decode(signature)
            message = f"{protected}.{payload}".encode()
        except (InvalidInput, UnicodeError):
            continue
        signed.update(point for point in by_header[protected] if verify(load_public_key(point), message, raw))
    return len(signed)


def _protected(root_key: bytes) -> str:
    return jose.b64url_encode(canonical_json({"alg": ES256, "kid": jose.key_id(root_key), "typ": TYPE}))
