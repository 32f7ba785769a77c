"""What a relying service may ask for: pure rules over what it was registered with and what was shown."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

from ecard_card import jose
from ecard_card.acting import IN_PERSON, Acting
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_card.region import covers
from ecard_issuer.relying.claims import Claim
from ecard_issuer.relying.services import RelyingService


@dataclass(frozen=True, slots=True)
class Ask:
    """What a service asks for once. `request_id` is its own, and makes a repetition harmless.

    One of `code` (what the holder shows), `reading_id` (a proof of the chip made for this service) and `login_id` (the
    `jti` of an ID token that this service got a moment ago). `answers` is the challenge that the code has to answer.
    """

    request_id: str
    line: int
    business_type: str
    claims: tuple[Claim, ...] = ()
    code: str | None = field(default=None, repr=False)
    reading_id: str | None = None
    login_id: str | None = None
    pin: str | None = field(default=None, repr=False)
    acting: Acting = IN_PERSON
    answers: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.code, self.reading_id, self.login_id).count(None) != 2:
            raise InvalidInput("bad_relying_request", "give exactly one of code, reading_id and login_id")
        if len(set(self.claims)) != len(self.claims):
            raise InvalidInput("bad_relying_request", "a claim twice")


def request_hash(service: RelyingService, ask: Ask, presented: str) -> str:
    """What a repetition must have in common with the first request. `presented` names what was shown."""
    facts = [service.service_id, ask.request_id, ask.line, ask.business_type, sorted(ask.claims), presented]
    return hashlib.sha256(jose.dump_json(facts)).hexdigest()


def require_within(service: RelyingService, line: int, business_type: str, claims: Collection[Claim]) -> None:
    """Raises `RuleViolation` `line_not_served`, `business_type_not_permitted`, `claim_not_permitted`."""
    if line not in service.lines:
        raise RuleViolation("line_not_served", "the service was not registered for this line of the catalogue")
    if business_type not in service.business_types:
        raise RuleViolation("business_type_not_permitted", "the service was not registered for this business type")
    if not set(claims) <= set(service.claims):
        raise RuleViolation("claim_not_permitted", "the service was not registered for one of these claims")


def require_region(service: RelyingService, region: str) -> None:
    """Raises `RuleViolation` `service_region_differs`."""
    if not covers(service.region, region):
        raise RuleViolation("service_region_differs", "the service may not ask about cards of this region")


def require_level(least: int, level: int) -> None:
    """Raises `RuleViolation` `level_too_low`."""
    if level < least:
        raise RuleViolation("level_too_low", "the e-card is not opened for payment")
