"""A verifier that asks wallets, on a port, and a wallet in Python that can be told to lie in every place."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.jwk import ECKey

from ecard_card import disclosure, jose, sd_jwt
from ecard_keys.certified_keys import CertifiedKeys
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.signer import raw_low_s
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.callers import Caller, Role
from ecard_verifier.openid4vp.foreign_check import ForeignCheck
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.openid4vp.store import PresentationStore
from ecard_verifier.policy import Policy
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import Statuses
from ecard_verifier.trust_source import FixedTrust
from tests.world import World

BASE = "https://verifier.example"
TOKENS = {
    "c0unter": Caller("counter 7", Role.COUNTER),
    "0ther": Caller("counter 8", Role.COUNTER),
    "feed": Caller("feed", Role.VERIFIER),
}
ASKER = next(iter(TOKENS))
Json = dict[str, Any]


def now_seconds() -> int:
    return int(datetime.now(UTC).timestamp())


class P256:
    """A private key that is nobody's home."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def point(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @property
    def jwk(self) -> dict[str, str]:
        return jose.jwk_of(self.point)

    @property
    def private_jwk(self) -> dict[str, str]:
        scalar = self.private.private_numbers().private_value.to_bytes(32, "big")
        return {**self.jwk, "d": jose.b64url_encode(scalar)}

    def sign(self, message: bytes) -> bytes:
        return raw_low_s(self.private.sign(message, ec.ECDSA(hashes.SHA256())))

    def jws(self, header: Mapping[str, object], payload: Mapping[str, object]) -> str:
        signing_input = jose.compact_signing_input(header, payload)
        return f"{signing_input.decode()}.{jose.b64url_encode(self.sign(signing_input))}"


@dataclass
class Wallet:
    """A holder's key, the credential bound to it, and what it says about it."""

    credential: str
    key: P256 = field(default_factory=P256)

    def show(
        self, request: Json, names: tuple[str, ...] = ("name",), *, lies: Json | None = None, text: str | None = None
    ) -> str:
        """The answer to `request`; `lies` go over the key binding's claims, None takes one out."""
        shown = sd_jwt.present(self.credential, names) if text is None else text
        hashed = [disclosure.digest(item) for item in request.get("transaction_data", ())]
        claims: Json = {
            "iat": now_seconds(),
            "aud": request["client_id"],
            "nonce": request["nonce"],
            "sd_hash": disclosure.digest(shown),
            **({"transaction_data_hashes": hashed, "transaction_data_hashes_alg": "sha-256"} if hashed else {}),
            **(lies or {}),
        }
        said = {name: value for name, value in claims.items() if value is not None}
        return shown + self.key.jws({"alg": "ES256", "typ": "kb+jwt"}, said)


def encrypted(request: Json, content: object, *, to: object = None, **header: str) -> str:
    """A JWE to the key of the request, or `to` another."""
    key: Any = to or request["client_metadata"]["jwks"]["keys"][0]
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    protected = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key["kid"], **header}
    public = {name: value for name, value in key.items() if name in ("kty", "crv", "x", "y")}
    algorithms = [protected["alg"], protected["enc"], "DEF"]
    return str(jwe.encrypt_compact(protected, text, ECKey.import_key(public), algorithms=algorithms))


@dataclass
class Counter:
    """Whoever asks, over HTTP."""

    client: httpx2.Client
    base: str

    def ask(self, token: str = ASKER, **body: object) -> Json:
        answer = self.client.post("/v1/presentations", json=body, headers=bearer(token))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def fetch(self, opened: Json) -> Json:
        """The request object as a wallet believes it: signed by the certificate that the client id names."""
        answer = self.client.get(here(opened["request_uri"]))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
        return read_request(answer.text)

    def post(self, request: Json, **form: str) -> httpx2.Response:
        return self.client.post(here(request["response_uri"]), data=form)

    def answer(self, request: Json, text: str, credential: str = "ecard") -> httpx2.Response:
        content = {"vp_token": {credential: [text]}, "state": request["state"]}
        return self.post(request, response=encrypted(request, content))

    def result(self, opened: Json, token: str = ASKER) -> Json:
        answer = self.client.get(f"/v1/presentations/{opened['presentation_id']}", headers=bearer(token))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def verdict(self, opened: Json) -> tuple[str, str]:
        told = self.result(opened)
        return told["outcome"], told["reason"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def here(url: str) -> str:
    assert url.startswith(f"{BASE}/"), url
    return url.removeprefix(BASE)


def read_request(text: str) -> Json:
    head, body, tail = text.split(".")
    header = json.loads(jose.b64url_decode(head))
    assert header.keys() == {"alg", "typ", "x5c"}
    assert (header["alg"], header["typ"]) == ("ES256", "oauth-authz-req+jwt")
    der = base64.b64decode(header["x5c"][0])
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    assert verify(load_public_key(point), f"{head}.{body}".encode(), jose.b64url_decode(tail))
    payload: Json = json.loads(jose.b64url_decode(body))
    assert payload["client_id"] == f"x509_hash:{jose.b64url_encode(hashlib.sha256(der).digest())}"
    return payload


def make_keys(folder: Path, now: datetime | None = None) -> CertifiedKeys:
    """One key that signs, certified by itself."""
    now = now or datetime.now(UTC)
    keys = CertifiedKeys(EncryptedFile(folder / "request-keys.json", b"a passphrase for tests"))
    made = keys.create(now)
    keys.self_sign(made.key_id, name="测试商户", host="verifier.example", now=now, days=30)
    return keys


def make_presentations(
    world: World,
    keys: CertifiedKeys,
    statuses: Statuses | None = None,
    others: Mapping[str, ForeignCheck] | None = None,
    clock: Any = None,
    store: PresentationStore | None = None,
) -> tuple[Presentations, VerificationService]:
    trust = FixedTrust(world.trust())
    clock = clock or (lambda: datetime.now(UTC))
    service = VerificationService(trust, statuses or world.statuses(), None, ReplayGuard(), Policy(), clock)
    store = store or PresentationStore()
    return Presentations(service, trust, keys, store, others or {}, clock, base=BASE), service
