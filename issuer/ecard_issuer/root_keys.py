"""The root keys that sign the trust list: in a home of their own, apart from every key that signs in daily business."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys import trust_content, trust_list
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey, KeyHome
from ecard_keys.trust_list import TrustList, TrustRoot

ROOT_KEYS: Final = 3
ROOT_THRESHOLD: Final = 2


class RootKeys:
    """Three root keys, two of which sign each trust list."""

    def __init__(self, home: KeyHome) -> None:
        self._home = home

    def open(self, now: datetime) -> None:
        """Make the root keys that are missing. One process at a time."""
        for _ in range(ROOT_KEYS - len(self._held())):
            self._home.create(KeyPurpose.TRUST, now)

    def root(self) -> TrustRoot:
        """What verifiers pin."""
        return TrustRoot(tuple(key.public for key in self._held()), ROOT_THRESHOLD)

    def sign(self, content: TrustList) -> bytes:
        """The document of a list, signed by as many root keys as the threshold demands."""
        draft = trust_list.draft(content)
        signatures = {
            key.public: self._home.sign(key.key_id, [draft.signing_input(key.public)])[0]
            for key in self._held()[:ROOT_THRESHOLD]
        }
        return trust_list.assemble(draft, signatures)

    def read(self, document: bytes) -> TrustList:
        """Our own list, whatever its age: an expired one must be readable, or its successor could not be published.

        Raises `CheckFailed` when the roots did not sign it: somebody wrote to the register behind our back.
        """
        try:
            outer = jose.parse_json(document, limit=trust_list.MAX_DOCUMENT)
            payload = jose.b64url_decode(outer["payload"]) if isinstance(outer, dict) else b""
            dated = trust_content.decode(payload, limit=trust_list.MAX_DOCUMENT).issued_at
        except (InvalidInput, KeyError, TypeError):
            raise CheckFailed("trust_malformed", "the stored trust list cannot be read") from None
        return trust_list.open_trust_list(document, self.root(), now=dated)

    def _held(self) -> list[HeldKey]:
        held = self._home.held()
        return [key for key in held if key.purpose is KeyPurpose.TRUST][:ROOT_KEYS]
