"""`ecard serve` as real processes under attack: killed, crowded, watched, and with a careless umask."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from ecard_card.jose import b64url_encode
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.cli import key
from ecard_issuer.keyring import PURPOSES
from ecard_sdk.authority import AuthorityClient
from tests.issuer.cli.test_serve import Running, serving

FEEDS = 120
HALF = b"POST /v1/cards HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Path]:
    """A data directory that others may look into, made by somebody with a permissive umask."""
    before = os.umask(0)
    try:
        path = tmp_path / "data"
        path.mkdir(mode=0o777)
        yield path
    finally:
        os.umask(before)


def exposed(folder: Path) -> list[str]:
    """What in there others than its owner can read or write."""
    return [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077 and path.name != "stderr.txt"]


def register(client: AuthorityClient, serial: int) -> str:
    card = synthetic(serial)
    return client.register_card(
        identification_code=card.identification_code,
        card_number=card.card_number,
        profile="test:piv-p256",
        id_number=card.id_number,
        name=card.name,
        issued_on=card.issued_on,
        expires_on=card.expires_on,
    ).card_ref


def stop(running: Running) -> float:
    """Ask it to end; the seconds that took."""
    started = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(15) == 0
    return time.monotonic() - started


def test_killed_in_the_middle_it_has_all_that_it_confirmed_and_nobody_else_can_read_it(careless: Path) -> None:
    settings = {"ECARD_DATA_DIR": str(careless)}
    with serving(careless, **settings) as running:
        running.ready()
        token = running.token("Operator")
        with AuthorityClient(running.base, token) as client:
            kept = {serial: register(client, serial) for serial in range(8)}
        assert exposed(careless) == []
        running.process.kill()
        running.process.wait(10)
        said = running.talk.read_text()
    with serving(careless, **settings) as running:
        running.ready()
        with AuthorityClient(running.base, token) as client:
            for serial, reference in kept.items():
                assert [card.card_ref for card in client.find_cards(id_number=synthetic(serial).id_number)] == [
                    reference
                ]
        stop(running)
        said += running.talk.read_text()
    assert exposed(careless) == []
    for serial, reference in kept.items():
        card = synthetic(serial)
        for secret in (card.name, card.id_number, card.card_number, card.identification_code, reference):
            assert secret not in said


def test_a_crowd_of_followers_starves_nobody_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "data", ECARD_DATA_DIR=str(tmp_path / "data")) as running, ExitStack() as stack:
        running.ready()
        token = running.token("Operator")
        address = (urlsplit(running.base).hostname, urlsplit(running.base).port)
        feed = f"GET /v1/feed HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        for said in (feed,) * FEEDS + (HALF, b"GET / HT") * 10:
            peer = stack.enter_context(socket.create_connection(address, timeout=5))
            peer.sendall(said)
            if said == feed:
                assert peer.recv(15).endswith(b"200 OK")
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=running.base, headers=headers, trust_env=False, timeout=5) as client:
            started = time.monotonic()
            for _ in range(20):
                assert client.get("/health/live").status_code == 200
                assert client.get("/health/ready").status_code == 200
                assert client.post("/v1/verifications", json={"code": "x"}).json()["outcome"] == "invalid"
            assert time.monotonic() - started < 5
        assert stop(running) < 6
        talk = running.talk.read_text()
        assert "Traceback" not in talk
        assert talk.count(token) == 1  # where it was shown


def test_a_bundle_that_vouches_for_itself_is_said_so(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "issuer", ECARD_DATA_DIR=str(tmp_path / "data")) as running:
        running.ready()
        with AuthorityClient(running.base) as client:
            bundle = client.save_bundle(tmp_path / "bundle.json")
    offline = ("verifier", "--offline", str(bundle), "--data-dir", str(tmp_path / "verifier"))
    with serving(tmp_path / "talk", *offline) as running:
        running.ready()
        assert "the trust root came from the bundle itself" in running.talk.read_text()
        stop(running)
    assert exposed(tmp_path / "verifier") == []


def test_help_waits_for_no_server_and_no_database() -> None:
    script = (
        "import argparse, sys\n"
        "from ecard_issuer.cli import caller, card, init, key, operator, serve, trust\n"
        "commands = argparse.ArgumentParser().add_subparsers()\n"
        "for module in (caller, card, init, key, operator, serve, trust): module.register(commands)\n"
        "print(*sorted({'sqlalchemy', 'fastapi', 'uvicorn', 'pydantic', 'alembic'} & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert (shown.stdout.strip(), shown.stderr) == ("", "")
    assert key._PURPOSES == tuple(purpose.value for purpose in PURPOSES)


def test_a_guessed_token_is_told_apart_from_nothing(tmp_path: Path) -> None:
    """Unknown, revoked and malformed tokens get the same answer."""
    with serving(tmp_path / "data", ECARD_DATA_DIR=str(tmp_path / "data")) as running:
        running.ready()
        token = running.token("Operator")
        guesses = ["x", token[:-1], token.upper(), "ecop_" + b64url_encode(bytes(32)), "\u00e9" * 40, "x" * 5000]
        with httpx2.Client(base_url=running.base, trust_env=False, timeout=5) as client:
            answers = set()
            for guess in guesses:
                response = client.get("/v1/keys", headers=[(b"authorization", f"Bearer {guess}".encode("latin-1"))])
                body = response.json()
                answers.add((response.status_code, body["code"], body["detail"], body["title"]))
            assert answers == {(401, "not_authenticated", "a valid bearer token is needed", body["title"])}
