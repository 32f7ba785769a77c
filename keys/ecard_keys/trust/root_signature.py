"""Documents signed by root holders: JWS in JSON General Serialization (RFC 7515 §7.2.1), two signatures a holder.

ES256 (RFC 7518 §3.4) and ML-DSA-65 (RFC 9964), both over the same payload, each with its own protected header that
names algorithm, key and kind of document. A holder has signed when both are there and hold; half a pair, another's
half, or the same pair twice adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import HOLDER_ALGORITHMS, MAX_HOLDERS, RootHolder
from ecard_keys.verify import load_public_key, verify

LIST_TYPE: Final = "ecard-trust+jwt"
ROOT_TYPE: Final = "ecard-root+jwt"
MAX_DOCUMENT: Final = 4 << 20
#: Both signatures of the holders of an old root and a new one.
MAX_SIGNATURES: Final = 4 * MAX_HOLDERS
ML_DSA_65_SIGNATURE_BYTES: Final = 3309  # FIPS 204 table 2

#: A holder's signatures, in the order of `HOLDER_ALGORITHMS`.
Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document taken apart, nothing of it believed: payload as base64url, and (protected, signature) pairs."""

    payload: str = field(repr=False)
    signatures: tuple[tuple[str, str], ...] = field(repr=False)


def signing_inputs(holder: RootHolder, kind: str, payload: bytes) -> Pair:
    """What the holder signs by each of the two algorithms (RFC 7515 §5.1); `kind` is the `typ` of the document."""
    encoded = jose.b64url_encode(payload)
    classical, quantum = (f"{_protected(holder, kind, algorithm)}.{encoded}" for algorithm in HOLDER_ALGORITHMS)
    return classical.encode(), quantum.encode()


def pair_holds(holder: RootHolder, kind: str, payload: bytes, pair: Pair) -> bool:
    """Whether both signatures are the holder's. Raises `Unavailable` `algorithm_unavailable`."""
    classical, quantum = signing_inputs(holder, kind, payload)
    return _es256_holds(holder, classical, pair[0]) and _ml_dsa_holds(holder, quantum, pair[1])


def assemble_signed(kind: str, payload: bytes, pairs: Mapping[RootHolder, Pair]) -> bytes:
    """The document. Each pair is verified first: `InvalidInput` `bad_root_signature`. Whether they are enough is for
    the reader to say."""
    if not 1 <= len(pairs) <= 2 * MAX_HOLDERS:
        raise InvalidInput("bad_root_signature", "want the signatures of 1 to 32 holders")
    entries = []
    for holder, pair in sorted(pairs.items(), key=lambda item: item[0].es256):
        if not pair_holds(holder, kind, payload, pair):
            raise InvalidInput("bad_root_signature", "a signature is not by the holder it is given for")
        for algorithm, signature in zip(HOLDER_ALGORITHMS, pair, strict=True):
            protected = _protected(holder, kind, algorithm)
            entries.append({"protected": protected, "signature": jose.b64url_encode(signature)})
    return canonical_json({"payload": jose.b64url_encode(payload), "signatures": entries})


def take_apart(document: bytes) -> SignedDocument:
    """The outer form, strictly. Raises `InvalidInput` `bad_signed_document`."""
    try:
        outer = jose.parse_json(document, limit=MAX_DOCUMENT, max_items=8 * MAX_SIGNATURES)
    except InvalidInput as error:
        raise InvalidInput("bad_signed_document", f"the document does not parse: {error.detail}") from None
    if not isinstance(outer, dict) or outer.keys() != {"payload", "signatures"}:
        raise InvalidInput("bad_signed_document", "want the members payload and signatures")
    payload, signatures = outer["payload"], outer["signatures"]
    if not isinstance(payload, str) or not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise InvalidInput("bad_signed_document", "want a payload and at most 64 signatures")
    pairs = []
    for entry in signatures:
        if not isinstance(entry, dict) or entry.keys() != {"protected", "signature"}:
            raise InvalidInput("bad_signed_document", "a signature has the members protected and signature")
        protected, signature = entry["protected"], entry["signature"]
        if not isinstance(protected, str) or not isinstance(signature, str):
            raise InvalidInput("bad_signed_document", "protected and signature are text")
        pairs.append((protected, signature))
    return SignedDocument(payload, tuple(pairs))


def signers(document: SignedDocument, kind: str, holders: Iterable[RootHolder]) -> frozenset[RootHolder]:
    """Those of `holders` who signed the document as one of `kind`, with both keys.

    Raises `Unavailable` `algorithm_unavailable` where ES256 alone would count somebody and ML-DSA-65 cannot be
    computed here: nobody is believed by half.
    """
    given: dict[str, list[bytes]] = {}
    for protected, signature in document.signatures:
        try:
            given.setdefault(protected, []).append(jose.b64url_decode(signature))
        except InvalidInput:
            continue  # counts for nothing, and spoils nothing
    found = set()
    for holder in holders:
        classical, quantum = (_protected(holder, kind, algorithm) for algorithm in HOLDER_ALGORITHMS)
        if any(_es256_holds(holder, _input(classical, document), one) for one in given.get(classical, ())) and any(
            _ml_dsa_holds(holder, _input(quantum, document), one) for one in given.get(quantum, ())
        ):
            found.add(holder)
    return frozenset(found)


def _input(protected: str, document: SignedDocument) -> bytes:
    return f"{protected}.{document.payload}".encode()


def _es256_holds(holder: RootHolder, message: bytes, signature: bytes) -> bool:
    return verify(load_public_key(holder.es256), message, signature)


def _ml_dsa_holds(holder: RootHolder, message: bytes, signature: bytes) -> bool:
    """ML-DSA-65 with an empty context, as RFC 9964 §4 has it."""
    if len(signature) != ML_DSA_65_SIGNATURE_BYTES:
        return False
    try:
        key = load_public_key(holder.ml_dsa_65, Algorithm.ML_DSA_65)
    except UnsupportedAlgorithm:
        raise Unavailable("algorithm_unavailable", "this machine cannot compute ML-DSA-65") from None
    return verify(key, message, signature)


def _protected(holder: RootHolder, kind: str, algorithm: Algorithm) -> str:
    header = {"alg": algorithm.value, "kid": holder.kid(algorithm), "typ": kind}
    return jose.b64url_encode(canonical_json(header))
