"""Several feeds at once: one mirror per followed issuer, asked as one; status lists for issuers that are not followed.

Every reading keeps its own issuer's age: one silent feed makes nobody else's cards doubtful, and a lively one nobody
else's certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ecard_card.errors import CheckFailed, Unavailable
from ecard_keys.status_uri import belongs_to
from ecard_verifier.mirror import Mirror
from ecard_verifier.statuses import Statuses, StatusReading


class Mirrors:
    """`Statuses`, `CredentialSource` and `Dated` over `mirrors`; `others` answers where no mirror can."""

    def __init__(self, mirrors: Sequence[Mirror], others: Statuses | None = None) -> None:
        self._mirrors = tuple(mirrors)
        self._others = others

    def __iter__(self) -> Iterator[Mirror]:
        return iter(self._mirrors)

    @property
    def as_of(self) -> int | None:
        """As of when all followed feeds are known: the oldest of them, None where one was never heard."""
        times = [mirror.as_of for mirror in self._mirrors]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def read(self, uri: str, index: int) -> StatusReading:
        """See `Statuses.read`. A mirror that has not caught up is no answer, and may be replaced by a signed list."""
        for mirror in self._mirrors:
            if belongs_to(uri, mirror.template) and mirror.as_of is not None:
                return mirror.read(uri, index)
        if self._others is not None:
            return self._others.read(uri, index)
        raise CheckFailed("status_unknown", "no feed that is followed speaks of this list")

    def get(self, credential_id: bytes, /) -> bytes | None:
        """See `CredentialSource.get`. Raises `CheckFailed` `mirror_behind` unless every mirror that has not got it is
        live, and `Unavailable` `credential_ambiguous` where two issuers claim the reference."""
        found, behind = set[bytes](), None
        for mirror in self._mirrors:
            try:
                data = mirror.get(credential_id)
            except CheckFailed as error:
                behind = error
                continue
            if data is not None:
                found.add(data)
        if len(found) > 1:
            raise Unavailable("credential_ambiguous", "two issuers have a credential of this reference")
        if not found and behind is not None:
            raise behind
        return found.pop() if found else None

    def close(self) -> None:
        """Give all files back."""
        for mirror in self._mirrors:
            mirror.close()
