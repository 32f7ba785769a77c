"""An identity-proofing service that looks at nobody: at a test issuer it says of each magic person that it is them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ecard_card.card import IdNumber
from ecard_issuer.links.identity_statement import TYPE, subject_hash
from ecard_issuer.links.providers import IdentityProvider, IdentityProviders
from ecard_issuer.testmode.derived_keys import derived_key
from ecard_issuer.testmode.people import MagicPerson
from ecard_keys.client_signer import ClientSigner
from ecard_keys.protect import Protector

PROVIDER: Final = "https://identity.test.invalid"
METHOD: Final = "face"
_LIFE: Final = 300  # seconds
_KID: Final = "test"


class TestIdentity:
    """The service, with a key of its own. `issuer` is whom its statements are for."""

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, protector: Protector, issuer: str, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._signer = ClientSigner(derived_key(protector, "identity"), _KID)
        self._issuer, self._random = issuer, random

    def register(self, providers: IdentityProviders, now: datetime) -> None:
        """Have the issuer believe it. Registered before, it stays so. Raises what `IdentityProviders.save` raises."""
        key = {**self._signer.bare_jwk, "kid": _KID}
        providers.save(IdentityProvider(PROVIDER, "Test identity service", (METHOD,), (key,)), "test mode", now)

    def statement(self, person: MagicPerson, nonce: str, now: datetime) -> str:
        """That this person was looked at, for the claim of that nonce."""
        issued = int(now.timestamp())
        claims = {
            "iss": PROVIDER,
            "aud": self._issuer,
            "nonce": nonce,
            "jti": self._random(16).hex(),
            "iat": issued,
            "exp": issued + _LIFE,
            "method": METHOD,
            "sub_hash": subject_hash(nonce, IdNumber(person.id_number)),
        }
        return self._signer.jwt({"typ": TYPE, "kid": _KID}, claims)
