"""The trust list: one signed document that tells every verifier which issuers and keys to believe.

A JWS in JSON General Serialization (RFC 7515 §7.2.1), signed by a threshold of root holders, each with two keys.
Versioned, expiring and linked to its predecessor, after the roles of The Update Framework: a stolen web server can
neither add a key, nor take one back (rollback), nor keep a victim on an old list for ever (freeze).
`docs/formats/trust-list.md` has the wire format; `trust_content` turns the payload into objects and back,
`root_signature` judges the signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.trust import content as trust_content
from ecard_keys.trust.content import IssuerEntry, TrustList, digest_of
from ecard_keys.trust.root import RootHolder, TrustRoot
from ecard_keys.trust.root_signature import (
    LIST_TYPE,
    MAX_DOCUMENT,
    Pair,
    SignedDocument,
    assemble_signed,
    signers,
    signing_inputs,
    take_apart,
)

SKEW = 60  # seconds by which clocks may differ
_ROOT_AT_END = re.compile(rb'"root":([0-9]{1,16}),"version":[0-9]{1,16}}\Z')

__all__ = [
    "MAX_DOCUMENT",
    "IssuerEntry",
    "TrustList",
    "TrustListDraft",
    "TrustRoot",
    "assemble",
    "draft",
    "open_trust_list",
]


@dataclass(frozen=True, slots=True)
class TrustListDraft:
    """A list about to be signed: the exact payload, and what each root holder signs."""

    payload: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.payload)

    def signing_inputs(self, holder: RootHolder) -> Pair:
        """What the holder signs by ES256 and what by ML-DSA-65 (RFC 7515 §5.1)."""
        return signing_inputs(holder, LIST_TYPE, self.payload)


def draft(trust_list: TrustList) -> TrustListDraft:
    """The canonical payload of a list, ready for its signers."""
    return TrustListDraft(trust_content.encode(trust_list))


def assemble(unsigned: TrustListDraft, pairs: Mapping[RootHolder, Pair]) -> bytes:
    """The document from each holder's raw signatures, ES256 (r||s) and ML-DSA-65.

    Each is verified first: `InvalidInput` `bad_root_signature`. Whether they are enough is for the reader to say.
    """
    return assemble_signed(LIST_TYPE, unsigned.payload, pairs)


def open_trust_list(document: bytes, root: TrustRoot, *, now: int | None, known: TrustList | None = None) -> TrustList:
    """Judge a document and return what it says. `now` is a NumericDate, `known` the newest list seen before.

    With `now` None the time is not judged: good for learning the version of a list kept from earlier, not for belief.

    In this order, each refusal a `CheckFailed`:
    1 form and size: `trust_malformed`;
    2 signatures of `root.threshold` distinct holders, both keys of each, before anything of the payload counts:
      `trust_undersigned`, or `trust_root_outdated` where it says that a newer root than ours signed it (unproven: a
      hint to ask for the chain of roots); `Unavailable` `algorithm_unavailable` where ML-DSA-65 cannot be computed;
    3 payload: `trust_malformed` (single odd issuers and keys are skipped and counted);
    4 root: `trust_root_outdated` under a newer root than ours, `trust_rolled_back` under an older one;
    5 time, 60 s of skew: `trust_not_yet_valid`, `trust_expired`;
    6 against `known`: older version, date or root `trust_rolled_back`; same version with other content, or the next
      version with another predecessor `trust_unlinked`. A gap of versions is allowed: a client that was away
      for a while has the threshold's word for the newest.
    """
    try:
        taken = take_apart(document)
    except InvalidInput as error:
        raise CheckFailed("trust_malformed", error.detail) from None
    if len(signers(taken, LIST_TYPE, root.holders)) < root.threshold:
        if _claimed_root(taken) > root.version:
            raise CheckFailed("trust_root_outdated", "the list says that a newer root signed it; ask for the chain")
        raise CheckFailed("trust_undersigned", "fewer root holders signed, with both keys, than the threshold")
    try:
        opened = trust_content.decode(jose.b64url_decode(taken.payload), limit=MAX_DOCUMENT)
    except InvalidInput as error:
        raise CheckFailed("trust_malformed", f"the payload does not hold: {error.detail}") from None
    if opened.root_version > root.version:
        raise CheckFailed("trust_root_outdated", "the list is under a newer root; ask for the chain of roots")
    if opened.root_version < root.version:
        raise CheckFailed("trust_rolled_back", "the list is under a root that has been replaced")
    if now is not None and opened.issued_at > now + SKEW:
        raise CheckFailed("trust_not_yet_valid", "the list is dated in the future; is the clock right?")
    if now is not None and now >= opened.expires_at + SKEW:
        raise CheckFailed("trust_expired", "the list has expired")
    if known is not None:
        follows(opened, known)
    return opened


def follows(opened: TrustList, known: TrustList) -> None:
    """Raise `CheckFailed` `trust_rolled_back` or `trust_unlinked` unless `opened` may come after, or is, `known`."""
    older = opened.version < known.version or opened.issued_at < known.issued_at
    if older or opened.root_version < known.root_version:
        raise CheckFailed("trust_rolled_back", "a newer list was seen before")
    if opened.version == known.version and opened.digest != known.digest:
        raise CheckFailed("trust_unlinked", "two different lists have this version")
    if opened.version == known.version + 1 and opened.previous != known.digest:
        raise CheckFailed("trust_unlinked", "the list does not follow the one known")


def _claimed_root(taken: SignedDocument) -> int:
    """The version of the root in a payload that nobody vouched for; 0 where it says nothing. Parses nothing: a
    stranger's four megabytes are not worth it."""
    try:
        found = _ROOT_AT_END.search(jose.b64url_decode(taken.payload)[-64:])
    except InvalidInput:
        return 0
    return int(found[1]) if found else 0
