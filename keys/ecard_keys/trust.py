"""Whom a verifier believes right now: the keys of a trust list, loaded once and found by kid and purpose.

Built when a new list arrives; a lookup during a check is one dictionary access, however many keys are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card.errors import InvalidInput
from ecard_keys.key import ES256, KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import overlap
from ecard_keys.trust_list import SKEW, IssuerEntry, TrustList
from ecard_keys.verify import load_public_key


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A loaded key, what the list says of it, and whose it is."""

    record: KeyRecord
    issuer: IssuerEntry
    key: ec.EllipticCurvePublicKey
    listed_at: int  # when the list that says so was made

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
    """The trust list as `check` uses it. Immutable; a newer list makes a new object.

    `skipped` counts entries that could not be used: those of the list, and keys that are no point of P-256.
    """

    def __init__(self, trust_list: TrustList) -> None:
        self.version = trust_list.version
        self.issued_at = trust_list.issued_at
        self.expires_at = trust_list.expires_at
        self.issuers = trust_list.issuers
        self.skipped = trust_list.skipped
        found: dict[tuple[str, KeyPurpose], list[TrustedKey]] = {}
        listed = Counter(record.public for entry in trust_list.issuers for record in entry.keys)
        for entry in trust_list.issuers:
            if any(other is not entry and overlap(entry.status_uri, other.status_uri) for other in trust_list.issuers):
                self.skipped += len(entry.keys)  # nobody could say whose status list is meant
                continue
            for record in entry.keys:
                if listed[record.public] > 1:
                    self.skipped += 1  # a key has one owner, one purpose and one state; of this one we know none
                    continue
                try:
                    if record.algorithm != ES256:
                        raise InvalidInput("bad_public_key", "an algorithm unknown here")
                    key = load_public_key(record.public)
                except InvalidInput:
                    self.skipped += 1  # one odd key never hides the others
                    continue
                found.setdefault((record.kid, record.purpose), []).append(
                    TrustedKey(record, entry, key, trust_list.issued_at)
                )
        self._keys = {name: tuple(keys) for name, keys in found.items()}

    @classmethod
    def of(cls, trust_list: TrustList) -> Trust:
        """Trust in what an opened list says."""
        return cls(trust_list)

    def candidates(self, kid: str, purpose: KeyPurpose) -> Sequence[TrustedKey]:
        """Every key of that kid and purpose, whatever its state, so that a refusal can say why; often one, maybe none.

        Two keys may share a kid: try all, and let `TrustedKey.accepts` judge the one whose signature holds.
        """
        return self._keys.get((kid, purpose), ())
