"""A released wallet library claims an e-card over HTTP on a real port, several keys at once, by both flows; a released
verifier accepts what it got, with its status list, and no longer once the card is lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from openvc.status import CredentialSuspended, verify_status_list_token
from openvc.type_metadata import validate_type_metadata
from openvc.verify import VerificationPolicy, verify_credential

from ecard_card import jose, sd_jwt
from ecard_card.credential import card_type
from ecard_card.status import CardChange
from ecard_issuer.cli.connections import listening
from ecard_issuer.publishing.publisher import public_jwk
from ecard_issuer.web.app import create_app
from ecard_keys.key import KeyPurpose
from ecard_verifier.callers import Role
from tests.issuer.service import ORIGIN, Clock, Service, open_service
from tests.issuer.wallet_kit import Key, proven
from tests.require import needs_node
from tests.verifier.http_kit import serving_thread

NODE = Path(__file__).parents[2] / "node"
KEYS = 4


class Now(Clock):
    """The machine's own: the other side has no other."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class Place:
    """A service on a port, and whoever asks it by its public name."""

    service: Service
    base: str
    operator: dict[str, str]

    def fetch(self, url: str) -> httpx2.Response:
        assert url.startswith(f"{ORIGIN}/"), url
        return httpx2.get(self.base + url.removeprefix(ORIGIN))

    def status_key(self, kid: str) -> dict[str, str]:
        """As the trust list has it: only there do the keys of statuses stand."""
        (key,) = (record for record in self.service.issuer.keys.records() if record.kid == kid)
        assert key.purpose is KeyPurpose.STATUS
        return public_jwk(key)

    def offer(self) -> tuple[str, dict[str, Any]]:
        enrolment_id = proven(self.service)
        url = f"{self.base}/v1/enrolments/{enrolment_id}/offers"
        return enrolment_id, dict(httpx2.post(url, json={}, headers=self.operator).json())

    def wallet(self, node: str, **asked: object) -> dict[str, Any]:
        """What the library's wallet got."""
        given = {"origin": ORIGIN, "base": self.base, "keys": KEYS, **asked}
        done = subprocess.run(
            [node, "wallet.mjs"],
            input=json.dumps(given),
            capture_output=True,
            check=False,
            cwd=NODE,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout))

    def accepts(self, presentation: str) -> Any:
        """The other library's verdict on a presentation to a shop."""

        def document(url: str) -> dict[str, Any]:
            return dict(self.fetch(url).json())

        def statuses(url: str) -> dict[str, Any]:
            token = self.fetch(url).text
            kid = jwt.get_unverified_header(token)["kid"]
            return dict(verify_status_list_token(token, public_key_jwk=self.status_key(kid), expected_uri=url))

        policy = VerificationPolicy(
            audience="https://shop.example", nonce="n-1", require_key_binding=True, expected_vct=card_type(ORIGIN)
        )
        verified = verify_credential(
            presentation, policy=policy, jwt_vc_issuer_fetch=document, resolve_status_list_token=statuses
        )
        validate_type_metadata(
            verified.claims or {}, vct=card_type(ORIGIN), resolve=lambda url: self.fetch(url).content
        )
        return verified


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    service = open_service(tmp_path_factory.mktemp("foreign"), Now())
    with ExitStack() as stack:
        stack.callback(service.issuer.close)
        listener = stack.enter_context(listening("127.0.0.1", 0))
        config = uvicorn.Config(create_app(service.issuer), log_level="error", access_log=False, lifespan="off")
        stack.enter_context(serving_thread(uvicorn.Server(config), listener))
        operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
        yield Place(service, f"http://127.0.0.1:{listener.getsockname()[1]}", operator)


def present(credential: str, jwk: dict[str, str]) -> str:
    """Everything shown, bound to the shop by the wallet's own key."""
    now = int(datetime.now(UTC).timestamp())
    binding = sd_jwt.key_binding_input(credential, audience="https://shop.example", nonce="n-1", issued_at=now)
    private = ec.derive_private_key(int.from_bytes(jose.b64url_decode(jwk["d"])), ec.SECP256R1())
    return binding.complete(Key(private).signed(binding.signing_input))


def test_a_wallet_takes_an_offer_with_its_code_and_a_verifier_accepts_all_of_it(place: Place) -> None:
    node = needs_node()
    enrolment_id, offer = place.offer()
    got = place.wallet(node, offer=offer["links"]["openid"]["by_reference"], txCode=offer["tx_code"])
    assert got["tokenType"] == "DPoP"
    assert [item["locale"] for item in got["display"]] == ["en-US", "zh-CN"]
    shown = [present(credential, key) for credential, key in zip(got["credentials"], got["keys"], strict=True)]
    assert len(shown) == KEYS
    for presentation in shown:
        verified = place.accepts(presentation)
        assert verified.key_bound
        assert verified.claims["iss"] == ORIGIN
        assert verified.status.status == 0
    card_ref = place.service.issuer.register.get_enrolment(enrolment_id).card_ref or ""
    place.service.issuer.lifecycle.change(card_ref, CardChange.REPORT_TEMPORARY_LOSS, datetime.now(UTC))
    for presentation in shown:
        with pytest.raises(CredentialSuspended):
            place.accepts(presentation)


def test_a_wallet_sends_the_person_to_our_page_and_comes_back_with_a_code(place: Place) -> None:
    node = needs_node()
    redirect_uri = "https://wallet.example/cb"
    registered = httpx2.put(
        f"{place.base}/v1/wallets/wallet-1",
        json={"name": "测试钱包", "redirect_uris": [redirect_uri]},
        headers=place.operator,
    )
    assert registered.status_code == 200, registered.text
    _, offer = place.offer()
    got = place.wallet(
        node,
        offer=offer["links"]["haip"]["by_value"],
        clientId="wallet-1",
        redirectUri=redirect_uri,
        typed={"digits": offer["tx_code"]},
    )
    assert got["tokenType"] == "DPoP"
    verified = place.accepts(present(got["credentials"][0], got["keys"][0]))
    assert verified.claims["holder_proof"] == "chip"
