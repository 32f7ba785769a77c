"""Live and test side by side in one process, over HTTP: what a developer does with magic people; what stays shut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_card.card import HolderProof, IdNumber
from ecard_card.errors import EcardError
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_issuer.deployment import Deployment, build_all
from ecard_issuer.draft import Drafter
from ecard_issuer.issue import Issuing
from ecard_issuer.links.values import Link
from ecard_issuer.pins.secret import Secret
from ecard_issuer.testmode.people import MAGIC_PEOPLE, TEST_PIN
from ecard_issuer.web.embedded import Embedded, embed_all
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from ecard_verifier.policy import ONLINE_POLICY
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import judged
from tests.issuer.service import START, Clock, Service
from tests.issuer.template import place_register

LIVE, TEST = "http://127.0.0.1:8420", "http://localhost:8420"


@dataclass
class Sides:
    """Both issuers under one application, turned by hand."""

    deployment: Deployment
    embedded: Embedded[Any]
    client: TestClient
    clock: Clock
    bank: AdmittedChannel
    shop: AdmittedChannel

    @property
    def test(self) -> Service:
        assert self.deployment.test is not None
        return Service(self.deployment.test, self.clock, ChipAuthority.create(START))

    def claim(self, channel: AdmittedChannel, number: int) -> Link:
        """By PIN, which the table gives."""
        linking, person = self.test.issuer.linking, MAGIC_PEOPLE[number]
        caller, now = Caller(channel.app_id, Role.CHANNEL), self.clock()
        identified = linking.identifying.identify(IdNumber(person.id_number), person.name, caller, now)
        handle, row = identified.cards[0].handle, identified.row
        opened = linking.claiming.open(row.identification_id, handle, HolderProof.PIN, "ecard-claim-1", caller, now)
        return linking.claiming.prove(opened.row.claim_id, Secret(TEST_PIN), caller, now).link

    def turn(self) -> None:
        issuer = self.test.issuer
        issuer.dispatcher.turn()
        issuer.channel_events.worker.turn()

    def events(self, channel: AdmittedChannel, cursor: str | None = None) -> dict[str, Any]:
        self.turn()
        answer = channel.get("/v1/events" + (f"?cursor={cursor}" if cursor else ""))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    folder, clock = tmp_path_factory.mktemp("sides"), Clock()
    for each in (folder, folder / "test"):
        place_register(each)
    given: dict[str, Any] = {"data_dir": folder, "public_origin": LIVE, "test_origin": TEST, "approvals_needed": 0}
    deployment = build_all(load(**given), clock=clock, with_test=True)
    assert deployment.test is not None
    deployment.test.test_mode.seed(clock())
    embedded = embed_all(deployment)
    client = TestClient(embedded.app, base_url=TEST, raise_server_exceptions=False)
    test = Service(deployment.test, clock, ChipAuthority.create(START))
    channels = [admit(test, client=client) for _ in range(2)]
    yield Sides(deployment, embedded, client, clock, *channels)
    deployment.close()


def test_the_test_issuer_has_roots_keys_and_a_trust_list_of_its_own(sides: Sides) -> None:
    live, test = sides.deployment.everyone
    lists = [issuer.keys.board.latest() for issuer in (live, test)]
    assert [[entry.issuer for entry in one.issuers] for one in lists if one] == [[LIVE], [TEST]]
    assert live.keys.board.root() != test.keys.board.root()
    assert [each.settings.allow_test_chips for each in (live, test)] == [False, True]
    assert (test.settings.data_dir / "root-keys.json").exists()


def test_each_is_reached_by_its_name_and_the_live_one_by_every_other(sides: Sides) -> None:
    for base, wanted in ((LIVE, LIVE), (TEST, TEST), ("http://LOCALHOST:8420", TEST), ("http://tunnel:1", LIVE)):
        assert sides.client.get(base + "/.well-known/jwt-vc-issuer").json()["issuer"] == wanted


def test_an_app_of_the_other_mode_is_told_where_it_belongs(sides: Sides) -> None:
    live = Service(sides.deployment.main, sides.clock, ChipAuthority.create(START))
    at_live = TestClient(sides.embedded.app, base_url=LIVE, raise_server_exceptions=False)
    app = admit(live, client=at_live)
    assert (app.app_id[:8], sides.bank.app_id[:8]) == ("ek_live_", "ek_test_")
    for channel, client, origin, other in ((sides.bank, at_live, LIVE, TEST), (app, sides.client, TEST, LIVE)):
        lost = AdmittedChannel(channel.app_id, channel.signer, client, sides.clock, origin)
        answer = lost.ask_token()
        assert (answer.status_code, answer.json()["code"]) == (400, "app_of_other_mode")
        assert other in answer.json()["error_description"]
    stolen = AdmittedChannel(app.app_id, app.signer, at_live, sides.clock, LIVE, sides.bank.dpop)
    stolen._tokens[None] = sides.bank.token(), sides.clock().timestamp() + 100
    assert stolen.get("/v1/channel").status_code == 401  # a token is known to the issuer that gave it


def test_routes_of_test_mode_exist_at_a_test_issuer_only(sides: Sides) -> None:
    operator = sides.deployment.main.operators.add("nosy", Role.OPERATOR, sides.clock()).token
    for path in ("people", "people/1/identity", "chips/1/answer", "triggers", "reset"):
        for method in ("GET", "POST"):
            headers = {"Authorization": f"Bearer {operator}", "Idempotency-Key": "a"}
            answer = sides.client.request(method, f"{LIVE}/v1/test/{path}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_only_a_channel_of_the_scope_may_use_them(sides: Sides) -> None:
    narrow = admit(sides.test, [Scope.SHOW], client=sides.client)
    for method, path in (
        ("get", "people"),
        ("post", "triggers"),
        ("post", "reset"),
        ("post", "chips/1/answer"),
        ("post", "people/1/identity"),
    ):
        assert getattr(narrow, method)(f"/v1/test/{path}").json()["code"] == "scope_missing"
        assert getattr(sides.client, method)(f"{TEST}/v1/test/{path}").status_code == 401


def test_the_table_is_told(sides: Sides) -> None:
    people = sides.bank.get("/v1/test/people").json()["data"]
    assert [one["number"] for one in people] == list(MAGIC_PEOPLE)
    assert (people[0]["id_number"], people[0]["pin"], people[0]["outcome"]) == (
        "00009919900101001X",
        TEST_PIN,
        "normal",
    )
    assert [one["slow_seconds"] for one in people if one["slow_seconds"]] == [3.0]


def test_a_chip_answers_over_http(sides: Sides) -> None:
    issuer = sides.test.issuer
    opened = issuer.enrolment.begin("desk", sides.clock())
    challenge = opened.challenge.digest().hex()
    answer = sides.bank.post("/v1/test/chips/11/answer", {"challenge": challenge})
    assert answer.status_code == 200, answer.text
    issuer.enrolment.complete(opened.enrolment_id, Evidence.from_json(answer.content), sides.clock())
    assert sides.bank.post("/v1/test/chips/77/answer", {"challenge": challenge}).json()["code"] == "test_person_unknown"
    assert sides.bank.post("/v1/test/chips/1/answer", {"challenge": "ab"}).status_code == 422


def test_a_trigger_changes_the_card_and_each_channel_hears_of_its_own_link(sides: Sides) -> None:
    bank, shop = (sides.claim(channel, 1) for channel in (sides.bank, sides.shop))
    before = sides.events(sides.bank)
    for event in ("card.lost", "card.found", "card.replaced"):
        sides.clock.advance(1)
        answer = sides.bank.post("/v1/test/triggers", {"event": event, "link_id": bank.link_id})
        assert answer.status_code == 200, answer.text
    told = sides.events(sides.bank, before["cursor"])
    assert [(one["type"], one["status"]) for one in told["data"]] == [
        ("card.lost", "suspended"),
        ("card.found", "valid"),
        ("card.replaced", "valid"),
    ]
    assert {one["link_id"] for one in told["data"]} == {bank.link_id}
    assert {one["link_id"] for one in sides.events(sides.shop)["data"]} == {shop.link_id}
    assert "ecard_id" not in str(told)
    sides.clock.advance(1)
    answer = sides.bank.post("/v1/test/triggers", {"event": "card.lost"})  # the new card, by the link claimed last
    assert answer.json()["link_id"] == bank.link_id
    assert sides.events(sides.bank, told["cursor"])["data"][0]["type"] == "card.lost"
    refused = sides.bank.post("/v1/test/triggers", {"event": "card.lost"})
    assert (refused.status_code, refused.json()["code"]) == (422, "card_change_impossible")
    foreign = sides.bank.post("/v1/test/triggers", {"event": "card.found", "link_id": shop.link_id})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "link_unknown")


def test_a_reset_releases_the_channels_links_and_brings_people_back(sides: Sides) -> None:
    sides.claim(sides.bank, 6)
    sides.clock.advance(1)
    assert sides.bank.post("/v1/test/triggers", {"event": "card.cancelled"}).status_code == 200
    sides.clock.advance(1)
    done = sides.bank.post("/v1/test/reset")
    assert done.status_code == 200, done.text
    assert done.json()["restored"] >= 1
    sides.clock.advance(1)
    assert sides.claim(sides.bank, 6).ended_at is None
    assert sides.bank.post("/v1/test/reset").json()["released"] == 1
    assert sides.shop.post("/v1/test/reset").status_code == 200
    with_none = sides.bank.post("/v1/test/triggers", {"event": "card.lost"})
    assert (with_none.status_code, with_none.json()["code"]) == (404, "link_unknown")


def test_a_test_card_is_good_for_a_verifier_that_accepts_them_and_for_no_other(sides: Sides) -> None:
    sides.clock.advance(5)
    (code,) = sides.test.issuer.links.codes(sides.claim(sides.shop, 8), 1, sides.clock())
    assert judged(sides.test, code.text).reason == "test_card"
    accepting = judged(sides.test, code.text, replace(ONLINE_POLICY, accept_test=True))
    assert (accepting.outcome, accepting.reason, accepting.test_card) == ("valid", "ok", True)
    counter = sides.deployment.main.operators.add("counter", Role.COUNTER, sides.clock()).token
    answer = sides.client.post(
        LIVE + "/v1/verifications", json={"code": code.text}, headers={"Authorization": f"Bearer {counter}"}
    )
    assert answer.json()["outcome"] in ("invalid", "undecided"), answer.json()


def test_the_signing_desk_of_a_test_issuer_signs_no_card_without_the_mark(sides: Sides) -> None:
    issuer = sides.test.issuer
    unmarked = Drafter(replace(issuer.collecting._profile, test=False), issuer.cards)
    forger = Issuing(issuer.register, issuer.cards, issuer.keys, issuer.signing, unmarked, owner="forger")
    opened = issuer.enrolment.begin("desk", sides.clock())
    assert issuer.test_mode.cards is not None
    evidence = issuer.test_mode.cards.answer(11, opened.challenge.digest())
    proven = issuer.enrolment.complete(opened.enrolment_id, evidence, sides.clock())
    with pytest.raises(EcardError, match="test-card"):
        forger.issue_to(proven.enrolment_id, DeviceKey.generate().point, sides.clock())
    issued = issuer.issuing.issue_to(proven.enrolment_id, DeviceKey.generate().point, sides.clock())
    assert b"test_card" in jose.b64url_decode(issued.sd_jwt.split(".")[1])
