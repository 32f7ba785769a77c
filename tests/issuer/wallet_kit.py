"""A wallet for tests, over HTTP in process; and proven enrolments for desks to make offers of."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ecard_card import jose
from ecard_card.status import CardStatus
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.wallets.offers import PRE_AUTHORIZED
from ecard_issuer.web.models import NewCard
from tests.issuer.service import ORIGIN, Service

_serials = count(5000)
Json = dict[str, Any]


def proven(service: Service, serial: int | None = None) -> str:
    """A card, registered, whose chip has answered: the id of its enrolment."""
    serial = next(_serials) if serial is None else serial
    now = service.clock()
    issuer = service.issuer
    card = NewCard.model_validate(service.card_body(serial)).to_card()
    if not issuer.cards.cards_of(card.holder.id_number):
        issuer.cards.register(card, CardStatus.NORMAL, now)
    opened = issuer.enrolment.begin("desk 1", now)
    with InProcessReader(service.chip(serial)) as reader:
        reading = read_chip(reader)
        evidence = Evidence(reading, prove_chip(reader, reading, opened.challenge.digest()))
    return issuer.enrolment.complete(opened.enrolment_id, evidence, now).enrolment_id


@dataclass
class Key:
    """A P-256 key that signs what it is told to, right or wrong."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        return jose.public_jwk(numbers.x.to_bytes(32), numbers.y.to_bytes(32))

    @property
    def thumbprint(self) -> str:
        return jose.b64url_encode(jose.thumbprint(self.jwk))

    def jwt(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        signing_input = jose.compact_signing_input(header, claims)
        return f"{signing_input.decode()}.{jose.b64url_encode(self.signed(signing_input))}"

    def signed(self, message: bytes) -> bytes:
        """Raw r||s."""
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def key_proof(
    key: Key,
    nonce: str,
    now: datetime,
    *,
    header: Mapping[str, object] | None = None,
    claims: Mapping[str, object] | None = None,
) -> str:
    """A proof of possession; `header` and `claims` replace members, None takes one out."""
    head = {"alg": "ES256", "typ": "openid4vci-proof+jwt", "jwk": key.jwk} | dict(header or {})
    said = {"aud": ORIGIN, "iat": int(now.timestamp()), "nonce": nonce} | dict(claims or {})
    return key.jwt(*({name: value for name, value in part.items() if value is not None} for part in (head, said)))


def dpop_proof(
    key: Key, endpoint: str, now: datetime, *, token: str | None = None, claims: Mapping[str, object] | None = None
) -> str:
    """A DPoP proof for a POST to one of the wallet endpoints."""
    said: Json = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": f"{ORIGIN}/wallets/{endpoint}"}
    said["iat"] = int(now.timestamp())
    if token is not None:
        said["ath"] = jose.b64url_encode(hashlib.sha256(token.encode()).digest())
    return key.jwt({"alg": "ES256", "typ": "dpop+jwt", "jwk": key.jwk}, said | dict(claims or {}))


@dataclass
class Wallet:
    """Asks as a wallet does. With a `dpop` key each request carries a proof."""

    http: httpx2.Client
    now: Callable[[], datetime]
    dpop: Key | None = None
    client_id: str | None = None
    token: str = ""

    def take(self, offer: Json, *, tx_code: str | None = None, **form: str) -> httpx2.Response:
        """Redeem an offer's pre-authorized code; keeps the token."""
        grant = self.http.get(offer["credential_offer_uri"]).json()["grants"][PRE_AUTHORIZED]
        return self.redeem(
            {
                "grant_type": PRE_AUTHORIZED,
                "pre-authorized_code": grant["pre-authorized_code"],
                "tx_code": offer["tx_code"] if tx_code is None else tx_code,
            }
            | form
        )

    def redeem(self, form: Mapping[str, str]) -> httpx2.Response:
        answer = self.http.post("/wallets/token", data=dict(form), headers=self._proof("token", None))
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    def nonce(self) -> str:
        return str(self.http.post("/wallets/nonce").json()["c_nonce"])

    def request(self, *keys: Key, nonce: str | None = None, **body: object) -> httpx2.Response:
        """Ask for a credential for each key."""
        nonce = self.nonce() if nonce is None else nonce
        return self.ask(*(key_proof(key, nonce, self.now()) for key in keys), **body)

    def ask(self, *proofs: str, **body: object) -> httpx2.Response:
        asked = {"credential_configuration_id": "ecard_sd_jwt", "proofs": {"jwt": list(proofs)}} | body
        return self.post("credential", {name: value for name, value in asked.items() if value is not None})

    def post(self, endpoint: str, body: Mapping[str, object]) -> httpx2.Response:
        scheme = "Bearer" if self.dpop is None else "DPoP"
        headers = {"Authorization": f"{scheme} {self.token}", **self._proof(endpoint, self.token)}
        return self.http.post(f"/wallets/{endpoint}", json=dict(body), headers=headers)

    def _proof(self, endpoint: str, token: str | None) -> dict[str, str]:
        return {} if self.dpop is None else {"DPoP": dpop_proof(self.dpop, endpoint, self.now(), token=token)}
