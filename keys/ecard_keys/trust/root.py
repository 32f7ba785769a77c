"""The trust root: the people whose signatures make a trust list, and how many of them it takes.

Each holder has a pair of keys, ECDSA P-256 and ML-DSA-65 (FIPS 204), and counts only when both signed: a list stays
safe while either of the two is. The JSON of a root is what verifiers pin and, byte for byte in its canonical form, the
payload of the signed document in `root_chain` that introduces it. `docs/formats/trust-list.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.key import MAX_INTEGER
from ecard_keys.trust.content import canonical_json, digest_of
from ecard_keys.verify import load_public_key

ROOT_FORMAT: Final = "ecard-trust-root/2"
MAX_HOLDERS: Final = 16
ML_DSA_65_BYTES: Final = 1952  # a public key, FIPS 204 table 2

_ODD = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"  # control, and what changes the order of reading
_NAME = re.compile(rf"[^\s{_ODD}](?:[^{_ODD}]{{0,62}}[^\s{_ODD}])?")
_ROOT_MEMBERS: Final = frozenset({"format", "version", "threshold", "holders"})


@dataclass(frozen=True, slots=True)
class RootHolder:
    """One holder's public keys: a 65-byte point of P-256, and 1952 bytes of ML-DSA-65.

    `name` (1 to 64 characters) is for people and no part of who the holder is. Raises `InvalidInput` `bad_trust_root`.
    """

    es256: bytes
    ml_dsa_65: bytes
    name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        try:
            usable = len(self.es256) == 65 and load_public_key(self.es256) is not None
        except InvalidInput:
            usable = False
        if not usable or len(self.ml_dsa_65) != ML_DSA_65_BYTES:
            raise InvalidInput("bad_trust_root", "a holder has a 65-byte point of P-256 and an ML-DSA-65 key")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise InvalidInput("bad_trust_root", "a holder's name is one line of 1 to 64 characters")

    def jwk(self, algorithm: Algorithm) -> dict[str, str]:
        """One of the two keys as a public JWK (RFC 7518 §6.2, RFC 9964 §3)."""
        return jose.jwk_of(self.public(algorithm), algorithm)

    def kid(self, algorithm: Algorithm) -> str:
        """The key id: first 8 hex digits of the key's RFC 7638 thumbprint."""
        return jose.key_id(self.public(algorithm), algorithm)

    def public(self, algorithm: Algorithm) -> bytes:
        """One of the two keys, ES256 or ML-DSA-65."""
        return self.es256 if algorithm is Algorithm.ES256 else self.ml_dsa_65


#: The two signatures that a holder gives.
HOLDER_ALGORITHMS: Final = (Algorithm.ES256, Algorithm.ML_DSA_65)


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """The holders and how many distinct ones must sign. `version` counts changes of the root itself.

    `previous` is the `digest` of the root before this one, None only in version 1. Raises `InvalidInput`
    `bad_trust_root`, also where one key stands with two holders: it would count twice.
    """

    holders: tuple[RootHolder, ...]
    threshold: int
    version: int = 1
    previous: str | None = None

    def __post_init__(self) -> None:
        if type(self.threshold) is not int or not 1 <= self.threshold <= len(self.holders) <= MAX_HOLDERS:
            raise InvalidInput("bad_trust_root", "want 1 to 16 holders and a threshold within their number")
        for keys in ({holder.es256 for holder in self.holders}, {holder.ml_dsa_65 for holder in self.holders}):
            if len(keys) != len(self.holders):
                raise InvalidInput("bad_trust_root", "one key stands with two holders")
        if type(self.version) is not int or not 1 <= self.version <= MAX_INTEGER:
            raise InvalidInput("bad_trust_root", "versions count from 1")
        if (self.previous is None) != (self.version == 1):
            raise InvalidInput("bad_trust_root", "every root but the first names its predecessor")
        if self.previous is not None and not _is_digest(self.previous):
            raise InvalidInput("bad_trust_root", "the predecessor is named by a SHA-256")

    @property
    def payload(self) -> bytes:
        """The canonical JSON, names included: what the holders of a new root sign."""
        return canonical_json(root_to_json(self))

    @property
    def digest(self) -> str:
        """base64url SHA-256 of `payload`: what the next root names as `previous`."""
        return digest_of(self.payload)


def holder_to_json(holder: RootHolder) -> dict[str, object]:
    """What a holder hands in, and how a root names them."""
    keys = [holder.jwk(algorithm) for algorithm in HOLDER_ALGORITHMS]
    return {"keys": keys} if holder.name is None else {"name": holder.name, "keys": keys}


def holder_from_json(value: object) -> RootHolder:
    """Inverse of `holder_to_json`; no other member, and the keys in that order. Raises `InvalidInput`
    `bad_trust_root`."""
    if not isinstance(value, dict) or value.keys() - {"name"} != {"keys"}:
        raise InvalidInput("bad_trust_root", "a holder has keys and perhaps a name")
    keys, name = value["keys"], value.get("name")
    if not isinstance(keys, list) or len(keys) != 2 or not ("name" not in value or isinstance(name, str)):
        raise InvalidInput("bad_trust_root", "a holder has two keys, and a name is text")
    classical, quantum = (key if isinstance(key, dict) else {} for key in keys)
    if classical.keys() != {"kty", "crv", "x", "y"} or quantum.keys() != {"kty", "alg", "pub"}:
        raise InvalidInput("bad_trust_root", "want an EC key and an AKP key (RFC 9964) without further members")
    try:
        (first, point), (second, lattice) = jose.parse_jwk(classical), jose.parse_jwk(quantum)
    except InvalidInput as error:
        raise InvalidInput("bad_trust_root", error.detail) from None
    if (first, second) != HOLDER_ALGORITHMS:
        raise InvalidInput("bad_trust_root", "want a P-256 key and an ML-DSA-65 key, in this order")
    return RootHolder(point, lattice, name)


def root_to_json(root: TrustRoot) -> dict[str, object]:
    """The `ecard-trust-root/2` form: what is pinned in a file."""
    content: dict[str, object] = {
        "format": ROOT_FORMAT,
        "version": root.version,
        "threshold": root.threshold,
        "holders": [holder_to_json(holder) for holder in root.holders],
    }
    if root.previous is not None:
        content["previous"] = root.previous
    return content


def root_from_json(value: object) -> TrustRoot:
    """Inverse of `root_to_json`: exactly these members. Raises `InvalidInput` `bad_trust_root`."""
    if not isinstance(value, dict) or value.keys() - {"previous"} != _ROOT_MEMBERS or value["format"] != ROOT_FORMAT:
        raise InvalidInput("bad_trust_root", "not an ecard-trust-root/2 object")
    holders, previous = value["holders"], value.get("previous")
    if not isinstance(holders, list) or len(holders) > MAX_HOLDERS:
        raise InvalidInput("bad_trust_root", "want a list of 1 to 16 holders")
    if "previous" in value and not isinstance(previous, str):
        raise InvalidInput("bad_trust_root", "previous is no text")
    return TrustRoot(
        tuple(holder_from_json(holder) for holder in holders),
        _whole(value, "threshold"),
        _whole(value, "version"),
        previous,
    )


def read_root(data: bytes) -> TrustRoot:
    """The trust root of a root file. Raises `InvalidInput` `bad_json` or `bad_trust_root`."""
    return root_from_json(jose.parse_json(data))


def _whole(members: Mapping[str, object], name: str) -> int:
    value = members[name]
    if type(value) is not int:
        raise InvalidInput("bad_trust_root", "threshold and version are whole numbers")
    return value


def _is_digest(text: str) -> bool:
    try:
        return len(jose.b64url_decode(text)) == 32
    except InvalidInput:
        return False
