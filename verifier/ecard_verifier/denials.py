"""Whose a denied key is: an issuer can take trust from its own keys, and from nobody else's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.key import KeyRecord
from ecard_keys.trust.trust import DeniedKey
from ecard_keys.trust.trust_list import IssuerEntry


class Denials:
    """The keys that issuers have denied, by issuer. They only add up; of two words on one key the stricter stands.

    Not safe from several threads: its owner has a lock.
    """

    def __init__(self) -> None:
        self._cut_offs: dict[tuple[str, bytes], int] = {}

    def add(self, issuer: str, keys: Collection[DeniedKey]) -> bool:
        """Take over what `issuer` says of its keys. False if it said nothing new."""
        stricter = False
        for key in keys:
            name, cut_off = (issuer, key.thumbprint), key.cut_off or 0  # 0: nothing it ever signed
            if cut_off < self._cut_offs.get(name, cut_off + 1):
                self._cut_offs[name] = cut_off
                stricter = True
        return stricter

    def against(self, issuers: Sequence[IssuerEntry]) -> tuple[DeniedKey, ...]:
        """Those that mean a key in their own issuer's entry. One that no list names yet is kept and does nothing."""
        if not self._cut_offs:
            return ()
        found = []
        for entry in issuers:
            for thumbprint in thumbprints(entry):
                cut_off = self._cut_offs.get((entry.issuer, thumbprint))
                if cut_off is not None:
                    found.append(DeniedKey(thumbprint, cut_off or None))
        return tuple(found)


def foreign(thumbprint: bytes, issuer: str, issuers: Sequence[IssuerEntry]) -> bool:
    """Whether the key of this thumbprint stands in the entry of another issuer, and not in that of `issuer`."""
    owners = {entry.issuer for entry in issuers if thumbprint in thumbprints(entry)}
    return bool(owners) and issuer not in owners


def thumbprints(entry: IssuerEntry) -> Mapping[bytes, KeyRecord]:
    """An issuer's keys by their RFC 7638 thumbprints; those of algorithms unknown here are left out."""
    known = {}
    for record in entry.keys:
        try:
            known[jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm)))] = record
        except (InvalidInput, ValueError):
            continue
    return known
