"""`ecard request-key`: from nothing to a verifier that asks wallets, beside an issuer and by itself."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from starlette.testclient import TestClient

from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.trust.root import root_to_json
from ecard_sdk.cli import main
from ecard_verifier.bundle import make_bundle
from ecard_verifier.callers import token_hash
from ecard_verifier.config import load_embedded, load_settings
from ecard_verifier.web.assemble import assemble
from tests.keys.test_certified_keys import Authority
from tests.verifier.openid4vp.kit import bearer, read_request
from tests.world import World

NAMES = ("--name", "测试医院", "--host", "verifier.example")


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """What the command says as JSON."""
    done = main(["request-key", *arguments, "--json"])
    out, err = capsys.readouterr()
    assert done == code, err
    return json.loads(out) if done == 0 else err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A verifier's, with a bundle that is good now."""
    world = World(now=datetime.now(UTC).replace(microsecond=0))
    (tmp_path / "root.json").write_text(json.dumps(root_to_json(world.root)))
    bundle = make_bundle(world.root, world.trust_document(), [world.status_token()], made_at=world.now)
    (tmp_path / "bundle.json").write_bytes(bundle)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    tokens = [{"name": "desk", "role": "counter", "sha256": token_hash("t0ken")}]
    (data / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": tokens}))
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    base = {"DATA": folder / "data", "BUNDLE": folder / "bundle.json", "TRUST_ROOT": folder / "root.json"}
    return {f"ECARD_VERIFIER_{name}": str(value) for name, value in (base | more).items()}


def asked(folder: Path, **more: str) -> tuple[int, Any]:
    """What a verifier of these settings says to a counter that wants a presentation."""
    verifier = assemble(load_settings(environment(folder, **more)))
    with TestClient(verifier.app) as client:
        answer = client.post("/v1/presentations", json={}, headers=bearer("t0ken"))
        body = answer.json()
        if answer.status_code == 201:
            path = body["request_uri"].removeprefix("https://verifier.example")
            body["request"] = read_request(client.get(path).text)
    return answer.status_code, body


def test_a_verifier_by_itself_asks_wallets_once_its_key_is_certified(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"PUBLIC_URL": "https://verifier.example"}
    assert asked(folder, **here)[1]["code"] == "presentations_off"
    made = said(capsys, "new", "--verifier", *NAMES)
    key_id, request = made["key_id"], x509.load_pem_x509_csr(made["request"].encode())
    assert request.subject.rfc4514_string() == "CN=测试医院"
    for name in ("request-keys.json", "key-passphrase"):
        assert stat.S_IMODE((folder / "data" / name).stat().st_mode) == 0o600, name
    assert asked(folder, **here)[1]["code"] == "no_request_key"
    assert said(capsys, "request", key_id, "--verifier", *NAMES)["request"].startswith("-----BEGIN CERTIFICATE REQUEST")
    chain = folder / "chain.pem"
    chain.write_bytes(Authority().certify(made["request"], days=9000))
    assert said(capsys, "install", str(chain), "--verifier")["key_id"] == key_id
    (row,) = said(capsys, "list", "--verifier")["keys"]
    assert (row["signs"], row["subject"]) == (True, "CN=测试医院")
    status, body = asked(folder, **here)
    assert status == 201, body
    assert body["request"]["client_id"] == row["client_id"]
    assert asked(folder)[1]["code"] == "presentations_off", "without an address of its own nobody could answer"
    second = said(capsys, "new", "--verifier", "--self-signed", "30", *NAMES)
    assert asked(folder, **here)[1]["request"]["client_id"] == second["client_id"] != row["client_id"]
    assert said(capsys, "remove", second["key_id"], "--verifier") == {"key_id": second["key_id"], "removed": True}
    assert asked(folder, **here)[1]["request"]["client_id"] == row["client_id"]


def test_what_makes_no_sense_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "bad_usage" in said(capsys, "new", "--verifier", "--self-signed", "0", *NAMES, code=2)
    assert "bad_certificate_name" in said(capsys, "new", "--verifier", "--name", "", "--host", "a.example", code=2)
    assert said(capsys, "list", "--verifier") == {"keys": []}, "nothing is left behind"
    assert "bad_certificate" in said(capsys, "install", str(folder / "nowhere.pem"), "--verifier", code=2)
    assert "request_key_unknown" in said(capsys, "remove", "nobody", "--verifier", code=5)
    missing = str(folder / "nowhere")
    assert "no_verifier" in said(capsys, "list", "--verifier", "--data-dir", missing, code=5)


def test_a_passphrase_from_elsewhere_opens_the_keys_and_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secret").write_text("correct horse battery\n")
    monkeypatch.setenv("ECARD_VERIFIER_KEY_PASSPHRASE_FILE", str(folder / "secret"))
    said(capsys, "new", "--verifier", "--self-signed", "30", *NAMES)
    assert not (folder / "data" / "key-passphrase").exists()
    here = {"PUBLIC_URL": "https://verifier.example"}
    assert asked(folder, **here, KEY_PASSPHRASE_FILE=str(folder / "secret"))[0] == 201
    with pytest.raises(Unavailable, match="key_passphrase_unreadable"):
        asked(folder, **here)
    (folder / "data" / "key-passphrase").write_text("correct horse battery")
    (folder / "data" / "key-passphrase").chmod(0o644)
    with pytest.raises(Unavailable, match="key_passphrase_exposed"):
        asked(folder, **here)
    with pytest.raises(Unavailable, match="key_file_passphrase_wrong"):
        asked(folder, **here, KEY_PASSPHRASE="another passphrase")


def test_beside_an_issuer_the_keys_lie_in_its_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "authority")
    assert main(["init", "--data-dir", data]) == 0
    capsys.readouterr()
    made = said(capsys, "new", "--self-signed", "30", *NAMES, "--data-dir", data)
    (row,) = said(capsys, "list", "--data-dir", data)["keys"]
    assert row == made | {"signs": True}
    assert not (tmp_path / "authority" / "request-keys.json").exists()


@pytest.mark.parametrize(
    "url", ["http://verifier.example", "https://verifier.example/x", "https://u@verifier.example", "verifier.example"]
)
def test_a_public_address_is_an_https_origin(folder: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="PUBLIC_URL"):
        load_settings(environment(folder, PUBLIC_URL=url))


def test_a_file_of_trusted_issuers_is_read_before_anything_is_made(folder: Path) -> None:
    (folder / "trusted.toml").write_text("format = 1")
    with pytest.raises(InvalidInput, match="bad_trusted_issuers"):
        assemble(load_settings(environment(folder, TRUSTED_ISSUERS=str(folder / "trusted.toml"))))
    assert not (folder / "data" / "replay.sqlite3").exists()
    beside = load_embedded({"ECARD_VERIFIER_TRUSTED_ISSUERS": "/x/trusted.toml"}, ())
    assert beside.trusted_issuers == Path("/x/trusted.toml")


def test_the_pem_of_a_chain_may_come_from_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = said(capsys, "new", "--verifier", *NAMES)

    class Stdin:
        class buffer:
            @staticmethod
            def read(most: int) -> bytes:
                return Authority().certify(made["request"], days=9000)[:most]

    monkeypatch.setattr("sys.stdin", Stdin)
    assert said(capsys, "install", "-", "--verifier")["signs"] is True
