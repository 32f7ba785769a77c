"""Which keys of a trust list are keys of our own registers, compared by their public halves and not by their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from ecard_issuer.ports import Keys
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.trust_list import IssuerEntry, TrustList

_PURPOSES: Final = tuple(purpose.value for purpose in KeyPurpose)

#: A key as the register names it: purpose and kid.
KeyName = tuple[str, str]


def own_keys(register: Keys, content: TrustList, published: Collection[KeyName]) -> set[KeyName]:
    """Those of the published keys that this register holds; one of the same name elsewhere is another key."""
    named = {record.public for entry in content.issuers for record in entry.keys}
    rows = register.list_keys(_PURPOSES)
    return {(row.purpose, row.kid) for row in rows if row.public in named} & set(published)


def names_our_key(entry: IssuerEntry, registers: Sequence[Keys]) -> bool:
    """Whether an entry names a key of one of our registers. In somebody else's entry none has any business."""
    public = {record.public for record in entry.keys}
    return any(row.public in public for register in registers for row in register.list_keys(_PURPOSES))


def names_foreign_key(
    entry: IssuerEntry, known: Iterable[IssuerEntry | None], registers: Sequence[Keys], *, hosted: bool
) -> bool:
    """Whether an entry of an issuer of ours names a key that is not in its register.

    Its register is the one that holds a key of any entry in `known` (this one, the one before). Where there is none it
    is somebody else's issuer, unless we know that it is `hosted` here.
    """
    public = {record.public for listed in known if listed is not None for record in listed.keys}
    for register in registers:
        rows = register.list_keys(_PURPOSES)
        if any(row.public in public for row in rows):
            own = {(row.purpose, row.kid, row.public) for row in rows}
            return any((record.purpose.value, record.kid, record.public) not in own for record in entry.keys)
    return hosted and bool(entry.keys)
