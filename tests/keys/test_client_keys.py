"""Keys of clients: read strictly, good for the algorithms of their kind and no other."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.client_keys import MAX_KEYS, key_named, read_client_key, read_key_set
from ecard_keys.client_signer import ClientSigner

SIGNERS = [
    ClientSigner(ec.derive_private_key(7, ec.SECP256R1()), "p-256"),
    ClientSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)), "ed25519"),
    ClientSigner(rsa.generate_private_key(65537, 2048), "rsa"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("EC") | st.just("P-256"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "keys", "alg", "use"]), inner, max_size=6
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.kid)
def test_a_key_verifies_what_its_private_half_signed(signer: ClientSigner) -> None:
    key = read_client_key(signer.public_jwk, named=True)
    assert (key.kid, key.thumbprint) == (signer.kid, signer.thumbprint)
    signature = signer.sign(b"message")
    assert key.verify(signer.algorithm, b"message", signature)
    assert not key.verify(signer.algorithm, b"other", signature)
    assert not key.verify(signer.algorithm, b"message", signature[:-1])
    assert not key.verify(signer.algorithm, b"message", b"")
    for other in {"ES256", "PS256", "RS256", "Ed25519", "EdDSA", "HS256", "none"} - {signer.algorithm}:
        assert not key.verify(other, b"message", signature), other


def test_an_rsa_key_judges_both_of_its_algorithms_unless_it_says_one() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signer = SIGNERS[2]
    assert isinstance(signer.private, rsa.RSAPrivateKey)
    signature = signer.private.sign(b"m", padding.PKCS1v15(), hashes.SHA256())
    free = read_client_key({name: value for name, value in signer.public_jwk.items() if name != "alg"})
    assert free.verify("RS256", b"m", signature)
    assert not read_client_key(signer.public_jwk).verify("RS256", b"m", signature)  # its JWK says PS256


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    example = {  # RFC 8037 appendix A.2 and A.3
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    assert read_client_key(example).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


P256 = SIGNERS[0].public_jwk
WRONG: dict[str, dict[str, Any]] = {
    "private": P256 | {"d": "AAAA"},
    "a symmetric key": {"kty": "oct", "k": "AAAA"},
    "another curve": P256 | {"crv": "P-384"},
    "off its curve": P256 | {"y": P256["x"]},
    "for encryption": P256 | {"use": "enc"},
    "an algorithm of another kind": P256 | {"alg": "RS256"},
    "a kid with a line break": P256 | {"kid": "a\nb"},
    "a kid that is no text": P256 | {"kid": 5},
    "a long kid": P256 | {"kid": "k" * 129},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "x": "A" * 76},
    "Ed25519 of 31 bytes": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 42},
    "RSA of 1024 bits": {"kty": "RSA", "n": jose.b64url_encode(b"\xff" * 128), "e": "AQAB"},
    "RSA of 8192 bits": {"kty": "RSA", "n": jose.b64url_encode(b"\xff" * 1024), "e": "AQAB"},
    "RSA with exponent 3": {"kty": "RSA", "n": jose.b64url_encode(b"\xff" * 256), "e": "Aw"},
    "RSA with an even exponent": {"kty": "RSA", "n": jose.b64url_encode(b"\xff" * 256), "e": "AQAC"},
    "nothing": {},
}


@pytest.mark.parametrize("jwk", WRONG.values(), ids=WRONG)
def test_a_key_that_cannot_be_used(jwk: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_client_key(jwk, named=True)
    assert refused.value.code == "bad_jwk"


def test_a_set_has_few_keys_with_names_of_their_own() -> None:
    keys = [ClientSigner.generate(f"k{number}").public_jwk for number in range(3)]
    read = read_key_set({"keys": keys})
    found = key_named(read, "k1")
    assert found is not None
    assert found.kid == "k1"
    assert key_named(read, "k9") is None
    unnamed = {name: value for name, value in keys[0].items() if name != "kid"}
    for wrong in ([], [keys[0]] * (MAX_KEYS + 1), [keys[0], keys[1] | {"kid": "k0"}], None, [unnamed]):
        with pytest.raises(InvalidInput):
            read_key_set({"keys": wrong})


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_whatever_comes_only_our_errors_come_out(document: object) -> None:
    for read in (read_client_key, read_key_set):
        with suppress(InvalidInput):
            read(document)


def test_a_private_key_is_not_shown_and_reads_back() -> None:
    signer = SIGNERS[0]
    again = ClientSigner.from_pem(signer.to_pem(), signer.kid)
    assert again.public_jwk == signer.public_jwk
    assert "private" not in repr(signer).lower()
    for wrong in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"):
        with pytest.raises(InvalidInput):
            ClientSigner.from_pem(wrong)
    with pytest.raises(InvalidInput):
        ClientSigner(ec.generate_private_key(ec.SECP384R1()))  # another curve than ours
