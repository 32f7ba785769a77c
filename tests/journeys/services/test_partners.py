"""Status out to partners, through HTTP: shared signals by push and poll, webhooks, and what operators see of them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed
from ecard_card.status import CardChange
from ecard_issuer.partners.streams import CAEP_CHANGE, MAX_STREAMS
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_issuer.web.app import create_app
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from ecard_sdk.webhooks import StatusChanged, Verification, unwrap
from ecard_verifier.callers import Role
from ecard_verifier.feed import verify_event
from tests.issuer.partners.support import HOOK, Bureau, claims, open_bureau
from tests.issuer.service import ORIGIN
from tests.issuer.test_dispatch import issue

OWN = f"{ORIGIN}/secevent/ecard/event-type/status-changed"
KEPT = (tables.partner_delivery, tables.partner_stream, tables.partner_subject, tables.partner_reference)
PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"


@dataclass
class Town:
    """An issuer over HTTP, with a bank and an operator."""

    bureau: Bureau
    http: TestClient
    bank: dict[str, str]
    operator: dict[str, str]

    def post(self, path: str, body: Any, who: dict[str, str] | None = None, status: int = 200) -> Any:
        response = self.http.post(path, json=body, headers=who or self.bank)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def get(self, path: str, who: dict[str, str] | None = None, status: int = 200) -> Any:
        response = self.http.get(path, headers=who or self.bank)
        assert response.status_code == status, response.text
        return response.json()

    def poll(self, stream: str, **body: Any) -> dict[str, dict[str, Any]]:
        """The claims of what waits, by `jti`, each token checked as a receiver does."""
        answer = self.post(f"/v1/ssf/streams/{stream}/poll", {"returnImmediately": True, **body})
        return {name: self.checked(token) for name, token in answer["sets"].items()}

    def checked(self, token: str) -> dict[str, Any]:
        jws = jose.parse_compact(token, typ="secevent+jwt")
        keys = {item["kid"]: item for item in self.get("/.well-known/partner-jwks.json")["keys"]}
        algorithm, point = jose.parse_jwk(keys[str(jws.header["kid"])])
        assert algorithm is Algorithm.ES256
        assert verify(load_public_key(point), jws.signing_input, jws.signature)
        found = claims(token)
        assert (found["iss"], found["aud"]) == (ORIGIN, "bank")
        return found


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    bureau = open_bureau(tmp_path_factory.mktemp("town"))
    issuer = bureau.service.issuer
    bank = issuer.operators.add("bank", Role.PARTNER, bureau.service.clock()).token
    operator = bureau.service.token(Role.OPERATOR)
    with TestClient(create_app(issuer), base_url=ORIGIN) as http:
        yield Town(bureau, http, _bearer(bank), _bearer(operator))
    issuer.close()


@pytest.fixture
def town(opened: Town) -> Iterator[Town]:
    opened.bureau.forget()
    yield opened
    opened.bureau.forget()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def subject_of(town: Town, stream: str, serial: int | None = None) -> tuple[str, str]:
    """A card with an e-card, added by its credential: its reference in the register, and the bank's own."""
    card_ref, _ = issue(town.bureau.service, serial or town.bureau.serial())
    (row,) = town.bureau.service.issuer.register.credentials_of(card_ref)
    named = {"format": "ecard_credential", "credential_id": row.credential_id.hex()}
    answer = town.post("/v1/ssf/subjects:add", {"stream_id": stream, "subject": named})
    return card_ref, answer["subject"]["id"]


def test_a_receiver_finds_everything_from_the_transmitters_metadata(town: Town) -> None:
    metadata = town.http.get("/.well-known/ssf-configuration").json()
    assert metadata["issuer"] == ORIGIN
    assert metadata["delivery_methods_supported"] == [PUSH, POLL]
    made = town.post(metadata["configuration_endpoint"].removeprefix(ORIGIN), {"description": "ours"}, status=201)
    assert made["delivery"]["method"] == POLL
    assert made["events_delivered"] == [OWN, CAEP_CHANGE]
    assert town.get(f"/v1/ssf/streams?stream_id={made['stream_id']}") == made
    assert town.get("/v1/ssf/streams") == [made]
    assert town.get(f"/v1/ssf/status?stream_id={made['stream_id']}")["status"] == "enabled"
    trust = town.bureau.service.issuer.keys.trust(town.bureau.service.clock())
    listed = {key.kid for entry in trust.issuers for key in entry.keys if key.purpose is KeyPurpose.STATEMENT}
    assert {item["kid"] for item in town.get("/.well-known/partner-jwks.json")["keys"]} == listed


def test_a_lost_card_is_told_by_poll_as_two_events_of_one_transaction(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    card_ref, reference = subject_of(town, stream)
    other, _ = issue(town.bureau.service, town.bureau.serial())
    town.bureau.change(card_ref, CardChange.REPORT_LOSS)
    town.bureau.change(other, CardChange.REPORT_LOSS)  # nobody asked about this one
    town.bureau.turn()
    first = town.poll(stream)
    own = next(item for item in first.values() if OWN in item["events"])
    caep = next(item for item in first.values() if CAEP_CHANGE in item["events"])
    assert len(first) == 2
    assert own["txn"] == caep["txn"]
    assert own["sub_id"] == caep["sub_id"] == {"format": "opaque", "id": reference}
    assert [item["stream"]["seq"] for item in (own, caep)] == [1, 2]
    assert own["events"][OWN] == {
        "status": 2,
        "card_status": 2,
        "previous_card_status": 1,
        "card_event": "report_loss",
        "sequence": 1,
    }
    assert caep["events"][CAEP_CHANGE]["change_type"] == "update"
    assert card_ref not in str(first)
    assert set(town.poll(stream, maxEvents=1)) == {own["jti"]}
    refused = {caep["jti"]: {"err": "invalid_request", "description": "we do not read these"}}
    assert town.poll(stream, ack=[own["jti"]], setErrs=refused) == {}
    log = town.get(f"/v1/partner-streams/{stream}/deliveries")["deliveries"]
    assert [(line["state"], line["result"]) for line in log] == [
        ("refused", "invalid_request"),
        ("done", "acknowledged"),
    ]
    town.bureau.change(card_ref, CardChange.CANCEL)
    town.bureau.turn()
    kinds = [members for item in town.poll(stream).values() for members in item["events"].values()]
    assert kinds[0]["status"] == 1
    assert kinds[1]["change_type"] == "revoke"


def test_nothing_personal_goes_out_or_lies_in_what_is_kept(town: Town) -> None:
    poll = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    hook = town.post("/v1/webhooks", {"endpoint": HOOK}, status=201)["stream_id"]
    serial = town.bureau.serial()
    card_ref, _ = subject_of(town, poll, serial)
    town.post(f"/v1/partner-streams/{hook}/cards", {"card_ref": card_ref}, town.operator)
    town.bureau.change(card_ref, CardChange.REPORT_LOSS)
    town.bureau.turn()
    sent = str(town.poll(poll)) + str(town.bureau.receiver.heard) + str(town.bureau.receiver.headers)
    body = town.bureau.service.card_body(serial)
    canaries = [body["identification_code"], body["card_number"], *body["holder"].values(), card_ref]
    with reading(town.bureau.service.issuer.engine) as connection:
        kept = str(
            [connection.execute(select(table)).all() for table in (tables.partner_delivery, tables.partner_stream)]
        )
    assert "report_loss" in sent
    assert not [canary for canary in canaries if canary in sent]
    assert not [canary for canary in canaries[:-1] if canary in kept]


def test_a_poll_that_waits_is_answered_when_something_comes(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {"events_requested": [OWN]}, status=201)["stream_id"]
    card_ref, _ = subject_of(town, stream)
    asked = threading.Event()
    office = town.bureau.service.issuer.partners.office
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        real = office.poll

        def told(*arguments: Any) -> Any:
            polled = real(*arguments)
            asked.set()
            return polled

        patch.setattr(office, "poll", told)
        waiting = pool.submit(town.post, f"/v1/ssf/streams/{stream}/poll", {})
        assert asked.wait(10)
        town.bureau.change(card_ref, CardChange.REPORT_LOSS)
        town.bureau.turn()
        assert len(waiting.result(10)["sets"]) == 1


def test_a_partners_token_is_never_an_event_of_the_feed(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    card_ref, _ = subject_of(town, stream)
    town.bureau.change(card_ref, CardChange.REPORT_LOSS)
    town.bureau.turn()
    answer = town.post(f"/v1/ssf/streams/{stream}/poll", {"returnImmediately": True})
    issuer = town.bureau.service.issuer
    for token in answer["sets"].values():
        with pytest.raises(Exception, match=r"bad_event|unknown_key"):
            verify_event(token, issuer.keys.trust(town.bureau.service.clock()), town.bureau.service.clock())


def test_push_brings_tokens_with_the_receivers_own_header(town: Town) -> None:
    wanted = {"method": PUSH, "endpoint_url": HOOK, "authorization_header": "Bearer of-the-bank"}
    body = {"delivery": wanted, "events_requested": [OWN, "https://unknown.example/event"]}
    made = town.post("/v1/ssf/streams", body, status=201)
    assert "of-the-bank" not in str(made)
    assert made["events_delivered"] == [OWN]
    card_ref, reference = subject_of(town, made["stream_id"])
    town.bureau.change(card_ref, CardChange.REPORT_LOSS, CardChange.RELEASE)
    town.bureau.turn()
    assert [item["events"][OWN]["sequence"] for item in town.bureau.receiver.heard] == [1, 2]
    assert {item["sub_id"]["id"] for item in town.bureau.receiver.heard} == {reference}
    headers = town.bureau.receiver.headers[0]
    assert headers["Authorization"] == "Bearer of-the-bank"
    assert headers["Content-Type"] == "application/secevent+jwt"


def test_a_webhook_is_accepted_by_the_published_reader_and_by_ours_through_a_rotation(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = town.post("/v1/webhooks", {"endpoint": HOOK}, status=201)
    stream = made["stream_id"]
    card_ref, reference = subject_of(town, stream)
    sent: list[tuple[bytes, dict[str, str]]] = []
    real = town.bureau.receiver.send

    def kept(endpoint: str, body: bytes, headers: Any) -> Any:
        sent.append((body, dict(headers)))
        return real(endpoint, body, headers)

    monkeypatch.setattr(town.bureau.receiver, "send", kept)
    now = town.bureau.service.clock()
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", _frozen(now))
    town.bureau.change(card_ref, CardChange.REPORT_LOSS)
    town.bureau.turn()
    body, headers = sent[-1]
    assert Webhook(made["secret"]).verify(body, headers)["type"] == "card.status_changed"
    for secret in (made["secret"], made["public_key"]):
        event = unwrap(body, headers, [secret], now=now)
        assert event.body == StatusChanged(reference, 1, "report_loss", "suspended", 2)
        assert event.number == 1
    rotated = town.post(f"/v1/webhooks/{stream}/secret", None)
    assert rotated["secret"] != made["secret"]
    town.bureau.change(card_ref, CardChange.RELEASE)
    town.bureau.turn()
    body, headers = sent[-1]
    for secret in (made["secret"], made["public_key"], rotated["secret"], rotated["public_key"]):
        assert unwrap(body, headers, [secret], now=now).number == 2
        assert unwrap(body, headers, ["whsec_" + "A" * 44, secret], now=now).number == 2
    for old in (made["secret"], rotated["secret"]):
        assert Webhook(old).verify(body, headers)
    assert town.http.delete(f"/v1/webhooks/{stream}/secret", headers=town.bank).json()["secret"] is None
    town.post("/v1/ssf/verify", {"stream_id": stream, "state": "are you there"}, status=204)
    town.bureau.turn()
    body, headers = sent[-1]
    assert unwrap(body, headers, [rotated["secret"]], now=now).body == Verification("are you there")
    with pytest.raises(CheckFailed, match="webhook_signature_invalid"):
        unwrap(body, headers, [made["secret"], made["public_key"]], now=now)
    with pytest.raises(CheckFailed, match="webhook_too_old"):
        unwrap(body, headers, [rotated["secret"]], now=now + timedelta(seconds=301))
    assert "secret" not in town.get("/v1/webhooks")["streams"][0]


def _frozen(now: Any) -> Any:
    from datetime import datetime

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now

    return Frozen


def test_making_a_stream_can_be_repeated_and_shows_its_secret_once(town: Town) -> None:
    body = {"endpoint": HOOK, "stream_id": secrets.token_hex(16)}
    first = town.post("/v1/webhooks", body, status=201)
    again = town.post("/v1/webhooks", body, status=201)
    assert first["secret"].startswith("whsec_")
    assert (again["secret"], again["stream_id"]) == (None, first["stream_id"])
    assert len(town.get("/v1/webhooks")["streams"]) == 1


def test_another_partners_stream_does_not_exist(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    clock = town.bureau.service.clock()
    shop = _bearer(town.bureau.service.issuer.operators.add("shop", Role.PARTNER, clock).token)
    for path in (f"/v1/ssf/streams?stream_id={stream}", f"/v1/partner-streams/{stream}/events"):
        assert town.get(path, shop, 404)["code"] == "partner_stream_unknown"
    for path, body in (
        (f"/v1/ssf/streams/{stream}/poll", {"returnImmediately": True}),
        ("/v1/ssf/verify", {"stream_id": stream}),
        ("/v1/ssf/streams", {"stream_id": stream}),  # its id is taken, and says so as if it were unknown
    ):
        assert town.post(path, body, shop, 404)["code"] == "partner_stream_unknown"
    assert town.get("/v1/ssf/streams", shop) == []
    assert town.get(f"/v1/partner-streams/{stream}", town.operator)["partner"] == "bank"


def test_two_partners_cannot_tell_that_they_speak_of_one_card(town: Town) -> None:
    clock = town.bureau.service.clock()
    shop = _bearer(town.bureau.service.issuer.operators.add("shop", Role.PARTNER, clock).token)
    mine = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    theirs = town.post("/v1/ssf/streams", {}, shop, 201)["stream_id"]
    card_ref, reference = subject_of(town, mine)
    body = {"card_ref": card_ref}
    assert town.post(f"/v1/partner-streams/{theirs}/cards", body, town.operator)["reference"] != reference
    unknown = {"stream_id": theirs, "subject": {"format": "opaque", "id": reference}}
    assert town.post("/v1/ssf/subjects:add", unknown, shop, 404)["code"] == "partner_subject_unknown"
    town.bureau.change(card_ref, CardChange.REPORT_LOSS)
    town.bureau.turn()
    seen = [
        set(town.post(f"/v1/ssf/streams/{name}/poll", {"returnImmediately": True}, who)["sets"].values())
        for name, who in ((mine, None), (theirs, shop))
    ]
    texts = [{str(value) for token in tokens for value in _values(claims(token))} for tokens in seen]
    common = texts[0] & texts[1]
    assert not {
        value for value in common if len(value) > 20 and "://" not in value and value != "verifiable-credential"
    }


def _values(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        for value in item.values():
            yield from _values(value)
    else:
        yield item


def test_only_an_operator_permits_whole_regions(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    card_ref = town.bureau.card()
    path = f"/v1/partner-streams/{stream}/regions"
    assert town.http.put(path, json={"regions": ["000000"]}, headers=town.bank).status_code == 403
    town.bureau.flip(card_ref)
    town.bureau.turn()
    assert town.poll(stream) == {}
    assert town.http.put(path, json={"regions": ["000000"]}, headers=town.operator).status_code == 200
    town.bureau.flip(card_ref)
    town.bureau.turn()
    assert len(town.poll(stream)) == 2


def test_a_replaced_card_is_followed_by_its_successor(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {"events_requested": [OWN]}, status=201)["stream_id"]
    service, serial = town.bureau.service, town.bureau.serial()
    old, reference = subject_of(town, stream, serial)
    card = service.card_body(town.bureau.serial()) | {"holder": service.card_body(serial)["holder"]}
    new = town.post("/v1/cards", card, town.operator, 201)["card_ref"]
    town.post(f"/v1/cards/{old}/replacement", {"new_card_ref": new}, town.operator)
    service.clock.advance(1)
    town.bureau.change(new, CardChange.REPORT_LOSS)  # before anybody has heard of the replacement
    town.bureau.turn()
    told, at_once = town.poll(stream).values()
    assert told["sub_id"]["id"] == reference
    assert told["events"][OWN]["card_event"] == "replace"
    successor = told["events"][OWN]["successor"]
    assert at_once["sub_id"]["id"] == successor
    town.poll(stream, ack=[told["jti"], at_once["jti"]])
    town.bureau.change(new, CardChange.RELEASE)
    town.bureau.turn()
    assert [item["sub_id"]["id"] for item in town.poll(stream).values()] == [successor]


def test_a_pause_keeps_what_comes_and_a_removed_subject_is_told_no_more(town: Town) -> None:
    stream = town.post("/v1/ssf/streams", {"events_requested": [OWN]}, status=201)["stream_id"]
    card_ref, reference = subject_of(town, stream)
    assert town.post("/v1/ssf/status", {"stream_id": stream, "status": "paused"})["status"] == "paused"
    town.bureau.flip(card_ref)
    town.bureau.turn()
    assert town.poll(stream) == {}
    town.post("/v1/ssf/status", {"stream_id": stream, "status": "enabled"})
    town.bureau.turn()
    (told,) = town.poll(stream).values()
    subject = {"stream_id": stream, "subject": {"format": "opaque", "id": reference}}
    for _ in range(2):
        town.post("/v1/ssf/subjects:remove", subject, status=204)
    town.bureau.flip(card_ref)
    town.bureau.turn()
    assert set(town.poll(stream)) == {told["jti"]}
    assert town.http.delete(f"/v1/ssf/streams?stream_id={stream}", headers=town.bank).status_code == 204
    assert town.get("/v1/ssf/streams") == []


def test_whoever_was_away_catches_up_by_number(town: Town) -> None:
    made = town.post("/v1/webhooks", {"endpoint": HOOK}, status=201)
    stream = made["stream_id"]
    card_ref, _ = subject_of(town, stream)
    town.bureau.flip(card_ref, 5)
    town.bureau.turn()
    missed = town.get(f"/v1/partner-streams/{stream}/events?since=2&limit=2")["events"]
    assert [item["number"] for item in missed] == [3, 4]
    now = town.bureau.service.clock()
    event = unwrap(missed[0]["body"].encode(), missed[0]["headers"], [made["secret"]], now=now)
    assert event.number == 3
    assert event.id == f"msg_{missed[0]['event_id']}"
    town.post(f"/v1/partner-streams/{stream}/catch-up", {"seq": 0}, town.operator)
    town.bureau.turn()
    assert town.bureau.receiver.numbers() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    town.post(f"/v1/partner-streams/{stream}/deliveries/3/resend", None)
    town.bureau.turn()
    assert town.bureau.receiver.numbers()[-1] == 3
    assert town.get("/v1/partner-streams", town.operator)["streams"][0]["waiting"] == 0


def test_the_receiver_is_told_when_an_operator_pauses_its_stream(town: Town) -> None:
    delivery = {"method": PUSH, "endpoint_url": HOOK}
    stream = town.post("/v1/ssf/streams", {"delivery": delivery}, status=201)["stream_id"]
    body = {"status": "paused", "reason": "contract_ended"}
    town.post(f"/v1/partner-streams/{stream}/status", body, town.operator)
    town.bureau.turn()
    (told,) = town.bureau.receiver.heard
    (members,) = told["events"].values()
    assert members == {"status": "paused", "reason": "contract_ended"}
    assert town.get(f"/v1/ssf/status?stream_id={stream}")["reason"] == "contract_ended"


BAD = [
    ("/v1/ssf/streams", {"delivery": {"method": PUSH}}, 400, "bad_endpoint"),
    ("/v1/ssf/streams", {"delivery": {"method": PUSH, "endpoint_url": "http://partner.example/"}}, 400, "bad_endpoint"),
    ("/v1/ssf/streams", {"delivery": {"method": POLL, "endpoint_url": HOOK}}, 201, ""),
    ("/v1/ssf/streams", {"delivery": {"method": "carrier pigeon"}}, 422, "invalid_request"),
    ("/v1/ssf/streams", {"status": "enabled"}, 422, "invalid_request"),
    ("/v1/webhooks", {"endpoint": "https://127.0.0.1/x"}, 400, "bad_endpoint"),
    ("/v1/webhooks", {"endpoint": "https://169.254.169.254/latest/meta-data"}, 400, "bad_endpoint"),
    ("/v1/webhooks", {"endpoint": HOOK, "description": "a\u0007"}, 400, "bad_partner_stream"),
    ("/v1/ssf/verify", {"stream_id": "zz"}, 422, "invalid_request"),
    (
        "/v1/ssf/subjects:add",
        {"stream_id": "a" * 32, "subject": {"format": "email", "email": "x"}},
        422,
        "invalid_request",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD)
def test_bad_input_has_a_clear_outcome_in_both_languages(
    town: Town, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    titles = set()
    for language in ("en", "zh-CN"):
        response = town.http.post(path, json=body, headers=town.bank | {"Accept-Language": language})
        assert response.status_code == status, response.text
        if code:
            assert response.json()["code"] == code
            titles.add(response.json()["title"])
    assert len(titles) == (2 if code else 0)


def test_streams_and_verifications_are_bounded(town: Town) -> None:
    for _ in range(MAX_STREAMS):
        stream = town.post("/v1/ssf/streams", {}, status=201)["stream_id"]
    assert town.post("/v1/ssf/streams", {}, status=409)["code"] == "partner_streams_full"
    town.post("/v1/ssf/verify", {"stream_id": stream}, status=204)
    too_soon = town.post("/v1/ssf/verify", {"stream_id": stream}, status=422)
    assert too_soon["code"] == "partner_verification_too_soon"
    town.bureau.service.clock.advance(10)
    town.post("/v1/ssf/verify", {"stream_id": stream, "state": "中文"}, status=204)
    town.bureau.turn()
    answers = [members for item in town.poll(stream).values() for members in item["events"].values()]
    assert answers == [{}, {"state": "中文"}]


def test_a_stream_keeps_its_method_and_takes_a_new_address(town: Town) -> None:
    delivery = {"method": PUSH, "endpoint_url": HOOK, "authorization_header": "secret one"}
    made = town.post("/v1/ssf/streams", {"delivery": delivery, "description": "old"}, status=201)
    change = {"stream_id": made["stream_id"], "description": "new"}
    patched = town.http.patch("/v1/ssf/streams", json=change, headers=town.bank).json()
    assert (patched["description"], patched["delivery"]) == ("new", made["delivery"])
    poll = {"stream_id": made["stream_id"], "delivery": {"method": POLL}}
    refused = town.http.put("/v1/ssf/streams", json=poll, headers=town.bank)
    assert (refused.status_code, refused.json()["code"]) == (422, "partner_method_fixed")
    moved = {"stream_id": made["stream_id"], "delivery": delivery | {"endpoint_url": HOOK + "/2"}}
    replaced = town.http.put("/v1/ssf/streams", json=moved, headers=town.bank).json()
    assert replaced["delivery"]["endpoint_url"] == HOOK + "/2"
    assert "description" not in replaced
