"""Who must get nothing out of the agent: foreign pages, names that resolve here, guesses, floods."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ecard_issuer.chip.simulator import first_generation, synthetic
from tests.device_pcsc.agent_kit import NO_TLS, ORIGIN, Agent, Refused
from tests.issuer.desk.kit import Table, agent_over

OTHER = "https://other.example"
EVIL = "https://evil.example"
READER = "Reader 1"
DATA = synthetic(7)
CALLS = [
    ("GET", "/version"),
    ("GET", "/readers"),
    ("POST", "/pairing"),
    ("DELETE", "/pairing"),
    ("POST", "/card/read"),
    ("POST", "/card/prove"),
    ("POST", "/card/pin"),
    ("GET", "/nowhere"),
]


@pytest.fixture(scope="module")
def table() -> Table:
    table = Table()
    table.plug(READER)
    return table


@pytest.fixture(scope="module")
def agent(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Paired with `ORIGIN`; a card is in."""
    with agent_over(table, tmp_path_factory.mktemp("desk"), (ORIGIN, OTHER)) as agent:
        agent.pair()
        with agent.socket() as events:
            table.put(READER, first_generation(data=DATA))
            events.wait("inserted", READER)
        yield agent


def ask(agent: Agent, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    given = {"Authorization": f"Bearer {agent.token}"} | headers
    body: dict[str, str] | None = {} if method == "POST" else None
    with httpx.Client(base_url=agent.base, trust_env=False, verify=NO_TLS) as client:
        return client.request(method, path, headers=given, json=body)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """No page can read it, and it says nothing."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert DATA.name not in answer.text


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "origin",
    [
        None,
        EVIL,
        "null",
        f"{ORIGIN}.evil.example",
        ORIGIN.upper(),
        f"{ORIGIN}:8443",
        f"{ORIGIN}/",
        "http://desk.example",
    ],
)
def test_a_foreign_page_gets_nothing_even_with_a_token(
    agent: Agent, method: str, path: str, origin: str | None
) -> None:
    """Exact origins only; a request without one (a picture, a script, a form) is a foreign page's too."""
    refused(ask(agent, method, path, {} if origin is None else {"Origin": origin}), 403, "desk_origin_refused")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "desk.example:{port}", "127.0.0.1.:{port}"]
)
def test_a_name_that_was_made_to_resolve_here_is_not_ours(agent: Agent, host: str) -> None:
    """DNS rebinding: the browser sends the attacker's name."""
    for method, path in CALLS:
        headers = {"Host": host.format(port=agent.port), "Origin": ORIGIN}
        refused(ask(agent, method, path, headers), 421, "desk_host_wrong")
    with pytest.raises(Refused, match="403"):
        agent.socket(host=host.format(port=agent.port))


def test_headers_that_stand_there_twice_count_as_missing(agent: Agent) -> None:
    with socket.create_connection(("127.0.0.1", agent.port)) as link:
        lines = ["GET /readers HTTP/1.1", f"Host: 127.0.0.1:{agent.port}", f"Origin: {EVIL}", f"Origin: {ORIGIN}"]
        link.sendall("\r\n".join([*lines, f"Authorization: Bearer {agent.token}", "", ""]).encode())
        assert link.recv(1000).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("method", "path"), [call for call in CALLS if call[1] not in ("/version", "/pairing", "/nowhere")]
)
def test_a_page_that_is_not_paired_learns_nothing(agent: Agent, method: str, path: str) -> None:
    """No token, a wrong one, one of another origin."""
    for token, origin in (("", ORIGIN), ("x" * 43, ORIGIN), (agent.token, OTHER), (agent.token[:-1], ORIGIN)):
        headers = {"Origin": origin, "Authorization": f"Bearer {token}" if token else "Basic eDp4"}
        answer = ask(agent, method, path, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "desk_not_paired"), token
    assert ask(agent, "DELETE", "/pairing", {"Origin": OTHER}).json()["code"] == "desk_not_paired"


def test_before_pairing_a_page_learns_the_version_alone(agent: Agent) -> None:
    with agent.page(OTHER, token="") as page:
        assert page.get("/version").json().keys() == {"agent", "version", "protocol", "paired"}


@pytest.mark.parametrize(
    ("origin", "token"), [(EVIL, None), (None, None), (OTHER, None), (ORIGIN, ""), (ORIGIN, "x" * 43)]
)
def test_a_socket_opens_for_the_paired_page_alone(agent: Agent, origin: str | None, token: str | None) -> None:
    """WebSockets know no same-origin rule: any page may try."""
    with pytest.raises(Refused, match="403"):
        agent.socket(origin, token)
    with agent.socket() as events:
        assert events.protocol == "ecard-desk.1"
        assert events.receive()


def test_codes_cannot_be_guessed(table: Table, tmp_path: Path) -> None:
    """Five wrong ones, then nothing for a minute, not even the right code; then a new code."""
    with agent_over(table, tmp_path) as agent, agent.page() as page:
        code = agent.code()
        answers = [page.post("/pairing", json={"code": f"WR0NG-{number}"}) for number in range(10)]
        seen = [(answer.status_code, answer.json()["code"]) for answer in answers]
        assert seen == [(403, "desk_code_wrong")] * 5 + [(429, "desk_pairing_closed")] * 5
        assert answers[-1].headers["Retry-After"].isdigit()
        assert page.post("/pairing", json={"code": code}).status_code == 429
        assert page.get("/version").json()["paired"] is False
        assert page.get("/readers").status_code == 401


def test_a_code_is_good_once_and_a_pairing_can_be_taken_back(table: Table, tmp_path: Path) -> None:
    """By the page, or by the user of the machine while the agent runs; an open socket ends with it."""
    from ecard_issuer.desk.pairing import PairingFile

    with agent_over(table, tmp_path) as agent:
        code = agent.code()
        with agent.page() as page:
            token = page.post("/pairing", json={"code": code.lower().replace("-", " ")}).json()["token"]
            assert page.post("/pairing", json={"code": code}).json()["code"] == "desk_code_wrong"
        stored = (tmp_path / "pairings.json").read_text()
        assert token not in stored
        assert (tmp_path / "pairings.json").stat().st_mode & 0o077 == 0
        with agent.page(token=token) as page, agent.socket(token=token) as events:
            assert page.get("/readers").status_code == 200
            assert events.receive()
            assert PairingFile(tmp_path).forget(ORIGIN) == 1
            assert page.get("/readers").json()["code"] == "desk_not_paired"
            table.plug("Reader 9")
            assert events.receive() is None
            table.unplug("Reader 9")
        second = agent.pair()
        with agent.page(token=second) as page:
            assert page.delete("/pairing").status_code == 204
            assert page.get("/readers").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"reader": READER, "apdu": "0020000003123456"},
        {"reader": READER, "commands": ["00A4040000"]},
        {"reader": 1},
        {"reader": READER, "challenge": "00" * 31},
        {"reader": READER, "challenge": "zz" * 32},
        {"reader": READER, "challenge": None},
        [],
        "x",
    ],
)
def test_a_page_never_writes_a_command(agent: Agent, body: object) -> None:
    """There is no member and no route for an APDU; a challenge has its one form."""
    with agent.page() as page:
        for path in ("/card/read", "/card/prove", "/card/pin"):
            if (
                path == "/card/read"
                and isinstance(body, dict)
                and body.keys() == {"reader"}
                and body["reader"] == READER
            ):
                continue
            answer = page.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) in (
                (400, "invalid_request"),
                (400, "bad_chip_challenge"),
            )
        assert page.post("/card/apdu", json=body).json()["code"] == "not_found"
        assert page.put("/card/read", json=body).json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{" + b" " * 5000 + b"}", "application/json", "body_too_large"),
        (b"x" * 3_000_000, "application/json", "body_too_large"),
        (b"{}", "text/plain", "invalid_request"),
        (b"reader=x", "application/x-www-form-urlencoded", "invalid_request"),
        (b'{"reader": null, "reader": "x"}', "application/json", "invalid_request"),
        (b"[" * 1500, "application/json", "invalid_request"),
        (b"\xff\xfe", "application/json", "invalid_request"),
    ],
)
def test_bodies_are_small_json_objects(agent: Agent, content: bytes, kind: str, code: str) -> None:
    with agent.page() as page:
        answer = page.post("/card/read", content=content, headers={"Content-Type": kind})
        assert answer.json()["code"] == code


def test_a_hundred_sockets_do_not_keep_a_page_out(agent: Agent) -> None:
    """Idle connections, and more listeners than there is room for: acts go on."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", agent.port)))
        listening, turned_away = 0, 0
        for _ in range(20):
            try:
                stack.enter_context(agent.socket())
                listening += 1
            except Refused:
                turned_away += 1
        assert (listening, turned_away) == (16, 4)
        with agent.page() as page:
            assert page.post("/card/read", json={"reader": READER}).status_code == 200
    for _ in range(100):  # their places are free again as soon as they are seen to be gone
        with contextlib.suppress(Refused), agent.socket() as again:
            assert again.receive()
            break
    else:
        pytest.fail("nobody may listen any more")


def test_a_connection_that_asks_nothing_is_closed(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that never ends its request's head; one that has asked stays for the next question."""
    monkeypatch.setattr("ecard_issuer.desk.server.ARRIVAL", 0.2)
    for begun in (b"", b"GET /version HTTP/1.1\r\nHost: 127"):
        with socket.create_connection(("127.0.0.1", agent.port), 10) as link:
            link.sendall(begun)
            assert link.recv(100) == b""
    with agent.page() as page:
        assert page.get("/version").status_code == 200


def test_a_page_that_talks_on_its_socket_is_hung_up(agent: Agent) -> None:
    with agent.socket() as events:
        assert events.receive()
        events.send(json.dumps({"apdu": "00A4040000"}))
        assert events.receive() is None


def test_a_preflight_is_answered_for_allowed_pages_alone(agent: Agent) -> None:
    """Fetch's CORS protocol, with the header of Private Network Access."""
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    with agent.page(token="") as page:
        answer = page.options("/card/read", headers=asked)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Private-Network" not in page.options("/card/read").headers
    refused(ask(agent, "OPTIONS", "/card/read", {"Origin": EVIL, **asked}), 403, "desk_origin_refused")


def test_nothing_about_a_person_reaches_a_log(
    agent: Agent, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with agent.page() as page:
        read = page.post("/card/read", json={"reader": READER})
        assert read.json()["holder"]["name"] == DATA.name
        page.post("/card/pin", json={"identification_code": "x", "old_pin": "846207", "new_pin": "111222"})
    said = caplog.text + "".join(capfd.readouterr()) + "".join(agent.said)
    for secret in (DATA.name, DATA.id_number, DATA.identification_code, DATA.card_number, "846207", agent.token):
        assert secret not in said
