"""Released wallet libraries answer our verifier over HTTP on a real port: with an e-card that such a library fetched,
until the card is lost; with a credential of a stranger that such a library made; and refused in every way they can lie.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import uvicorn

from ecard_card.status import CardChange
from ecard_issuer.cli.connections import listening
from ecard_issuer.web.embedded import Embedded, embed
from ecard_verifier.callers import Role
from ecard_verifier.config import EmbeddedSettings
from tests.issuer.service import ORIGIN, open_service
from tests.journeys.channels.test_foreign_wallet import NODE, Now, Place
from tests.require import needs_node
from tests.verifier.feed_kit import wait_for
from tests.verifier.http_kit import serving_thread
from tests.verifier.openid4vp.kit import P256, Json

SCHOOL = P256()
TRUSTED = f"""format = "ecard-trusted-issuers/1"
[[issuers]]
name = "student"
issuer = "https://school.example"
vct = "https://school.example/vct/student/1"
key = "jwk"
keys = [{{kty = "EC", crv = "P-256", x = "{SCHOOL.jwk["x"]}", y = "{SCHOOL.jwk["y"]}"}}]
status = "if_present"
claims = ["given_name"]
"""


class Wallet:
    """The libraries' wallet: one process that answers one line at a time."""

    def __init__(self, process: subprocess.Popen[str], base: str) -> None:
        self._process, self._base = process, base

    def __call__(self, **asked: object) -> Json:
        said = self._process.stdin
        heard = self._process.stdout
        assert said is not None
        assert heard is not None
        said.write(json.dumps({"origin": ORIGIN, "base": self._base, **asked}) + "\n")
        said.flush()
        return dict(json.loads(heard.readline()))


@contextmanager
def wallet_at(base: str) -> Iterator[Wallet]:
    process = subprocess.Popen(
        [needs_node(), "presenter.mjs"], cwd=NODE, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Wallet(process, base)
    finally:
        process.kill()
        process.communicate()


class Desk:
    """A clinic: it asks and reads."""

    def __init__(self, place: Place, embedded: Embedded[Any]) -> None:
        self.place, self.embedded = place, embedded
        self.headers = {"Authorization": f"Bearer {place.service.token(Role.COUNTER)}"}

    def ask(self, **body: object) -> Json:
        answer = httpx2.post(f"{self.place.base}/v1/presentations", json=body, headers=self.headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def result(self, opened: Json) -> Json:
        url = f"{self.place.base}/v1/presentations/{opened['presentation_id']}"
        return dict(httpx2.get(url, headers=self.headers).json())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    needs_node()
    folder = tmp_path_factory.mktemp("presentation")
    service = open_service(folder, Now())
    trusted = folder / "trusted.toml"
    trusted.write_text(TRUSTED)
    keys, now = service.issuer.request_keys, datetime.now(UTC)
    key = keys.create(now)
    keys.self_sign(key.key_id, name="测试医院", host="issuer.example", now=now, days=1)
    embedded = embed(service.issuer, EmbeddedSettings(trusted_issuers=trusted))
    with ExitStack() as stack:
        listener = stack.enter_context(listening("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(embedded.app, log_level="error", access_log=False))
        stack.enter_context(serving_thread(server, listener))
        operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
        place = Place(service, f"http://127.0.0.1:{listener.getsockname()[1]}", operator)
        (mirror,) = embedded.verifier.mirrors
        wait_for(lambda: mirror.live)
        yield Desk(place, embedded)


@pytest.fixture(scope="module")
def wallet(desk: Desk) -> Iterator[Wallet]:
    with wallet_at(desk.place.base) as wallet:
        yield wallet


@pytest.fixture(scope="module")
def held(desk: Desk) -> tuple[str, Json]:
    """An e-card with its key, as the issuing side of the same libraries fetched it, and whose it is."""
    enrolment_id, offer = desk.place.offer()
    got = desk.place.wallet(
        needs_node(), offer=offer["links"]["openid"]["by_reference"], txCode=offer["tx_code"], keys=1
    )
    return enrolment_id, {"credential": got["credentials"][0], "key": got["keys"][0]}


PAYMENT = {"type": "urn:ecard:payment:1", "payee": "测试医院", "amount": "12.50"}


def test_an_e_card_in_a_wallet_that_is_not_ours_is_accepted_once(
    desk: Desk, wallet: Wallet, held: tuple[str, Json]
) -> None:
    opened = desk.ask(claims=["name"], transaction_data=[PAYMENT], return_url="https://clinic.example/back")
    got = wallet(link=opened["qr"], **held[1])
    assert got.get("status") == 200, got
    assert got["body"]["redirect_uri"].startswith("https://clinic.example/back?response_code=")
    assert got["transaction"][0]["transactionData"]["amount"] == "12.50", "the wallet shows what it confirms"
    assert [one["method"] for one in got["sent"]] == ["post", "POST"], "the library took request_uri_method"
    code = got["body"]["redirect_uri"].rpartition("=")[2]
    told = httpx2.post(
        f"{desk.place.base}/v1/presentations/{opened['presentation_id']}/completion",
        json={"response_code": code},
        headers=desk.headers,
    ).json()
    assert (told["outcome"], told["reason"], told["credential"]) == ("valid", "ok", "ecard")
    assert list(told["claims"]) == ["name"]
    assert told["issuer"] == ORIGIN
    again = httpx2.post(
        desk.place.base + got["request"]["response_uri"].removeprefix(ORIGIN), data=_form(got["sent"][-1])
    )
    assert (again.status_code, again.json()["code"]) == (409, "response_replayed")
    once_more = wallet(link=opened["qr"], **held[1])
    assert "failed" in once_more, "the request is given out once"


def _form(sent: Json) -> Json:
    name, _, value = sent["body"].partition("=")
    return {name: value}


HASH = "A" * 43
LIES: dict[str, tuple[Json, str]] = {
    "nonce": ({"binding": {"nonce": "another"}}, "wrong_nonce"),
    "aud": ({"binding": {"aud": "x509_hash:" + HASH}}, "wrong_audience"),
    "an old iat": ({"binding": {"iat": -600}}, "code_expired"),
    "a future iat": ({"binding": {"iat": 900}}, "code_from_future"),
    "holder's key": ({"key": P256().private_jwk}, "bad_holder_signature"),
    "transaction data left out": (
        {"without": ["transaction_data_hashes", "transaction_data_hashes_alg"]},
        "transaction_data_missing",
    ),
    "other transaction data": ({"binding": {"transaction_data_hashes": [HASH]}}, "transaction_data_differs"),
    "state": ({"request": {"state": "another"}}, "wrong_state"),
    "two credentials": ({"twice": True}, "several_credentials"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_of_that_wallet_is_refused(desk: Desk, wallet: Wallet, held: tuple[str, Json], name: str) -> None:
    change, code = LIES[name]
    if "iat" in change.get("binding", {}):  # from now, which is not when this file was read
        change = {"binding": {"iat": int(datetime.now(UTC).timestamp()) + change["binding"]["iat"]}}
    opened = desk.ask(claims=["name"], transaction_data=[PAYMENT])
    got = wallet(link=opened["qr"], change=change, **held[1])
    assert got.get("status") == 200, got
    told = desk.result(opened)
    assert (told["outcome"], told["reason"], told["claims"]) == ("invalid", code, {})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"unencrypted": True}, "response_not_encrypted"),
        ({"enc": "A128CBC-HS256"}, "response_encryption_refused"),
        ({"encryptTo": {**P256().jwk, "kid": "of nobody"}}, "response_not_decryptable"),
    ],
)
def test_an_answer_in_the_open_weaker_or_to_another_key_is_not_taken(
    desk: Desk, wallet: Wallet, held: tuple[str, Json], change: Json, code: str
) -> None:
    opened = desk.ask()
    got = wallet(link=opened["qr"], change=change, **held[1])
    assert (got.get("status"), got["body"]["code"]) == (400, code)
    assert desk.result(opened)["state"] == "fetched"


def test_that_wallet_answers_through_a_browser_for_the_pages_that_were_named(
    desk: Desk, wallet: Wallet, held: tuple[str, Json]
) -> None:
    page = "https://clinic.example"
    opened = desk.ask(claims=["name"], origins=[page])
    (asked,) = opened["digital"]["requests"]
    elsewhere = wallet(only="carried", digital=asked["data"], page="https://evil.example", **held[1])
    assert "expected_origins" in elsewhere["failed"], "the library holds the verifier to its pages"
    got = wallet(only="carried", digital=asked["data"], page=page, **held[1])
    assert "response" in got, got
    url = f"{desk.place.base}/v1/presentations/{opened['presentation_id']}/answer"
    told = httpx2.post(url, json={"response": got["response"]}, headers=desk.headers).json()
    assert (told["outcome"], told["reason"], list(told["claims"])) == ("valid", "ok", ["name"])


def test_a_strangers_credential_is_accepted_as_what_it_is(desk: Desk, wallet: Wallet) -> None:
    key, now = P256(), datetime.now(UTC)
    payload = {
        "iss": "https://school.example",
        "vct": "https://school.example/vct/student/1",
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(days=1)).timestamp()),
        "cnf": {"jwk": key.jwk},
        "given_name": "小明",
        "grade": "A",
    }
    made = wallet(only="issue", payload=payload, disclosed=["given_name", "grade"], header={}, key=SCHOOL.private_jwk)
    mine = {"credential": made["credential"], "key": key.private_jwk}
    opened = desk.ask(other_issuers=["student"])
    got = wallet(link=opened["qr"], **{"as": "student"}, **mine)
    assert got.get("status") == 200, got
    told = desk.result(opened)
    assert (told["credential"], told["outcome"], told["claims"]) == ("student", "valid", {"given_name": "小明"})
    as_a_card = desk.ask()
    assert wallet(link=as_a_card["qr"], **mine).get("status") == 200
    assert desk.result(as_a_card)["outcome"] == "invalid"


def test_a_lost_card_is_refused_in_every_wallet(desk: Desk, wallet: Wallet, held: tuple[str, Json]) -> None:
    issuer = desk.place.service.issuer
    card_ref = issuer.register.get_enrolment(held[0]).card_ref or ""
    before = desk.embedded.verifier.mirrors[0].position
    issuer.lifecycle.change(card_ref, CardChange.REPORT_TEMPORARY_LOSS, datetime.now(UTC))
    (mirror,) = desk.embedded.verifier.mirrors
    wait_for(lambda: mirror.position > before)
    opened = desk.ask()
    assert wallet(link=opened["qr"], **held[1]).get("status") == 200
    assert desk.result(opened)["reason"] == "suspended"
