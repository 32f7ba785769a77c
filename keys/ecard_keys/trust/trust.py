"""Whom a verifier believes right now: the keys of a trust list, loaded once and found by kid and purpose.

Built when a new list arrives; a lookup during a check is one dictionary access, however many keys are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.key import UNPUBLISHED, KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import overlapping
from ecard_keys.trust.trust_list import SKEW, IssuerEntry, TrustList
from ecard_keys.verify import PublicKey, load_public_key

#: What signs documents of issuers; ML-DSA-65 is for root keys, which no list names.
_ALGORITHMS: Final = frozenset({Algorithm.ES256, Algorithm.SM2})


@dataclass(frozen=True, slots=True)
class DeniedKey:
    """A key that its issuer reported as stolen before any list could say so.

    `thumbprint` is the SHA-256 of RFC 7638 (32 bytes); what the key signed after `cut_off` (NumericDate) is refused,
    and with None or 0 all that it ever signed.
    """

    thumbprint: bytes
    cut_off: int | None


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A loaded key, what the list says of it, and whose it is."""

    record: KeyRecord
    issuer: IssuerEntry
    key: PublicKey | None  # None: this machine cannot compute its algorithm
    listed_at: int  # when the list that says so was made

    def loaded(self) -> PublicKey:
        """The key. Raises `Unavailable` `algorithm_unavailable`: then nobody here can say what a signature is worth."""
        if self.key is None:
            raise Unavailable("algorithm_unavailable", "this machine cannot compute the algorithm of that key")
        return self.key

    def accepts(self, signed_at: int) -> str | None:
        """None if a signature dated `signed_at` (NumericDate) may stand, else the reason code that refuses it.

        `key_compromised`: dated after the cut-off, or no cut-off is known (a thief writes dates too, so a cut-off
        is set only where another record proves what was signed before it);
        `key_retired`: the key is retired, or the date lies after `retired_from`;
        `key_not_active`: the date lies before `not_before`, or before a list that had the key only announced. Dated
        after that list, the signature stands: the list cannot know of a promotion since, and a key is announced
        early so that verifiers with an old list go on.
        Dates of rotation have 60 s of skew, the cut-off of a theft has none.
        """
        record = self.record
        state = record.state
        cut_off = record.compromised_from
        if (state is KeyState.COMPROMISED or cut_off is not None) and (not cut_off or signed_at > cut_off):
            return "key_compromised"
        if state is KeyState.RETIRED:
            return "key_retired"
        earliest = max(record.not_before, self.listed_at) if state is KeyState.NEXT else record.not_before
        if signed_at + SKEW < earliest:
            return "key_not_active"
        if record.retired_from is not None and signed_at > record.retired_from + SKEW:
            return "key_retired"
        return None


class Trust:
    """The trust list as `check` uses it, and the keys denied since. Immutable; a newer list makes a new object.

    `skipped` counts entries that could not be used: those of the list, and keys that are no point of their curve.
    """

    def __init__(self, trust_list: TrustList, denied: Collection[DeniedKey] = ()) -> None:
        self._list = trust_list
        self.denied = tuple(denied)
        self.version = trust_list.version
        self.issued_at = trust_list.issued_at
        self.expires_at = trust_list.expires_at
        self.issuers = trust_list.issuers
        self.skipped = trust_list.skipped
        found: dict[tuple[str, KeyPurpose], list[TrustedKey]] = {}
        listed = Counter(record.public for entry in trust_list.issuers for record in entry.keys)
        crossed = overlapping([entry.status_uri for entry in trust_list.issuers])
        for place, entry in enumerate(trust_list.issuers):
            if place in crossed:
                self.skipped += len(entry.keys)  # nobody could say whose status list is meant
                continue
            for record in entry.keys:
                if listed[record.public] > 1:
                    self.skipped += 1  # a key has one owner, one purpose and one state; of this one we know none
                    continue
                try:
                    key = _load(record)
                except InvalidInput:
                    self.skipped += 1  # one odd key never hides the others
                    continue
                found.setdefault((record.kid, record.purpose), []).append(
                    TrustedKey(_restricted(record, self.denied), entry, key, trust_list.issued_at)
                )
        self._keys = {name: tuple(keys) for name, keys in found.items()}

    @classmethod
    def of(cls, trust_list: TrustList, denied: Collection[DeniedKey] = ()) -> Trust:
        """Trust in what an opened list says, less the `denied` keys: each counts as compromised from its cut-off, and
        of list and denial the stricter word holds."""
        return cls(trust_list, denied)

    def denying(self, more: Collection[DeniedKey]) -> Trust:
        """The same trust, less these keys too. Denials never give anything back: they only add up."""
        new = [key for key in more if key not in self.denied]
        return Trust(self._list, (*self.denied, *new)) if new else self

    def candidates(self, kid: str, purpose: KeyPurpose) -> Sequence[TrustedKey]:
        """Every key of that kid and purpose, whatever its state, so that a refusal can say why; often one, maybe none.

        Two keys may share a kid: try all, and let `TrustedKey.accepts` judge the one whose signature holds.
        """
        return self._keys.get((kid, purpose), ())


def _load(record: KeyRecord) -> PublicKey | None:
    """The key, or None where this machine cannot compute its algorithm. Raises `InvalidInput` for a key of no use."""
    if record.algorithm not in _ALGORITHMS or record.state in UNPUBLISHED:
        raise InvalidInput("bad_public_key", "an algorithm unknown here, or a state that no list may say")
    try:
        return load_public_key(record.public, record.algorithm, record.user_id)
    except Unavailable:
        return None


def _restricted(record: KeyRecord, denied: Collection[DeniedKey]) -> KeyRecord:
    """`record` as the stricter of the list and all denials of this key has it."""
    if not denied:
        return record
    thumbprint = jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm)))
    cut_offs = [key.cut_off for key in denied if key.thumbprint == thumbprint]
    if not cut_offs:
        return record
    if record.state is KeyState.COMPROMISED or record.compromised_from is not None:
        cut_offs.append(record.compromised_from)
    # None and 0 both mean that nothing it signed stands; 0 is the lowest of all. The state stays: what the list
    # refuses of a key that is retired, or only announced, it refuses still.
    return replace(record, compromised_from=min(moment or 0 for moment in cut_offs))
