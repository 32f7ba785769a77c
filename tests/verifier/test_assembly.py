"""From settings to a running verifier: whatever is missing or odd is said at start, by name and never by value."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput
from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle, root_to_json
from ecard_verifier.callers import token_hash
from ecard_verifier.config import VerifierSettings, load_settings
from ecard_verifier.feed import CredentialIssued
from ecard_verifier.service import utc_now
from ecard_verifier.web.assemble import assemble
from ecard_verifier.web.auth import HashedTokens
from tests.verifier.feed_kit import beat, change, signed, wait_for
from tests.verifier.http_kit import FeedServer, running
from tests.world import World

TOKEN = "t0ken"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    tokens = [{"name": "desk", "role": "counter", "sha256": token_hash(TOKEN)}]
    (tmp_path / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": tokens}))
    (tmp_path / "root.json").write_text(json.dumps(root_to_json(world.root)))
    bundle = make_bundle(world.root, world.trust_document(), [world.status_token()], made_at=world.now)
    (tmp_path / "bundle.json").write_bytes(bundle)
    (tmp_path / "feed-token").write_text("secret\n")
    return tmp_path


def environment(files: Path, **more: str) -> dict[str, str]:
    base = {"DATA": str(files / "data"), "TOKENS": str(files / "tokens.json")}
    return {f"ECARD_VERIFIER_{name}": value for name, value in (base | more).items()}


def live(files: Path, url: str) -> dict[str, str]:
    return environment(
        files,
        ISSUER_URL=url,
        ISSUER="https://issuer.example",
        FEED_TOKEN_FILE=str(files / "feed-token"),
        TRUST_ROOT=str(files / "root.json"),
    )


def test_a_live_verifier_follows_its_issuer_and_is_ready_when_it_has_caught_up(world: World, files: Path) -> None:
    device = DeviceKey.generate()
    credential = world.credential(device)
    compact = world.compact(credential)
    issuer = FeedServer(world.trust_document())
    issuer.store(1, signed(world, CredentialIssued(compact), 1))
    with ExitStack() as authority:
        url = authority.enter_context(running(issuer.app))
        verifier = assemble(load_settings(live(files, url)))
        with running(verifier.app) as base, httpx2.Client(base_url=base, headers=HEADERS, trust_env=False) as client:

            def scan(code: str) -> tuple[str, str]:
                answer = client.post("/v1/verifications", json={"code": code}).json()
                return answer["outcome"], answer["reason"]

            assert client.get("/health/ready").status_code == 503
            assert scan(device.offline_code(compact, utc_now()))[0] == "undecided"
            wait_for(lambda: issuer.connected == 1)
            issuer.say(beat(world, 1, utc_now()))
            assert verifier.mirror is not None
            wait_for(lambda: verifier.mirror is not None and verifier.mirror.live)
            assert client.get("/health/ready").json() == {"ready": True, "trust": True, "statuses": True}
            assert scan(device.online_code(compact, utc_now()))[0] in ("valid", "check")
            issuer.store(2, signed(world, change(world, EcardStatus.SUSPENDED), 2, at=utc_now()))
            wait_for(lambda: verifier.mirror is not None and verifier.mirror.position == 2)
            assert scan(device.online_code(compact, utc_now())) == ("invalid", "suspended")
            assert scan(device.offline_code(compact, utc_now())) == ("invalid", "suspended")
            authority.close()
            wait_for(lambda: verifier.mirror is not None and not verifier.mirror.live)
            assert scan(device.online_code(compact, utc_now())) == ("invalid", "suspended")
    assert {path.name for path in (files / "data").iterdir()} >= {"mirror.sqlite3", "replay.sqlite3", "trust-list.json"}


def test_a_verifier_from_a_bundle_needs_no_network(world: World, files: Path) -> None:
    verifier = assemble(
        load_settings(environment(files, BUNDLE=str(files / "bundle.json"), TRUST_ROOT=str(files / "root.json")))
    )
    device = DeviceKey.generate()
    compact = world.compact(world.credential(device))
    with running(verifier.app) as base, httpx2.Client(base_url=base, headers=HEADERS, trust_env=False) as client:
        assert client.get("/health/ready").status_code == 200
        code = device.offline_code(compact, utc_now())
        reasons = [client.post("/v1/verifications", json={"code": code}).json()["reason"] for _ in range(2)]
        assert reasons == ["ok", "replayed"]
        short = client.post("/v1/verifications", json={"code": device.online_code(compact, utc_now())}).json()
        assert (short["outcome"], short["reason"]) == ("undecided", "needs_online")


def refused(environ: dict[str, str]) -> EcardError:
    with pytest.raises(InvalidInput) as caught:
        assemble(load_settings(environ))
    assert "hush" not in str(caught.value)
    return caught.value


def test_what_is_missing_or_odd_is_named(files: Path) -> None:
    good = live(files, "http://127.0.0.1:1")
    for name in ("ISSUER_URL", "FEED_TOKEN_FILE", "TRUST_ROOT"):
        environ = {key: value for key, value in good.items() if key != f"ECARD_VERIFIER_{name}"}
        error = refused(environ)
        assert error.code == "setting_missing"
        assert name.removesuffix("_FILE") in error.detail
    for name, value, code in (
        ("TYPO", "hush", "unknown_setting"),
        ("PORT", "hush", "bad_setting"),
        ("PORT", "70000", "bad_setting"),
        ("MINIMUM_ASSURANCE", "hush", "bad_setting"),
        ("ISSUER_URL", "hush", "bad_setting"),
        ("FEED_TOKEN_FILE", "/nonexistent/hush", "bad_setting"),
        ("TRUST_ROOT", "/nonexistent/hush", "bad_setting"),
        ("TOKENS", "/nonexistent/hush", "bad_tokens"),
    ):
        assert refused(good | {f"ECARD_VERIFIER_{name}": value}).code == code, name


def test_by_default_a_verifier_keeps_its_callers_in_its_own_directory(files: Path) -> None:
    bundle = {"ECARD_VERIFIER_BUNDLE": str(files / "bundle.json")}
    settings = load_settings(bundle)
    assert (settings.data, settings.tokens) == (Path("verifier-data"), Path("verifier-data/tokens.json"))
    assert load_settings(bundle | {"ECARD_VERIFIER_DATA": "x"}).tokens == Path("x/tokens.json")
    assert refused(bundle | {"ECARD_VERIFER_PORT": "hush"}).code == "unknown_setting"
    assert refused(bundle | {"ECARD_VERIFIER_DATA": str(files / "none")}).code == "bad_tokens"
    assert not (files / "none").exists()


def test_the_environment_goes_over_the_file_and_secrets_stay_out_of_the_file(files: Path) -> None:
    config = files / "ecard.toml"
    config.write_text(
        f'[verifier]\ndata = "{files}"\ntokens = "t"\nbundle = "b"\nport = 9000\naudience = "clinic"\n'
        "[issuer]\nport = 1\n"
    )
    settings = load_settings({"ECARD_CONFIG": str(config), "ECARD_VERIFIER_AUDIENCE": "shop"})
    assert settings == VerifierSettings(
        data=files,
        tokens=Path("t"),
        bundle=Path("b"),
        port=9000,
        audience="shop",
        minimum_assurance=ChipAssurance.DECLARED,
    )
    for text in ('[verifier]\nfeed_token = "hush"\n', "verifier = 1\n", "[verifier\n", "[verifier]\ntypo = 1\n"):
        config.write_text(text)
        assert refused({"ECARD_CONFIG": str(config)}).code in ("bad_setting", "unknown_setting")
    assert "hush" not in repr(VerifierSettings(files, files, "http://x", feed_token="hush", trust_root=files))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format":"ecard-tokens/1","tokens":[{"name":"a","role":"king","sha256":"x"}]}']
)
def test_a_file_of_callers_of_the_wrong_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        HashedTokens.read(path)
