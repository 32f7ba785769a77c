"""What a channel signs, byte by byte: the vector of `docs/formats/channel-requests.md`."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ecard_issuer.oauth.client_assertion import judge_assertion
from ecard_issuer.oauth.dpop import Request, judge_proof
from ecard_keys.client_keys import read_client_key
from ecard_keys.client_signer import ClientSigner, client_assertion, dpop_proof
from ecard_keys.http_signature import SignedRequest, sign_request, verify_request

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "tests/vectors/channels/signed_request.json").read_text("utf-8"))
    return loaded


def fixed(count: int) -> bytes:
    return bytes(range(count))


def test_it_is_made_as_the_vector_says(vector: dict[str, Any]) -> None:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(vector["private_seed"]))
    signer, now = ClientSigner(private, vector["jwk"]["kid"]), datetime.fromisoformat(vector["now"])
    assert signer.public_jwk == vector["jwk"]
    assertion = vector["client_assertion"]
    assert client_assertion(signer, vector["app_id"], assertion["audience"], now, random=fixed) == assertion["jwt"]
    asked = vector["request"]
    proof = dpop_proof(signer, asked["method"], asked["url"], now, access_token=vector["access_token"], random=fixed)
    assert proof == vector["dpop_proof"]
    body = asked["body"].encode()
    headers = sign_request(signer, asked["method"], asked["url"], asked["headers"], body, now, random=fixed)
    assert headers == vector["signed_headers"]


def test_it_is_judged_as_the_vector_says(vector: dict[str, Any]) -> None:
    key, now = read_client_key(vector["jwk"]), datetime.fromisoformat(vector["now"])
    assertion, asked = vector["client_assertion"], vector["request"]
    proven = judge_assertion(assertion["jwt"], assertion["audience"], lambda *_: (key,), now)
    assert proven.client_id == vector["app_id"]
    request = Request(asked["method"], asked["url"])
    shown = judge_proof(vector["dpop_proof"], request, now, access_token=vector["access_token"])
    assert shown.thumbprint == key.thumbprint
    lines = tuple((asked["headers"] | vector["signed_headers"]).items())
    message = SignedRequest(asked["method"], asked["url"], lines, asked["body"].encode())
    assert verify_request(message, key, now, skew=timedelta(seconds=60)).kid == key.kid


def test_the_page_shows_the_vector(vector: dict[str, Any]) -> None:
    page = (ROOT / "docs/formats/channel-requests.md").read_text("utf-8")
    for name, value in vector["signed_headers"].items():
        assert f"{name}: {value}" in page
