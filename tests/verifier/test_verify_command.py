"""`ecard verify`: the outcome first, every step a line, and an exit code that never calls the unknown valid."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import InvalidInput
from ecard_card.status import EcardStatus
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle
from ecard_verifier.callers import Caller, Role
from ecard_verifier.cli import verify
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService, utc_now
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.web.app import create_app
from tests.verifier.feed_kit import caught_up
from tests.verifier.http_kit import running
from tests.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="module")
def device() -> DeviceKey:
    return DeviceKey.generate()


@pytest.fixture(scope="module")
def bundle(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "bundle.json"
    token = world.status_token({3: EcardStatus.SUSPENDED})
    path.write_bytes(make_bundle(world.root, world.trust_document(), [token], made_at=world.now))
    return path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ECARD_VERIFIER_URL", "ECARD_TOKEN", "ECARD_TOKEN_FILE", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verify.register(parser.add_subparsers())
    args = parser.parse_args(["verify", *arguments])
    return int(args.func(args))


def code_for(world: World, device: DeviceKey, index: int = 7) -> str:
    credential = world.credential(device)
    status = replace(credential.status, index=index)
    return device.offline_code(world.compact(replace(credential, status=status)), utc_now())


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_a_valid_code_shows_every_step_and_exits_0(
    world: World, device: DeviceKey, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--offline", str(bundle), code_for(world, device)) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("VALID  ok")
    assert [line.split()[1] for line in lines[1:12]] == ["✓"] * 11
    assert "chip assurance: challenge" in lines
    assert "trust root came from the bundle" in shown.err


def test_with_a_pinned_root_there_is_nothing_to_note(
    world: World, device: DeviceKey, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root.json"
    root.write_text(json.dumps(root_to_json(world.root)))
    assert run("--offline", str(bundle), "--root", str(root), code_for(world, device)) == 0
    assert capsys.readouterr().err == ""
    root.write_text(json.dumps(root_to_json(World().root)))
    assert run("--offline", str(bundle), "--root", str(root), code_for(world, device)) == 3
    assert capsys.readouterr().out.startswith("UNDECIDED  trust_undersigned")


def test_a_lost_card_exits_1_and_says_why(
    world: World, device: DeviceKey, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--offline", str(bundle), "--json", code_for(world, device, index=3)) == 1
    answer = told(capsys)
    assert (answer["outcome"], answer["reason"]) == ("invalid", "suspended")
    assert {"outcome", "reason", "checks", "status_as_of", "chip_assurance"} <= answer.keys()


def test_it_speaks_chinese_where_the_locale_does(
    world: World, device: DeviceKey, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert run("--offline", str(bundle), code_for(world, device)) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("有效")
    assert "持卡人设备签名" in shown.out
    assert "信任根" in shown.err


@pytest.mark.parametrize("text", ["garbage", "", "EC1:\x1b[31m", "EC1:" + "A" * 40_000])
def test_garbage_is_invalid(bundle: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run("--offline", str(bundle), text) == 1
    out = capsys.readouterr().out
    assert out.startswith("INVALID  unreadable_code")
    assert "\x1b" not in out


def test_a_code_comes_from_standard_input(
    world: World, device: DeviceKey, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(code_for(world, device) + "\r\n"))
    assert run("--offline", str(bundle), "--json") == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("x" * (10 << 20)))
    assert run("--offline", str(bundle), "-") == 1


def test_demands_on_the_command_line_count(world: World, device: DeviceKey, bundle: Path) -> None:
    assert run("--offline", str(bundle), "--minimum-assurance", "signature", code_for(world, device)) == 1
    code = device.offline_code(world.compact(world.credential(device)), utc_now(), audience="clinic")
    assert run("--offline", str(bundle), code) == 1
    assert run("--offline", str(bundle), "--audience", "clinic", code) == 0


def test_what_stands_in_our_own_way_is_undecided(
    world: World, device: DeviceKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = code_for(world, device)
    torn, old = tmp_path / "torn.json", tmp_path / "old.json"
    torn.write_bytes(b'{"format": "ecard-bundle/1"')
    past = world.now - timedelta(days=2)
    aged = replace(world, now=past)
    old.write_bytes(make_bundle(aged.root, aged.trust_document(), [aged.status_token()], made_at=past))
    for path, reason in ((tmp_path / "none", "bundle_unreadable"), (torn, "bad_bundle"), (old, "status_expired")):
        assert run("--offline", str(path), "--json", code) == 3
        answer = told(capsys)
        assert (answer["outcome"], answer["reason"]) == ("undecided", reason)


def test_wrong_usage_is_said() -> None:
    for arguments in (["--root", "x", "code"], ["code"]):
        with pytest.raises(InvalidInput) as caught:
            run(*arguments)
        assert caught.value.code == "bad_usage"
    with pytest.raises(SystemExit):
        run("--minimum-assurance", "perfect", "code")


def test_online_it_asks_the_verifier_and_uses_the_code_up(
    world: World, device: DeviceKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = VerificationService(FixedTrust(world.trust()), caught_up(world), None, ReplayGuard())
    callers = {"t0ken": Caller("desk", Role.COUNTER), "feed": Caller("v", Role.VERIFIER)}
    code = code_for(world, device)
    with running(create_app(service, callers.get)) as url:
        monkeypatch.setenv("ECARD_VERIFIER_URL", url)
        assert run("--json", code) == 3
        assert told(capsys)["reason"] == "not_authenticated"
        monkeypatch.setenv("ECARD_TOKEN", "feed")
        assert run("--json", code) == 3
        assert told(capsys)["reason"] == "not_allowed"
        assert run(code) == 3
        assert capsys.readouterr().out.splitlines()[1].endswith("with a token of role counter")
        monkeypatch.setenv("ECARD_TOKEN", "")
        assert run(code) == 3
        assert capsys.readouterr().out.splitlines()[1].startswith("  set ECARD_TOKEN")
        secret = tmp_path / "token"
        secret.write_text("t0ken\n")
        monkeypatch.setenv("ECARD_TOKEN_FILE", str(secret))
        assert run(code) in (0, 1)
        first = capsys.readouterr().out
        assert first.startswith(("VALID", "CHECK"))
        assert run(code) == 1
        assert "replayed" in capsys.readouterr().out
    assert run("--json", code) == 3
    assert told(capsys)["reason"] == "verifier_unavailable"


def test_offline_it_loads_nothing_of_the_servers() -> None:
    program = (
        "import sys, ecard_verifier.cli.verify, ecard_verifier.bundle, ecard_verifier.check, ecard_verifier.feed,"
        "ecard_verifier.statuses, ecard_verifier.service, ecard_verifier.follower;"
        "heavy = {'fastapi', 'starlette', 'pydantic', 'sqlalchemy', 'uvicorn', 'hvac', 'smartcard'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
