"""`ecard mock` as a real process: a developer's first ten minutes, with the SDK, the commands and a receiver of their
own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from unittest.mock import patch

import httpx2
import pytest

from ecard_card.errors import CheckFailed
from ecard_issuer.testmode.people import MAGIC_PEOPLE, TEST_PIN
from ecard_sdk.cli import main
from ecard_sdk.errors import ECardError
from ecard_sdk.links_models import Link
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.webhooks import LinkChanged, unwrap

ECARD = Path(sys.executable).with_name("ecard")
PATIENCE = 60


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.put((body, {name.lower(): value for name, value in self.headers.items()}))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@dataclass
class Receiver:
    """A developer's own back end, as far as webhooks go."""

    server: ThreadingHTTPServer = field(default_factory=lambda: ThreadingHTTPServer(("127.0.0.1", 0), _Hook))
    heard: Queue[tuple[bytes, dict[str, str]]] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self.server.heard = self.heard  # type: ignore[attr-defined]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@dataclass
class Desk:
    """What the developer has: the mock's environment, a client, two receivers."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    client: ECardClient
    hook: Receiver  # registered with the channel
    local: Receiver  # what `ecard listen` forwards to

    def run(self, *arguments: str) -> Any:
        """A command of the SDK, in this process: a start of Python for each would cost more than all the rest."""
        said = io.StringIO()
        with patch.dict(os.environ, self.environment), redirect_stdout(said):
            assert main([*arguments, "--json"]) == 0
        return json.loads(said.getvalue())

    def claim(self, number: int) -> Link:
        person = MAGIC_PEOPLE[number]
        found = self.client.identify(id_number=person.id_number, name=person.name)
        claim = self.client.claims.begin(found, found.cards[0], "pin", consent="ecard-claim-1")
        return self.client.links.get(self.client.claims.evidence(claim, pin=TEST_PIN).link_id)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    hook, local = Receiver(), Receiver()
    process = subprocess.Popen(
        [ECARD, "mock", "--json", "--webhook", hook.url],
        env={**os.environ, "ECARD_KEY_HOME": "vault"},  # a real server's settings are not heeded
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(PATIENCE, process.kill)
    killer.start()
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line == "}\n":
            break
    environment = json.loads(said)["environment"]
    client = ECardClient(
        environment["ECARD_APP_ID"], key_file=environment["ECARD_KEY_FILE"], base_url=environment["ECARD_BASE_URL"]
    )
    yield Desk(process, environment, client, hook, local)
    client.close()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    killer.cancel()
    for receiver in (hook, local):
        receiver.server.shutdown()
        receiver.server.server_close()
    assert not Path(environment["ECARD_KEY_FILE"]).parent.exists(), "the mock leaves something behind"


def test_a_developers_first_ten_minutes(desk: Desk) -> None:
    link = desk.claim(1)
    (webhook,) = desk.client.webhooks.list()
    secret = desk.client.webhooks.rotate_secret(webhook.webhook_id).secret
    assert secret is not None
    (code,) = desk.client.links.codes(link.link_id)
    verdict = httpx2.post(
        desk.environment["ECARD_BASE_URL"] + "/v1/verifications",
        json={"code": code.code},
        headers={"Authorization": f"Bearer {desk.environment['ECARD_COUNTER_TOKEN']}"},
    ).json()
    assert (verdict["outcome"], verdict["test_card"]) == ("valid", True), verdict

    listening = subprocess.Popen(
        [ECARD, "listen", "--forward-to", desk.local.url, "--since", "0", "--count", "2", "--json"],
        env={**os.environ, **desk.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listening.stdout is not None
    forwarding = json.loads(listening.stdout.readline())["secret"]
    assert desk.run("trigger", "card.lost")["link_id"] == link.link_id
    lines = [json.loads(line) for line in listening.stdout]
    assert listening.wait(PATIENCE) == 0
    assert [(line["type"], line["http_status"]) for line in lines] == [("link.claimed", 204), ("card.lost", 204)]

    read = desk.run("events", "list")["data"]
    assert [event["type"] for event in read] == ["link.claimed", "card.lost"]
    assert desk.client.links.get(link.link_id).status == "suspended"
    for receiver, key in ((desk.local, forwarding), (desk.hook, secret)):
        for event in read:
            body, headers = receiver.heard.get(timeout=PATIENCE)
            if receiver is desk.hook and event["type"] == "link.claimed":
                continue  # sent, perhaps, before there was the secret that we know
            told = unwrap(body, headers, [key])
            assert isinstance(told.body, LinkChanged)
            assert (told.id, told.number, told.body.link_id) == (f"msg_{event['id']}", event["number"], link.link_id)
            for changed in ({"webhook-id": "msg_other"}, {"webhook-signature": ""}):
                with pytest.raises(CheckFailed, match="webhook_signature_invalid"):
                    unwrap(body, {**headers, **changed}, [key])

    assert len(desk.run("events", "resend", read[1]["id"])["webhooks"]) == 1
    body, headers = desk.hook.heard.get(timeout=PATIENCE)
    assert unwrap(body, headers, [secret]).id == f"msg_{read[1]['id']}"
    assert desk.run("trigger", "reset") == {"released": 1, "restored": 1}
    assert desk.claim(1).usable


def test_people_whose_outcome_is_fixed(desk: Desk) -> None:
    person = MAGIC_PEOPLE[11]
    found = desk.client.identify(id_number=person.id_number, name=person.name)
    claim = desk.client.claims.begin(found, found.cards[0], "chip", consent="ecard-claim-1")
    assert claim.challenge is not None
    answer = desk.client.raw_request("POST", "/v1/test/chips/11/answer", {"challenge": claim.challenge.hex()})
    claimed = desk.client.claims.evidence(claim, chip=json.loads(answer.content))
    assert desk.client.links.get(claimed.link_id).holder_proof == "chip"
    person = MAGIC_PEOPLE[6]
    found = desk.client.identify(id_number=person.id_number, name=person.name)
    claim = desk.client.claims.begin(found, found.cards[0], "identity", consent="ecard-claim-1")
    for number, code in ((1, "identity_proof_of_other_person"), (6, None)):
        path = f"/v1/test/people/{number}/identity"
        said = json.loads(desk.client.raw_request("POST", path, {"nonce": claim.nonce}).content)["identity"]
        if code is not None:
            with pytest.raises(ECardError, match=code):
                desk.client.claims.evidence(claim, identity=said)
    claimed = desk.client.claims.evidence(claim, identity=said)
    assert desk.client.links.get(claimed.link_id).holder_proof == "identity"
    refusals = {}
    for number in (2, 3, 4, 7, 10):
        try:
            desk.claim(number)
        except ECardError as error:
            refusals[number] = error.code
    assert refusals == {
        2: "card_not_issuable",
        3: "card_not_issuable",
        4: "card_not_issuable",
        7: "replacement_under_way",
        10: "pin_locked",
    }
    cancelled = MAGIC_PEOPLE[5]
    assert desk.client.identify(id_number=cancelled.id_number, name=cancelled.name).cards == ()
