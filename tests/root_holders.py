"""Root holders in memory, for tests: two real keys each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from ecard_card.algorithm import Algorithm
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.trust import trust_list
from ecard_keys.trust.root import RootHolder, TrustRoot
from ecard_keys.trust.root_signature import Pair
from ecard_keys.trust.trust_list import TrustListDraft
from ecard_keys.verify import PublicKey, load_public_key


class Holder:
    """One holder with both keys at hand."""

    def __init__(self, name: str | None = None) -> None:
        self.classical = EphemeralSigner()
        self.quantum = MLDSA65PrivateKey.generate()
        self.public = RootHolder(self.classical.public, self.quantum.public_key().public_bytes_raw(), name)

    def sign(self, inputs: Pair) -> Pair:
        """Both signatures over what `signing_inputs` gave."""
        return self.classical.sign(self.classical.key_id, [inputs[0]])[0], self.quantum.sign(inputs[1])


def without_ml_dsa(public: bytes, algorithm: Algorithm = Algorithm.ES256) -> PublicKey:
    """`load_public_key` as on a machine whose libcrypto does not know ML-DSA."""
    if algorithm is Algorithm.ML_DSA_65:
        raise UnsupportedAlgorithm("not here")
    return load_public_key(public)


def root_of(holders: Sequence[Holder], threshold: int = 2) -> TrustRoot:
    """The first root of these holders."""
    return TrustRoot(tuple(holder.public for holder in holders), threshold)


def pairs(draft: TrustListDraft, holders: Sequence[Holder]) -> Mapping[RootHolder, Pair]:
    """What `assemble` wants, from each of the holders."""
    return {holder.public: holder.sign(draft.signing_inputs(holder.public)) for holder in holders}


def sign_list(draft: TrustListDraft, holders: Sequence[Holder]) -> bytes:
    """The list's document, signed by these holders."""
    return trust_list.assemble(draft, pairs(draft, holders))
