"""The device key: made on the holder's device, certified in the credential, signing every code that is shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import cwt, device_proof, jose, login_proof, sd_jwt
from ecard_card.credential import Unsigned
from ecard_card.errors import InvalidInput
from ecard_keys.signer import raw_low_s
from ecard_qr import frame, payload
from ecard_qr.challenge import Challenge

_ECDSA = ec.ECDSA(hashes.SHA256())


class DeviceKey:
    """A P-256 key and what it signs. On a phone the same verbs belong to its secure element.

    `random` gives the nonce of each code; it is a parameter for tests only.
    """

    def __init__(
        self, private: ec.EllipticCurvePrivateKey, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        if private.curve.name != "secp256r1":
            raise InvalidInput("bad_device_key", "a device key is a P-256 key")
        self._private = private
        self._random = random
        self.point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def generate(cls) -> DeviceKey:
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None = None) -> DeviceKey:
        """A key stored by `to_pem`. Raises `InvalidInput` `bad_device_key`."""
        try:
            private = serialization.load_pem_private_key(data, passphrase)
        except (ValueError, TypeError):
            raise InvalidInput("bad_device_key", "no such key in this PEM, or another passphrase") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise InvalidInput("bad_device_key", "a device key is a P-256 key")
        return cls(private)

    def to_pem(self, passphrase: bytes) -> bytes:
        """The key as PKCS #8, encrypted; never without a passphrase."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase),
        )

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK, to be sent with a request for a credential."""
        return jose.public_jwk(self.point[1:33], self.point[33:])

    def proof(self, issuer: str, enrolment_id: str, now: datetime) -> str:
        """A JWS that proves possession of this key to `issuer` for one enrolment."""
        return str(self._complete(device_proof.draft(issuer, enrolment_id, int(now.timestamp()))))

    def offline_code(
        self, credential: bytes, now: datetime, audience: str | None = None, *, challenge: Challenge | None = None
    ) -> str:
        """An `EC1:` code: whole, verifies without a network, lives 60 seconds. `credential` is the CWT form; with a
        `challenge` the code answers that one and is good nowhere else."""
        answered = None if challenge is None else challenge.digest
        draft = frame.draft_offline(credential, int(now.timestamp()), self._random(8), audience, challenge=answered)
        return payload.to_text(self._frame(draft), payload.Form.OFFLINE)

    def online_code(self, credential: bytes, now: datetime, *, challenge: Challenge | None = None) -> str:
        """An `EC0:` code: short, resolved by an online verifier, lives 60 seconds. `credential` is the CWT form; with a
        `challenge` the code answers that one and is good nowhere else."""
        credential_id = cwt.parse(credential).credential_id
        answered = None if challenge is None else challenge.digest
        draft = frame.draft_online(credential_id, int(now.timestamp()), self._random(8), challenge=answered)
        return payload.to_text(self._frame(draft), payload.Form.ONLINE)

    def present(self, credential: str, names: Collection[str], *, audience: str, nonce: str, now: datetime) -> str:
        """An SD-JWT presentation that discloses `names` only, bound to one verifier's `audience` and `nonce`."""
        presentation = sd_jwt.present(credential, names)
        draft = sd_jwt.key_binding_input(presentation, audience=audience, nonce=nonce, issued_at=int(now.timestamp()))
        return str(self._complete(draft))

    def login_proof(self, credential: bytes, client_id: str, request_id: str, number: str, now: datetime) -> str:
        """The holder's consent to one login at one site: `client_id` and `request_id` are those of the signed request,
        `number` is the one that the holder chose, `credential` the CWT form."""
        credential_id = cwt.parse(credential).credential_id
        return str(
            self._complete(login_proof.draft(client_id, request_id, number, credential_id, int(now.timestamp())))
        )

    def _complete(self, draft: Unsigned) -> str | bytes:
        return draft.complete(raw_low_s(self._private.sign(draft.signing_input, _ECDSA)))

    def _frame(self, draft: Unsigned) -> bytes:
        done = self._complete(draft)
        assert isinstance(done, bytes)  # noqa: S101 - frames are bytes
        return done
