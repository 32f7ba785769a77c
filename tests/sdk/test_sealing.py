"""Personal members on the wire: a standard JWE that any library opens, and the same one when it is sent again."""

from __future__ import annotations

import hmac
from uuid import UUID

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from ecard_card import jose
from ecard_sdk import errors
from ecard_sdk.core.call import Reply
from ecard_sdk.core.sealing import EncryptionKey
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing import FakeECard
from tests.sdk.conftest import ID_NUMBER, NAME

KEY = ECKey.generate_key("P-256")
PUBLIC = {**KEY.as_dict(private=False), "kid": "k1", "use": "enc", "alg": "ECDH-ES"}


def published(*keys: object) -> Reply:
    return Reply(200, {}, jose.dump_json({"keys": list(keys)}))


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=80), st.binary(min_size=64, max_size=64))
def test_another_library_opens_what_was_sealed(plain: bytes, seed: bytes) -> None:
    sealed = EncryptionKey.of(published(PUBLIC)).seal(plain, seed)
    opened = jwe.decrypt_compact(sealed, KEY, algorithms=["ECDH-ES", "A256GCM"])
    assert (opened.plaintext, opened.headers()["kid"]) == (plain, "k1")


def test_the_same_is_the_same_and_another_has_nothing_in_common() -> None:
    key, body = EncryptionKey.of(published(PUBLIC)), {"name": NAME, "other": 1}
    first = key.sealed(body, ("name",), b"s" * 32, "key-1")
    assert first == key.sealed(body, ("name",), b"s" * 32, "key-1")
    assert first["other"] == 1
    assert set(first) == {"other", "sealed"}
    parts = str(first["sealed"]).split(".")
    changes = [
        key.sealed(body, ("name",), b"s" * 32, "key-2"),
        key.sealed(body, ("name",), b"t" * 32, "key-1"),
        key.sealed({"name": NAME + "。"}, ("name",), b"s" * 32, "key-1"),
    ]
    for change in changes:
        others = str(change["sealed"]).split(".")
        assert all(mine != theirs for mine, theirs in zip(parts, others, strict=True) if mine)
    seeds = {hmac.digest(b"s" * 32, text.encode(), "sha512") for text in ("a", "b")}
    assert len({key.seal(b"x", seed) for seed in seeds}) == 2


def test_the_first_usable_key_is_taken() -> None:
    keys: tuple[object, ...] = (
        5,
        {},
        {"kty": "RSA", "kid": "r"},
        {**PUBLIC, "use": "sig", "kid": "s"},
        {**PUBLIC, "x": "AA"},
        PUBLIC,
    )
    assert EncryptionKey.of(published(*keys)).kid == "k1"


@pytest.mark.parametrize("keys", [[5], [{}], [{**PUBLIC, "y": PUBLIC["x"]}], [{**PUBLIC, "kid": 5}]])
def test_without_a_key_nothing_personal_is_sent(client: ECardClient, fake: FakeECard, keys: object) -> None:
    fake.answer_next(httpx2.Response(200, json={"keys": keys}))
    with pytest.raises(errors.ServerError, match="service_answer_unreadable"):
        client.identify(id_number=ID_NUMBER, name=NAME)
    assert len(fake.requests) == 1


def test_the_key_is_asked_for_once_and_again_when_it_has_changed(client: ECardClient, fake: FakeECard) -> None:
    for _ in range(2):
        client.identify(id_number=ID_NUMBER, name=NAME)
    fetched = [request for request in fake.requests if request.url.path.endswith("ecard-encryption-keys")]
    assert len(fetched) == 1
    fake.encryption.rotate()
    client.identify(id_number=ID_NUMBER, name=NAME)
    fetched = [request for request in fake.requests if request.url.path.endswith("ecard-encryption-keys")]
    assert len(fetched) == 2
    keys = [request.headers["idempotency-key"] for request in fake.requests if "identifications" in request.url.path]
    assert len({UUID(key) for key in keys}) == len(keys) == 4  # another body is another request


def test_what_nobody_can_open_is_said_after_one_more_try(client: ECardClient, fake: FakeECard) -> None:
    fake.encryption.rotate()
    fake.encryption.published = lambda: {"keys": [PUBLIC]}  # type: ignore[method-assign]
    with pytest.raises(errors.InvalidRequestError, match="bad_sealed_data"):
        client.identify(id_number=ID_NUMBER, name=NAME)
    assert len([request for request in fake.requests if "identifications" in request.url.path]) == 2
