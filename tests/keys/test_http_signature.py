"""HTTP Message Signatures: the RFC's own example, our profile, and what must not pass as signed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import InvalidInput, NotAuthenticated
from ecard_keys.client_keys import ClientKey, read_client_key
from ecard_keys.client_signer import ClientSigner
from ecard_keys.http_signature import (
    SignedRequest,
    _algorithm_of,
    _Public,
    _Verifier,
    key_id_of,
    sign_request,
    verify_request,
)
from tests.contracts.register_world import NOW
from tests.keys.test_client_keys import SIGNERS

URL = "https://issuer.example/v1/links/abc/release?x=1"
SKEW = timedelta(seconds=60)
#: The seed of `test-key-ed25519`, RFC 9421 appendix B.1.4.
RFC_SEED = base64.b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=")


def test_the_example_of_rfc_9421() -> None:
    """Appendix B.2.6, `sig-b26`."""
    headers = {
        "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "Content-Type": "application/json",
        "Content-Length": "18",
        "Signature-Input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "Signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1"
        "u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    }
    message = SimpleNamespace(method="POST", url="https://example.com/foo?param=Value&Pet=dog", headers=headers)
    signer = ClientSigner(Ed25519PrivateKey.from_private_bytes(RFC_SEED), "test-key-ed25519")
    key = read_client_key(signer.public_jwk)
    verifier = _Verifier(signature_algorithm=_algorithm_of(key.public), key_resolver=_Public(key))
    verifier.validate_created_and_expires = lambda *_, **__: None  # type: ignore[method-assign]  # it has no `expires`
    (result,) = verifier.verify(message, max_age=None)
    assert result.parameters["created"] == 1618884473


def signed(
    signer: ClientSigner, body: bytes = b"{}", life: int = 60, created: int = 0, **headers: str
) -> tuple[dict[str, str], bytes]:
    sent = {"Authorization": "DPoP token", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    moment = NOW + timedelta(seconds=created)
    sent |= sign_request(signer, "POST", URL, sent, body, moment, life=timedelta(seconds=life))
    return sent, body


def request(headers: dict[str, str], body: bytes, method: str = "POST", url: str = URL) -> SignedRequest:
    return SignedRequest(method, url, tuple(headers.items()), body)


def code(work: Callable[[], object]) -> str:
    try:
        work()
    except NotAuthenticated as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize("signer", SIGNERS[:2], ids=lambda signer: signer.kid)
def test_what_was_signed_holds_for_that_request_only(signer: ClientSigner) -> None:
    key = read_client_key(signer.public_jwk)
    headers, body = signed(signer, Idempotency_Key="a-key")
    found = verify_request(request(headers, body), key, NOW, skew=SKEW)
    assert (found.kid, found.until) == (signer.kid, NOW.replace(microsecond=0) + timedelta(seconds=120))
    assert key_id_of(request(headers, body)) == signer.kid
    assert 'tag="ecard-v1"' in headers["Signature-Input"]

    def judge(changed: dict[str, str] | None = None, body: bytes = body, **rest: str) -> str:
        return code(lambda: verify_request(request(headers | (changed or {}), body, **rest), key, NOW, skew=SKEW))

    assert judge() == "ok"
    assert judge(body=b"{ }") == "content_digest_wrong"
    for changed in (
        {"Authorization": "DPoP other"},
        {"Idempotency-Key": "another"},
        {"Content-Type": "text/plain"},
        {"Content-Digest": headers["Content-Digest"].replace("sha-256", "sha-512")},
        {"Signature": headers["Signature"].replace("ecard=:", "ecard=:AA")},
        {"Signature-Input": headers["Signature-Input"].replace("ecard-v1", "other")},
        {"Signature-Input": headers["Signature-Input"].replace('"authorization" ', "")},
        {"Signature-Input": headers["Signature-Input"].replace(";created", ";expires=1;created")},
    ):
        assert judge(changed) == "http_signature_wrong", changed
    assert judge(method="PUT") == "http_signature_wrong"
    assert judge(url=URL.replace("issuer", "evil")) == "http_signature_wrong"
    assert judge(url=URL.replace("x=1", "x=2")) == "http_signature_wrong"
    for missing in ("Signature", "Signature-Input"):
        left = {name: value for name, value in headers.items() if name != missing}
        assert code(partial(verify_request, request(left, body), key, NOW, skew=SKEW)) == ("http_signature_missing")
    gone = {name: value for name, value in headers.items() if name not in ("Idempotency-Key",)}
    assert code(lambda: verify_request(request(gone, body), key, NOW, skew=SKEW)) == "http_signature_wrong"


def test_a_header_that_was_added_after_signing_must_be_signed() -> None:
    key = read_client_key(SIGNERS[0].public_jwk)
    headers, body = signed(SIGNERS[0])
    added = headers | {"Idempotency-Key": "put in on the way"}
    assert code(lambda: verify_request(request(added, body), key, NOW, skew=SKEW)) == "http_signature_wrong"


def test_another_key_of_the_same_name() -> None:
    headers, body = signed(SIGNERS[0])
    other = read_client_key(ClientSigner.generate("p-256").public_jwk)
    assert code(lambda: verify_request(request(headers, body), other, NOW, skew=SKEW)) == "http_signature_wrong"
    rsa = read_client_key(SIGNERS[2].public_jwk | {"kid": "p-256"})
    assert code(lambda: verify_request(request(headers, body), rsa, NOW, skew=SKEW)) == "http_signature_wrong"
    with pytest.raises(InvalidInput, match="bad_private_key"):
        signed(SIGNERS[2])


@pytest.mark.parametrize(
    ("created", "life", "outcome"),
    [
        (0, 60, "ok"),
        (60, 60, "ok"),
        (-60, 60, "ok"),
        (-119, 60, "ok"),  # late, not over
        (61, 60, "clock_differs"),
        (600, 60, "clock_differs"),
        (-121, 60, "clock_differs"),
        (-600, 60, "clock_differs"),
        (0, 300, "ok"),
        (0, 301, "http_signature_wrong"),
        (0, 0, "http_signature_wrong"),
    ],
)
def test_times(created: int, life: int, outcome: str) -> None:
    key = read_client_key(SIGNERS[1].public_jwk)
    headers, body = signed(SIGNERS[1], created=created, life=life)
    assert code(lambda: verify_request(request(headers, body), key, NOW, skew=SKEW)) == outcome


def test_two_signatures_or_two_lines_are_none() -> None:
    key = read_client_key(SIGNERS[1].public_jwk)
    headers, body = signed(SIGNERS[1])
    twice = headers | {
        "Signature-Input": f"{headers['Signature-Input']}, b{headers['Signature-Input']}",
        "Signature": f"{headers['Signature']}, b{headers['Signature']}",
    }
    assert code(lambda: verify_request(request(twice, body), key, NOW, skew=SKEW)) == "http_signature_wrong"
    for name in ("Signature", "Signature-Input", "Content-Digest", "Authorization"):
        lines = (*headers.items(), (name, headers[name]))
        doubled = SignedRequest("POST", URL, lines, body)
        assert code(partial(verify_request, doubled, key, NOW, skew=SKEW)) == "http_signature_wrong"


KEY: ClientKey = read_client_key(SIGNERS[1].public_jwk)
GOOD, _ = signed(SIGNERS[1])


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80) | st.just(GOOD["Signature-Input"]),
    st.text(max_size=80) | st.just(GOOD["Signature"]),
    st.text(max_size=60) | st.just(GOOD["Content-Digest"]),
    st.binary(max_size=8),
)
def test_whatever_comes_only_our_errors_come_out(given: str, signature: str, digest: str, body: bytes) -> None:
    headers = GOOD | {"Signature-Input": given, "Signature": signature, "Content-Digest": digest}
    outcome = code(lambda: verify_request(request(headers, body), KEY, NOW, skew=SKEW))
    assert outcome in ("http_signature_missing", "http_signature_wrong", "content_digest_wrong", "ok")
    if outcome == "ok":
        assert (headers, body) == (GOOD, b"{}")
