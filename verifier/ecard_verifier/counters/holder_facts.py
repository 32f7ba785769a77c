"""What the issuer of a card says of its holder, masked, for as long as a code of the card is being shown.

A code carries no name. Its issuer is asked with the very code that was shown, which it judges anew: without a fresh
signature of the holder's device nobody learns anything, whoever they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol

import httpx2

from ecard_card import jose
from ecard_card.errors import InvalidInput, Unavailable
from ecard_verifier.purposes.masking import Mask
from ecard_verifier.purposes.purposes import Field

FACTS_PATH: Final = "/v1/holder-facts"
_TIMEOUT: Final = 3.0  # seconds
_MAX_ANSWER: Final = 8192
_LONGEST: Final = 200  # characters of one fact

#: For each field the masks that are wanted.
Wanted = Mapping[Field, Collection[Mask]]
#: For each field and mask what is shown; None where the issuer does not know it or does not tell it.
Facts = Mapping[Field, Mapping[Mask, str | None]]


class HolderFacts(Protocol):
    """Who can be asked about the holders of an issuer's cards."""

    def of(self, issuer: str, code: str, audience: str | None, wanted: Wanted, *, answers: str | None = None) -> Facts:
        """Exactly what is wanted. `audience` is what this verifier is called in the code, `answers` the challenge that
        it answers. Raises `Unavailable`
        `facts_unavailable` whatever the cause: then nothing is shown."""
        ...


class NoFacts:
    """Port `HolderFacts` where nobody can be asked: a verifier that works from a bundle."""

    def of(self, issuer: str, code: str, audience: str | None, wanted: Wanted, *, answers: str | None = None) -> Facts:
        """See the port."""
        raise Unavailable("facts_unavailable", "this verifier can ask no issuer about holders")


class HttpFacts:
    """Port `HolderFacts` over HTTP. `issuers` are, by their name in credentials, address and token of each feed."""

    def __init__(
        self, issuers: Mapping[str, tuple[str, str]], *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._issuers, self._transport = dict(issuers), transport

    def of(self, issuer: str, code: str, audience: str | None, wanted: Wanted, *, answers: str | None = None) -> Facts:
        """See the port."""
        if issuer not in self._issuers:
            raise Unavailable("facts_unavailable", "the issuer of this card is not followed")
        base, token = self._issuers[issuer]
        body = {
            "code": code,
            "audience": audience,
            "answers": answers,
            "facts": {field.value: sorted(masks) for field, masks in wanted.items()},
        }
        try:
            with httpx2.Client(timeout=_TIMEOUT, transport=self._transport, follow_redirects=False) as client:
                headers = {"Authorization": f"Bearer {token}"}
                answer = client.post(base.rstrip("/") + FACTS_PATH, json=body, headers=headers)
            content = jose.parse_json(answer.content, limit=_MAX_ANSWER)
        except (httpx2.HTTPError, InvalidInput):
            raise Unavailable("facts_unavailable", "the issuer did not answer") from None
        if answer.status_code != 200 or not isinstance(content, dict):
            raise Unavailable("facts_unavailable", f"the issuer answered {answer.status_code}")
        return read_facts(content.get("facts"), wanted)


def read_facts(content: object, wanted: Wanted) -> Facts:
    """What an issuer answered, if it is exactly what was wanted. Raises `Unavailable` `facts_unavailable`."""
    if not isinstance(content, dict) or content.keys() != {field.value for field in wanted}:
        raise Unavailable("facts_unavailable", "the issuer answered something else")
    found: dict[Field, dict[Mask, str | None]] = {}
    for field, masks in wanted.items():
        values = content[field.value]
        if not isinstance(values, dict) or values.keys() != {mask.value for mask in masks}:
            raise Unavailable("facts_unavailable", "the issuer answered something else")
        found[field] = {}
        for mask in masks:
            value = values[mask.value]
            if value is not None and not (isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()):
                raise Unavailable("facts_unavailable", "the issuer answered something else")
            found[field][mask] = value
    return found
