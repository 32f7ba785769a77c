"""Who was told what about a person, on that person's record: relying services that asked, and counters that looked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ecard_issuer.people import People, Seal
from ecard_issuer.relying.catalogue import catalogue
from ecard_issuer.relying.records import AccessRow, RelyingStore
from ecard_issuer.rows import HolderRow
from ecard_verifier.verdict import rfc3339

#: How a counter came to look: at a code that the holder showed there.
_SHOWN: Final = "shown-code"


def sealed_access(
    holder_ref: str, access_id: str, request_hash: str, said: Mapping[str, object], seal: Seal, now: datetime
) -> AccessRow:
    """A row of the record; what it says opens with the person's data key alone."""
    text = json.dumps(said, ensure_ascii=False).encode()
    return AccessRow(holder_ref, access_id, request_hash, seal.seal(text, _context(holder_ref, access_id)), now)


class Looks:
    """Counters' looks at a holder."""

    def __init__(self, store: RelyingStore, people: People) -> None:
        self._store, self._people = store, people

    def note(
        self,
        holder_ref: str,
        verifier: str,
        counter: str | None,
        told: Mapping[str, Sequence[str]],
        code: str,
        now: datetime,
    ) -> None:
        """Put down that `verifier` was told these facts, each under these masks, for a code that was shown at `counter`
        (what it is called in codes; None if it has no such name). The same look at the same code again stands once.

        Raises `Unavailable` `register_unavailable`: then nothing may be told.
        """
        facts = {name: sorted(masks) for name, masks in sorted(told.items())}
        said = {"verifier": verifier, "counter": counter, "facts": facts, "way": _SHOWN, "outcome": "permitted"}
        look = hashlib.sha256(json.dumps([said, code], ensure_ascii=False, sort_keys=True).encode()).hexdigest()
        seal = self._people.seal_of(self._people.get(holder_ref))
        self._store.note(sealed_access(holder_ref, look[:32], look, said, seal, now))


class AccessData:
    """`SubjectData`: who asked about a person, for what, when, and what came of it."""

    section = "accesses"

    def __init__(self, store: RelyingStore) -> None:
        self._store = store

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`. Oldest first; standing permissions come last."""
        told: list[Mapping[str, object]] = []
        for row in self._store.accesses_of(holder.holder_ref):
            said = json.loads(seal.open(row.sealed, _context(holder.holder_ref, row.access_id)))
            business = {"business": catalogue().names_of(said["line"])} if "line" in said else {}
            told.append({"access_id": row.access_id, "at": rfc3339(row.at), **business, **said})
        told.extend(
            {"service": row.service_id, "standing_permission_until": rfc3339(row.until)}
            for row in self._store.subjects_of(holder.holder_ref)
        )
        return told


def _context(holder_ref: str, access_id: str) -> str:
    return f"access/{holder_ref}/{access_id}"
