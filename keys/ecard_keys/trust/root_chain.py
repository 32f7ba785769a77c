"""The chain of trust roots: how a verifier that pinned an old root comes to the present one without being told anew.

Each root after the first is a document signed by the threshold of the root before it, so that nobody else can replace
it, and by every holder of its own, so that nobody stands in it whose keys are not at hand (proof of possession). Roots
do not expire: a verifier that was away for years walks the same way. After the root role of The Update Framework.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import ROOT_FORMAT, RootHolder, TrustRoot, root_from_json
from ecard_keys.trust.root_signature import (
    ROOT_TYPE,
    Pair,
    SignedDocument,
    assemble_signed,
    signers,
    signing_inputs,
    take_apart,
)

#: As many steps as one walk takes; a root changes a few times a year.
MAX_STEPS: Final = 1024


@dataclass(frozen=True, slots=True)
class RootDraft:
    """A root about to be signed by its predecessor's holders and its own."""

    root: TrustRoot

    def signing_inputs(self, holder: RootHolder) -> Pair:
        """What the holder signs by ES256 and what by ML-DSA-65 (RFC 7515 §5.1)."""
        return signing_inputs(holder, ROOT_TYPE, self.root.payload)


def assemble_root(unsigned: RootDraft, pairs: Mapping[RootHolder, Pair]) -> bytes:
    """The document. Each signature is verified first: `InvalidInput` `bad_root_signature`; `open_root` says whether
    they are enough."""
    return assemble_signed(ROOT_TYPE, unsigned.root.payload, pairs)


def open_root(document: bytes, known: TrustRoot) -> TrustRoot:
    """The root that comes directly after `known`.

    In this order, each refusal a `CheckFailed`:
    1 form and size: `root_malformed`;
    2 signatures of `known.threshold` holders of `known`, both keys of each: `root_undersigned`;
    3 payload: canonical, and a root: `root_malformed`;
    4 its version is the next one, and it names `known` as its predecessor: `root_unlinked`;
    5 signatures of all of its own holders: `root_undersigned`.
    `Unavailable` `algorithm_unavailable` where ML-DSA-65 cannot be computed.
    """
    try:
        taken = take_apart(document)
    except InvalidInput as error:
        raise CheckFailed("root_malformed", error.detail) from None
    if len(signers(taken, ROOT_TYPE, known.holders)) < known.threshold:
        raise CheckFailed("root_undersigned", "fewer holders of the root before it signed than its threshold")
    root = _read(taken)
    if root.version != known.version + 1 or root.previous != known.digest:
        raise CheckFailed("root_unlinked", "this root does not follow the one known")
    if signers(taken, ROOT_TYPE, root.holders) != frozenset(root.holders):
        raise CheckFailed("root_undersigned", "a holder of the new root did not sign it")
    return root


def walk_roots(pinned: TrustRoot, documents: Iterable[bytes]) -> TrustRoot:
    """The root at the end of `documents`, which are the versions after `pinned`, one by one and in order.

    Raises what `open_root` raises for the first that does not hold, and `CheckFailed` `root_malformed` for more than
    1024 steps.
    """
    root = pinned
    for steps, document in enumerate(documents):
        if steps == MAX_STEPS:
            raise CheckFailed("root_malformed", "a chain of more than 1024 roots")
        root = open_root(document, root)
    return root


def is_root_document(document: bytes) -> bool:
    """Whether a document says that it is a root (and not a trust list). Nothing of it is believed."""
    try:
        content = jose.parse_json(jose.b64url_decode(take_apart(document).payload))
    except InvalidInput:
        return False  # too long for a root, for one
    return isinstance(content, dict) and content.get("format") == ROOT_FORMAT


def _read(taken: SignedDocument) -> TrustRoot:
    try:
        payload = jose.b64url_decode(taken.payload)
        content = jose.parse_json(payload)
        if canonical_json(content) != payload:
            raise InvalidInput("bad_json", "not canonical")
        return root_from_json(content)
    except InvalidInput as error:
        raise CheckFailed("root_malformed", f"the payload does not hold: {error.detail}") from None
