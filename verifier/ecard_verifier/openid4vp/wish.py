"""What a service asks for, and what it gets to show to a holder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_verifier.purposes.masking import Mask
from ecard_verifier.purposes.purposes import Field


@dataclass(frozen=True, slots=True)
class Wish:
    """What a service asks for. `others` are names in the operator's file; `return_url` is a page of the service,
    `origins` those of its pages that ask a wallet through the browser (then nothing is fetched or posted here). With
    `facts` it is told these fields, masked, in the place of the claims."""

    purpose: str | None = None
    claims: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    transaction: Sequence[Mapping[str, object]] = ()
    minimum_assurance: ChipAssurance | None = None
    return_url: str | None = None
    origins: tuple[str, ...] = ()
    facts: Mapping[Field, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `InvalidInput` `bad_return_url`, `bad_origin`."""
        if self.return_url is not None and (self.origins or not _is_page(self.return_url)):
            raise InvalidInput("bad_return_url", "want an https address without fragment, and no origins beside it")
        if not all(map(_is_origin, self.origins)):
            raise InvalidInput("bad_origin", "an origin is https:// and a host")


@dataclass(frozen=True, slots=True)
class Opened:
    """A request as it was made. The links are secrets for as long as it is open; with `request`, which the browser
    carries, there are none."""

    presentation_id: str
    expires_at: datetime
    request_uri: str = ""
    openid_link: str = ""
    https_link: str = ""
    request: str | None = field(default=None, repr=False)


def _is_page(url: str) -> bool:
    return url.startswith("https://") and url.isascii() and url.isprintable() and "#" not in url and len(url) <= 1024


def _is_origin(origin: str) -> bool:
    host = origin.removeprefix("https://")
    return host not in ("", origin) and host.isascii() and host.isprintable() and not set(host) & set("/?#@ ")
