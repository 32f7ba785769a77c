"""The authority's half of sealed members."""

from __future__ import annotations

import json
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ecard_card import jose
from ecard_card.errors import EcardError
from ecard_sdk.testing.gate import Fault


class FakeEncryption:
    """One current key. `rotate` makes another and forgets the old one."""

    def __init__(self) -> None:
        self.turn = 0
        self.rotate()

    def rotate(self) -> None:
        """Another key, under another name."""
        self.turn += 1
        self._kid = f"enc-{self.turn}"
        self._key = ECKey.generate_key("P-256")

    def published(self) -> dict[str, object]:
        """The key set."""
        public: dict[str, Any] = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "enc", "alg": "ECDH-ES"}]}

    def opened(self, value: object) -> dict[str, Any]:
        """What was sealed together. Raises `Fault` 400."""
        wrong = Fault(400, "bad_sealed_data", "want a compact JWE to a published key")
        try:
            header = jose.parse_json(jose.b64url_decode(str(value).partition(".")[0]), limit=4096)
            if not isinstance(header, dict):
                raise wrong
            if header.get("kid") != self._kid:
                raise Fault(400, "bad_sealed_data", "kid names none of the published keys: read the key set again")
            sealed = jwe.decrypt_compact(str(value), self._key, algorithms=["ECDH-ES", "A256GCM"])
        except (JoseError, EcardError, ValueError, TypeError):
            raise wrong from None
        opened = json.loads(sealed.plaintext or b"null")
        if not isinstance(opened, dict):
            raise wrong
        return opened
