"""`ecard counter` on the directory of a verifier that runs meanwhile: it notices at its next request."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ecard_sdk.cli import main
from ecard_verifier.counters.assembly import open_administration
from tests.verifier.counters.kit import House, open_house, scan_body

Json = dict[str, Any]
Ecard = Callable[..., Json]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    for name in ("ECARD_DATA_DIR", "ECARD_VERIFIER_DATA", "ECARD_VERIFIER_URL", "ECARD_PUBLIC_ORIGIN"):
        monkeypatch.delenv(name, raising=False)
    opened = open_house(tmp_path)
    yield opened
    opened.counters.close()


@pytest.fixture
def ecard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ecard:
    def run(*arguments: str, status: int = 0) -> Json:
        assert main(["counter", *arguments, "--json", "--data-dir", str(tmp_path)]) == status
        out = capsys.readouterr().out
        return dict(json.loads(out)) if out else {}

    return run


def test_a_chain_is_set_up_and_ended_by_commands(
    house: House, ecard: Ecard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = ecard("group", "add", "连锁药店", "--purpose", "query", "--purpose", "payment")
    assert (group["name"], group["level"], group["purposes"]) == ("连锁药店", "basic", ["query", "payment"])
    branch = ecard("branch", "add", group["group_id"], "一分店")["branch_id"]
    counter = ecard("add", branch, "1 号窗口", "--staff")["counter_id"]
    monkeypatch.setattr("sys.stdin", io.StringIO("314159\n"))
    staff = ecard("staff", "add", branch, "柜员07")["staff_id"]
    token = ecard("group", "token", group["group_id"], "till", "--role", "counter")["token"]
    admitted = ecard("admit", counter, "--url", "https://verifier.example/")
    assert admitted["link"] == f"https://verifier.example/counter#admit={admitted['admission_code']}"

    page = house.client()
    # The commands have the time of the day, this verifier its own: nothing is over in either.
    monkeypatch.setattr(house.clock, "now", datetime.now(UTC))
    assert page.post("/v1/counter/session", json={"admission_code": admitted["admission_code"]}).status_code == 201
    assert page.post("/v1/counter/staff", json={"alias": "柜员07", "pin": "314159"}).status_code == 200
    done = page.post("/v1/counter/verifications", json=scan_body("no code", "payment")).json()
    assert done["outcome"] == "invalid"
    assert house.client(token).get(f"/v1/verifications/{done['verification_id']}").status_code == 200

    for lister, name, key in (
        (("group", "list"), "groups", group["group_id"]),
        (("branch", "list"), "branches", branch),
        (("list",), "counters", counter),
        (("staff", "list"), "staff", staff),
    ):
        [row] = ecard(*lister)[name]
        assert key in row.values()
    monkeypatch.setattr("sys.stdin", io.StringIO("271828\n"))
    ecard("staff", "pin", staff)
    assert page.post("/v1/counter/staff", json={"alias": "柜员07", "pin": "271828"}).status_code == 200
    ecard("staff", "revoke", staff)
    assert page.get("/v1/counter/session").json()["staff"] is None
    ecard("revoke", counter)
    assert page.get("/v1/counter/session").json()["code"] == "counter_revoked"
    ecard("branch", "revoke", branch)
    ecard("group", "revoke", group["group_id"])
    assert house.client(token).get("/v1/verifications/ver_" + "a" * 22).status_code == 401
    assert main(["counter", "admit", counter, "--data-dir", str(tmp_path)]) == 1
    assert "counter_revoked" in capsys.readouterr().err


def test_an_admission_is_shown_as_code_link_and_picture(
    house: House, ecard: Ecard, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = ecard("branch", "add", ecard("group", "add", "shop", "--purpose", "query")["group_id"], "one")["branch_id"]
    counter = ecard("add", branch, "window")["counter_id"]
    monkeypatch.setenv("ECARD_VERIFIER_URL", "https://verifier.example")
    assert main(["counter", "admit", counter, "--data-dir", str(tmp_path)]) == 0
    code, link, *picture = capsys.readouterr().out.splitlines()
    assert len(code.replace("-", "")) == 8
    assert link.endswith("/counter#admit=" + code.replace("-", ""))
    assert len(picture) > 10
    assert set("".join(picture)) <= set(" █▀▄")


def test_alarms_are_listed_and_acknowledged(house: House, ecard: Ecard) -> None:
    house.counters.administration.alarms.admission_guessing(house.clock())
    [alarm] = ecard("alarms")["alarms"]
    assert ecard("alarms", "--acknowledge", alarm["alarm_id"], "--by", "night shift")["alarms"] == []
    [kept] = ecard("alarms", "--all")["alarms"]
    assert kept["acknowledged_by"] == "night shift"
    ecard("alarms", "--acknowledge", "alm_none", status=5)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("admit", "ctr_none"), 5),
        (("branch", "add", "grp_none", "x"), 5),
        (("group", "add", "x", "--purpose", "nothing"), 5),
        (("group", "add", "x", "--purpose", "medical"), 5),
        (("group", "add", " ", "--purpose", "query"), 2),
        (("group", "add", "x", "--purpose", "query", "--daily-limit", "0"), 2),
    ],
)
def test_what_cannot_be_is_said_by_exit_status(
    house: House, ecard: Ecard, arguments: tuple[str, ...], status: int
) -> None:
    ecard(*arguments, status=status)


def test_a_directory_of_nobody_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "none", tmp_path):
        assert main(["counter", "list", "--data-dir", str(folder)]) == 5
        assert "no_verifier" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["data", "verifier-data"])
def test_without_settings_it_finds_what_ecard_serve_made_here(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ECARD_DATA_DIR", "ECARD_VERIFIER_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    open_administration(tmp_path / folder).close()
    assert main(["counter", "group", "add", "shop", "--purpose", "query"]) == 0
    assert capsys.readouterr().out.startswith("grp_")
    monkeypatch.setenv("ECARD_DATA_DIR", "elsewhere")
    assert main(["counter", "group", "list"]) == 5
