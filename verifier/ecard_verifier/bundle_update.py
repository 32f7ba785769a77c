"""Bringing an offline bundle up to date: with the deltas since, or where they do not lead on from it, with a whole new
one that opens under the pinned root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Protocol

from ecard_card import status_delta
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.trust.root import TrustRoot
from ecard_verifier.bundle import MAX_DELTAS, extend_bundle, open_bundle
from ecard_verifier.status_deltas import Place

#: What a new bundle mends; anything else that is refused is refused.
OUTGROWN: Final = frozenset({"status_delta_gone", "bundle_full", "unknown_key", "key_not_active", "delta_gap"})


class PublishedSource(Protocol):
    """An issuer's public routes; `ecard_verifier.http_published` has what they raise."""

    def deltas_from(self, position: int) -> list[str]: ...

    def deltas_since(self, number: int) -> list[str]: ...

    def bundle(self) -> bytes: ...


def update_bundle(
    data: bytes,
    source_of: Callable[[str], PublishedSource],
    clock: Callable[[], datetime],
    root: TrustRoot | None = None,
    *,
    whole: bool = False,
) -> tuple[bytes, bool]:
    """The newer bundle, and whether it is a whole new one. `source_of` an issuer's name gives where to ask.

    `whole` asks for a new one from the start. Raises what opening and fetching raise, `InvalidInput` `root_needed`
    (a new bundle is taken under a pinned root only), `CheckFailed` `bundle_older`.
    """
    bundle = open_bundle(data, clock(), root)
    places = bundle.statuses.places()
    if places and not whole:
        try:
            for issuer, place in places.items():
                deltas = list(missing_deltas(source_of(issuer), place))
                data = extend_bundle(data, deltas, clock(), root)
            return data, False
        except EcardError as error:
            if error.code not in OUTGROWN:
                raise
    if root is None:
        raise InvalidInput("root_needed", "only a whole new bundle leads on from this one; pin a root for it")
    issuer = next(iter(places), bundle.trust.issuers[0].issuer)
    newer = source_of(issuer).bundle()
    if open_bundle(newer, clock(), root).made_at < bundle.made_at:
        raise CheckFailed("bundle_older", "the issuer gave an older bundle than the one at hand")
    return newer, True


def missing_deltas(source: PublishedSource, place: Place) -> Iterator[str]:
    """The deltas after `place`, page by page, and not more than a bundle holds. Raises what the source raises, and
    `InvalidInput` `bundle_full`."""
    page = source.deltas_since(place.number) if place.number else source.deltas_from(place.position)
    taken = 0
    while page:
        taken += len(page)
        if taken > MAX_DELTAS:
            raise InvalidInput("bundle_full", "more deltas than a bundle holds")
        yield from page
        page = source.deltas_since(status_delta.sealed(page[-1]).open().number)
