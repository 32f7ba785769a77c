"""The README's blocks and the examples run as they stand, at what `ecard mock` serves."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from ecard_sdk import ECardClient
from ecard_sdk.channel_models import EventType
from ecard_sdk.testing import FakeECard
from tests.sdk.hooks import Hooks
from tests.sdk.houses import ID_NUMBER, NAME, PIN
from tests.sdk.mock import mock_running

SDK = Path(__file__).parents[2] / "sdk"
EXAMPLES = SDK.parent / "examples"
ENGLISH, CHINESE = SDK / "README.md", SDK / "README.zh-CN.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[tuple[str, str]]:
    return _BLOCK.findall(path.read_text("utf-8"))


def programs() -> list[tuple[str, str]]:
    """Each Python block with the text that it is said to print; that of the desks is run where a desk is."""
    found = blocks(ENGLISH)
    following = [*found[1:], ("", "")]
    pairs = zip(found, following, strict=True)
    return [
        (code, shown if kind == "text" else "")
        for (language, code), (kind, shown) in pairs
        if language == "python" and "AuthorityClient" not in code
    ]


ORIGIN = "http://127.0.0.1:8500"


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    with Hooks() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, hooks: Hooks) -> Iterator[dict[str, str]]:
    with mock_running(tmp_path_factory.mktemp("mock"), "--webhook", hooks.url, "--browser-origin", ORIGIN) as printed:
        yield printed


@pytest.fixture(autouse=True)
def in_the_shell(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After `. ./ecard.env`."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_the_blocks_run_and_print_what_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.chdir(tmp_path)
    assert len(programs()) == 6
    for code, shown in programs():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, str(ENGLISH), "exec"), {"__name__": "__main__"})  # noqa: S102 - a block of ours
        expected = ".*".join(map(re.escape, shown.strip().split("…")))
        assert re.search(expected + r"\s*\Z", out.getvalue(), re.DOTALL), (shown, out.getvalue()[-400:])
    assert 30 in slept  # a code each half minute
    assert (tmp_path / "device.pem").stat().st_mode & 0o077 == 0


def test_the_receiver_reads_what_the_authority_sends() -> None:
    (code,) = [code for code, _ in programs() if "def receive" in code]
    space: dict[str, object] = {}
    exec(compile(code, str(ENGLISH), "exec"), space)  # noqa: S102 - a block of ours
    receive, fake = space["receive"], FakeECard()
    assert callable(receive)
    app_id, _ = fake.admit()
    secret, public = fake.webhooks.rotate(app_id)
    person = next(iter(fake.authority.people.values()))
    link = fake.authority.make_link(app_id, person)
    fake.authority.change(person, EventType.CARD_LOST)
    claimed, lost = fake.authority.events[app_id]
    for known in (secret, public):
        body, headers = fake.webhooks.message(app_id, lost)
        assert receive(body, headers, [known]) == f"hide {link.link_id}, once for msg_{lost.event_id}"
        assert receive(*fake.webhooks.message(app_id, claimed), [known]) == "stored"


def test_both_languages_have_the_same_blocks_and_tables() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    for pattern in (r"^(#+) ", r"^\| (`[\w`, 、]+)", r"\]\((\S+)\)"):
        same = [
            sorted(found.replace("、", ", ") for found in re.findall(pattern, path.read_text("utf-8"), re.MULTILINE))
            for path in (ENGLISH, CHINESE)
        ]
        if "README" not in str(same):
            assert same[0] == same[1]


def test_the_bank_links_shows_hears_and_releases(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = loaded("bank_backend/main.py")
    with ECardClient.from_env() as ecard, TestClient(bank.app) as app:
        (webhook,) = ecard.webhooks.list()
        monkeypatch.setenv("ECARD_WEBHOOK_SECRETS", str(ecard.webhooks.rotate_secret(webhook.webhook_id).secret))
        wrong = app.post("/customers/17/ecard", json={"id_number": ID_NUMBER, "name": "另一人", "pin": PIN})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "holder_not_identified")
        assert app.post("/customers/17/ecard", json={"id_number": ID_NUMBER, "name": NAME, "pin": PIN}).json() == {
            "level": "1"
        }
        link_id = bank.app.state.bank.links["17"]
        code = app.get("/customers/17/code").json()["code"]
        assert judged(code) == (0, "valid")
        assert judged(code) == (1, "invalid")  # once
        ecard.links.report_loss(link_id)
        hooks.deliver(app, lambda: link_id in bank.app.state.bank.hidden)
        assert app.get("/customers/17/code").status_code == 404
        ecard.links.release_loss(link_id)
        hooks.deliver(app, lambda: link_id not in bank.app.state.bank.hidden)
        assert app.get("/customers/17/code").json()["shown"]
        assert app.post("/hooks", content=b"{}").status_code == 422
        assert app.delete("/customers/17/ecard").status_code == 204
        assert app.get("/customers/17/code").status_code == 404
        assert ecard.links.get(link_id).end == "released"


def test_the_clinic_tells_what_is_no_answer_from_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged("EC0:NONSENSE") == (1, "invalid")
    monkeypatch.setenv("ECARD_COUNTER_TOKEN", "ecop_" + "x" * 43)
    assert judged("EC0:NONSENSE") == (3, "undecided")
    monkeypatch.setenv("ECARD_BASE_URL", "http://127.0.0.1:1")
    assert judged("EC0:NONSENSE") == (3, "undecided")


def test_the_page_gets_a_ticket_that_opens_a_session_there_alone(environment: dict[str, str]) -> None:
    server = loaded("h5_page/server.py")
    with ECardClient.from_env() as ecard, TestClient(server.app) as app:
        person = ecard.identify(id_number=ID_NUMBER, name=NAME)
        ecard.claims.evidence(ecard.claims.begin(person, person.cards[0], "pin", consent="terms-1"), pin=PIN)
        page = app.get("/")
        assert f'<ecard-code service="{ecard.base_url}">' in page.text
        assert ecard.base_url in page.headers["content-security-policy"]
        assert "card.ticket" in app.get("/page.js").text
        elsewhere = app.post("/ticket", headers={"Origin": "http://localhost:8500"})
        assert (elsewhere.status_code, elsewhere.json()) == (403, {"detail": f"open the page as {ORIGIN}"})
        server.ORIGIN = "http://127.0.0.1:8599"  # one that the app has not registered
        refused = app.post("/ticket", headers={"Origin": server.ORIGIN})
        assert (refused.status_code, bool(refused.json()["detail"])) == (422, True)
        server.ORIGIN = ORIGIN
        ticket = app.post("/ticket", headers={"Origin": ORIGIN}).json()["ticket"]
    sessions = environment["ECARD_BASE_URL"] + "/v1/sessions"
    opened = httpx2.post(sessions, json={"ticket": ticket}, headers={"Origin": ORIGIN})
    assert (opened.status_code, opened.json()["usable"], opened.json()["test"]) == (201, True, True)
    again = httpx2.post(sessions, json={"ticket": ticket}, headers={"Origin": ORIGIN})
    assert again.status_code == 401


def loaded(name: str) -> Any:
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(name).stem}", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # FastAPI resolves annotations by it
    spec.loader.exec_module(module)
    return module


def judged(code: str) -> tuple[int, str]:
    """Exit status and outcome of the clinic's program."""
    command = [sys.executable, "-S", str(EXAMPLES / "clinic_system" / "verify.py"), code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["outcome"]


def test_the_examples_say_what_they_need() -> None:
    listed = re.findall(r"^\| `(\w+)/`", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] != "_")
