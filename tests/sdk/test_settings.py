"""Made in one line or from the environment; a mistake is said at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import ecard_sdk
from ecard_card.errors import InvalidInput
from ecard_keys.client_signer import ClientSigner
from ecard_sdk import AsyncECardClient, ECardClient
from ecard_sdk.testing import FakeECard

APP, URL = "ek_test_" + "a" * 24, "https://ecard.example"
PEM = ClientSigner.generate().to_pem()


def test_it_is_made_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pem").write_bytes(PEM)
    for name, value in {"APP_ID": APP, "KEY_FILE": str(tmp_path / "key.pem"), "BASE_URL": URL + "/"}.items():
        monkeypatch.setenv(f"ECARD_{name}", value)
    with ECardClient.from_env(timeout=(1, 2)) as client:
        assert (client.app_id, client.base_url) == (APP, URL)
        assert PEM.decode() not in repr(client)
    assert AsyncECardClient.from_env().app_id == APP
    monkeypatch.delenv("ECARD_KEY_FILE")
    with pytest.raises(InvalidInput, match="ECARD_KEY_FILE"):
        ECardClient.from_env()


@pytest.mark.parametrize("kind", [PEM, PEM.decode(), ec.generate_private_key(ec.SECP256R1())])
def test_a_key_may_come_in_any_form(kind: bytes) -> None:
    ECardClient(APP, kind, base_url=URL).close()


def test_an_encrypted_key_needs_its_password() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    locked = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    ECardClient(APP, locked, base_url=URL, key_password=b"pw").close()
    with pytest.raises(InvalidInput, match="bad_private_key"):
        ECardClient(APP, locked, base_url=URL)


@pytest.mark.parametrize("app_id", ["", "ek_test_", APP + "a", "sk_test_" + "a" * 24, "ek_test_" + "1" * 24])
def test_what_is_no_app_id_is_said(app_id: str) -> None:
    with pytest.raises(InvalidInput, match="bad_app_id"):
        ECardClient(app_id, PEM, base_url=URL)


@pytest.mark.parametrize(
    "url", ["", "ecard.example", "ftp://x", "http://ecard.example", "https://u:p@x", URL + "/v1", "https://x:y"]
)
def test_what_is_no_origin_is_said(url: str) -> None:
    with pytest.raises(InvalidInput, match="bad_service_url"):
        ECardClient(APP, PEM, base_url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"])
def test_this_machine_needs_no_tls(url: str) -> None:
    ECardClient(APP, PEM, base_url=url).close()


def test_what_is_no_key_is_said(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    for wrong in (b"", b"no PEM", "no PEM", other, None):
        with pytest.raises(InvalidInput, match="bad_private_key"):
            ECardClient(APP, wrong, base_url=URL)
    with pytest.raises(InvalidInput, match="bad_private_key"):
        ECardClient(APP, PEM, key_file=tmp_path / "key.pem", base_url=URL)
    with pytest.raises(InvalidInput, match="bad_private_key"):
        ECardClient(APP, key_file=tmp_path / "absent.pem", base_url=URL)


def test_a_call_that_is_signed_needs_a_key_that_signs_messages() -> None:
    fake, app_id = FakeECard(), "ek_test_" + "b" * 24
    http = httpx2.Client(transport=fake.transport())
    client = ECardClient(app_id, rsa.generate_private_key(65537, 2048), base_url=fake.origin, http_client=http)
    with pytest.raises(InvalidInput, match="bad_private_key"):
        client._core._signature("POST", URL, {"Authorization": "x"}, b"")


def test_its_owner_closes_an_http_client() -> None:
    http = httpx2.Client(transport=FakeECard().transport())
    ECardClient(APP, PEM, base_url=URL, http_client=http).close()
    assert not http.is_closed


def test_names_are_loaded_when_they_are_used() -> None:
    program = "import sys, ecard_sdk; assert 'httpx2' not in sys.modules; ecard_sdk.ECardClient; import httpx2"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert {name for name in ecard_sdk.__all__ if getattr(ecard_sdk, name) is None} == set()
    with pytest.raises(AttributeError, match="Nonsense"):
        ecard_sdk.Nonsense  # noqa: B018 - that it is not there
