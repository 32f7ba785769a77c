"""Scopes of a login: which of a service's claims each stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from ecard_issuer.relying.claims import Claim


class LoginScope(StrEnum):
    """What a site may ask for. `openid` alone tells who came back, and nothing about them."""

    OPENID = "openid"
    PROFILE = "profile"
    ID_NUMBER = "id_number"
    CARD = "card"


_CLAIMS: Final[Mapping[LoginScope, tuple[Claim, ...]]] = {
    LoginScope.OPENID: (),
    LoginScope.PROFILE: (
        Claim.NAME,
        Claim.NAME_MASKED,
        Claim.BIRTHDATE,
        Claim.AGE_OVER_16,
        Claim.AGE_OVER_18,
        Claim.AGE_OVER_60,
    ),
    LoginScope.ID_NUMBER: (Claim.ID_NUMBER, Claim.ID_NUMBER_MASKED),
    LoginScope.CARD: (Claim.CARD_NUMBER, Claim.CARD_NUMBER_MASKED, Claim.EXPIRY_DATE, Claim.REGION),
}
#: All that a login can tell: never a bank account.
LOGIN_CLAIMS: Final = tuple(claim for claims in _CLAIMS.values() for claim in claims)


def claims_of(scopes: Collection[str], permitted: Collection[Claim]) -> tuple[Claim, ...]:
    """The claims of `scopes` that the service was registered for."""
    return tuple(claim for scope in LoginScope if scope in scopes for claim in _CLAIMS[scope] if claim in permitted)
