"""The root keys of the embedded default: all holders in one file on this machine, apart from every key that signs in
daily business. An authority in earnest keeps them offline and has none of this: `docs/formats/ceremony.md`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecard_keys.trust import trust_list
from ecard_keys.trust.root import RootHolder, TrustRoot
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.trust_list import TrustList

ROOT_HOLDERS: Final = 3
ROOT_THRESHOLD: Final = 2


class RootKeys:
    """Three holders, two of whom sign each trust list."""

    def __init__(self, home: RootHome) -> None:
        self._home = home

    def open(self, now: datetime) -> None:
        """Make the keys that are missing. One process at a time."""
        self._home.make(ROOT_HOLDERS, now)

    def root(self) -> TrustRoot:
        """The root these keys started with, version 1: what verifiers pin."""
        return TrustRoot(self._home.holders(), ROOT_THRESHOLD)

    def of(self, root: TrustRoot) -> tuple[RootHolder, ...]:
        """Those of the root's holders whose keys are here."""
        return tuple(holder for holder in root.holders if holder in self._home.holders())

    def sign(self, content: TrustList, root: TrustRoot) -> bytes:
        """The document of a list, signed by as many of the root's holders as its threshold demands.

        A `root` without enough of these holders leaves the list undersigned, and readers refuse it.
        """
        draft = trust_list.draft(content)
        return trust_list.assemble(
            draft,
            {
                holder: self._home.sign(holder, draft.signing_inputs(holder))
                for holder in self.of(root)[: root.threshold]
            },
        )
