"""Tickets and sessions over HTTP: what opens one, what one may do, and everything that is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_issuer.channels.scopes import Scope
from ecard_qr import payload
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit, registration
from tests.issuer.links_kit import claimed, judged
from tests.issuer.service import ORIGIN, Service

PAGE = "https://app.bank.example"


@pytest.fixture(scope="module")
def link_id(service: Service, channel: AdmittedChannel) -> str:
    return claimed(service, channel, 1)


def asked(channel: AdmittedChannel, link_id: str, **body: Any) -> Response:
    return channel.post(f"/v1/links/{link_id}/tickets", {"origin": PAGE} | body)


def ticket(channel: AdmittedChannel, link_id: str, **body: Any) -> str:
    answer = asked(channel, link_id, **body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ticket"])


def redeem(client: TestClient, secret: str, origin: str | None = PAGE) -> Response:
    headers = {} if origin is None else {"Origin": origin}
    return client.post("/v1/sessions", json={"ticket": secret}, headers=headers)


class Page:
    """A page with its session."""

    def __init__(self, client: TestClient, answer: Response, origin: str | None = PAGE) -> None:
        assert answer.status_code == 201, answer.text
        self.client, self.session = client, answer.json()
        self.path = f"/v1/sessions/{self.session['session_id']}"
        self.headers = {"Authorization": f"Bearer {self.session['token']}"} | ({"Origin": origin} if origin else {})

    def post(self, what: str, body: dict[str, Any]) -> Response:
        return self.client.post(f"{self.path}/{what}", json=body, headers=self.headers)

    def state(self, after: str = "") -> Response:
        return self.client.get(f"{self.path}/state", params={"after": after}, headers=self.headers)

    def device(self, service: Service, key: DeviceKey, challenge: str | None = None) -> Response:
        proof = key.proof(ORIGIN, challenge or self.session["device_challenge"], service.clock())
        return self.post("device", {"device_key": key.public_jwk, "proof": proof})


def refused(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_page_gets_a_credential_for_its_own_key_and_codes_of_it_are_good(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    page, key = Page(client, redeem(client, ticket(channel, link_id))), DeviceKey.generate()
    assert page.session["usable"] is True
    assert page.session["link_id"] == link_id
    first = page.device(service, key).json()
    assert page.device(service, key).json() == first, "sent again, the same credential"
    compact = jose.b64url_decode(first["credential"])
    assert judged(service, key.offline_code(compact, service.clock())).reason == "ok"
    assert judged(service, key.online_code(compact, service.clock())).reason == "ok"


def test_a_page_without_a_key_gets_codes_and_no_more_than_the_region_permits(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    page = Page(client, redeem(client, ticket(channel, link_id)))
    codes = page.post("codes", {"count": 60}).json()["codes"]
    assert len(codes) == 1 == page.session["prefetch"]
    assert judged(service, codes[0]["code"]).reason == "ok"
    assert payload.parse(codes[0]["code"])
    assert page.post("codes", {"count": 0}).status_code == 422


def test_a_number_stands_for_a_code_of_this_card_until_the_code_is_over(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    page = Page(client, redeem(client, ticket(channel, link_id)))
    code = page.post("codes", {}).json()["codes"][0]["code"]
    number = page.post("numbers", {"code": code}).json()["number"]
    verifier = {"Authorization": f"Bearer {service.token(Role.VERIFIER)}"}
    found = client.post("/v1/numbers/find", json={"number": number, "counter": "till 1"}, headers=verifier)
    assert found.json() == {"code": code}
    other = Page(client, redeem(client, ticket(channel, claimed(service, channel, 3))))
    assert refused(other.post("numbers", {"code": code})) == (400, "code_not_of_this_card")
    assert refused(page.post("numbers", {"code": "EC0:AAAA"})) == (400, "code_damaged")
    service.clock.advance(60)
    assert refused(page.post("numbers", {"code": code})) == (400, "code_not_of_this_card")
    over = client.post("/v1/numbers/find", json={"number": number}, headers=verifier)
    assert refused(over) == (404, "number_unknown")


def test_a_mini_program_has_no_origin_and_a_browser_always_has_one(
    client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    assert Page(client, redeem(client, ticket(channel, link_id, origin=None), None), None).state().status_code == 200
    assert refused(redeem(client, ticket(channel, link_id, origin=None))) == (403, "ticket_wrong_page")
    assert refused(redeem(client, ticket(channel, link_id), None)) == (403, "ticket_wrong_page")


def test_tickets_are_for_the_channels_own_links_and_pages(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    other = admit(service, client=client)
    assert refused(asked(other, link_id)) == (404, "link_unknown")
    for page in ("https://evil.example", "null", PAGE + "/", "https://APP.bank.example", ""):
        assert refused(asked(channel, link_id, origin=page)) == (422, "page_not_registered")
    narrow = admit(service, [scope for scope in Scope if scope is not Scope.SHOW], client=client)
    assert refused(asked(narrow, link_id)) == (403, "scope_missing")


def test_a_ticket_asked_for_again_under_its_key_is_the_same_one(channel: AdmittedChannel, link_id: str) -> None:
    path, body = f"/v1/links/{link_id}/tickets", {"origin": PAGE}
    first, again = (channel.post(path, body, key="one-act").json() for _ in range(2))
    assert first == again != channel.post(path, body, key="another-act").json()


def test_a_ticket_is_good_once_for_thirty_seconds_on_one_page(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    for nonsense in ("et_" + "A" * 43, "x", "et_" + "é" * 43):
        assert refused(redeem(client, nonsense)) == (401, "ticket_unknown")
    late = ticket(channel, link_id)
    service.clock.advance(30)
    assert refused(redeem(client, late)) == (401, "ticket_expired")
    stolen = ticket(channel, link_id)
    assert refused(redeem(client, stolen, "https://evil.example")) == (403, "ticket_wrong_page")
    assert refused(redeem(client, stolen)) == (401, "ticket_used"), "somebody else has seen it"


def test_used_twice_it_ends_its_session(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    secret = ticket(channel, link_id)
    page = Page(client, redeem(client, secret))
    assert page.state().json()["usable"] is True
    assert refused(redeem(client, secret)) == (401, "ticket_used")
    for answer in (page.state(), page.post("codes", {}), page.device(service, DeviceKey.generate())):
        assert refused(answer) == (401, "session_over")


@pytest.mark.parametrize(("seconds", "origin"), [(31, PAGE), (0, "https://evil.example")])
def test_a_ticket_that_was_used_ends_its_session_whenever_and_wherever_it_comes_again(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str, seconds: int, origin: str
) -> None:
    """That it is too old by then, or from another page, is no excuse: somebody else has it."""
    secret = ticket(channel, link_id)
    page = Page(client, redeem(client, secret))
    service.clock.advance(seconds)
    assert refused(redeem(client, secret, origin)) == (401, "ticket_used")
    assert refused(page.state()) == (401, "session_over")


def test_of_many_at_once_at_most_one_opens_it(client: TestClient, channel: AdmittedChannel, link_id: str) -> None:
    secret = ticket(channel, link_id)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: redeem(client, secret), range(8)))
    opened = [answer for answer in answers if answer.status_code == 201]
    assert len(opened) == 1
    assert {refused(answer) for answer in answers if answer not in opened} == {(401, "ticket_used")}
    assert refused(Page(client, opened[0]).state()) == (401, "session_over")


def test_a_session_is_one_pages_for_ten_minutes(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    page, other = (Page(client, redeem(client, ticket(channel, link_id))) for _ in range(2))
    own = page.headers
    page.headers = own | {"Origin": "https://evil.example"}
    assert refused(page.state()) == (403, "session_wrong_page")
    page.headers = {"Authorization": own["Authorization"]}
    assert refused(page.state()) == (403, "session_wrong_page")
    page.headers = own | {"Authorization": other.headers["Authorization"]}
    assert refused(page.state()) == (401, "session_unknown")
    page.headers = own
    service.clock.advance(599)
    assert page.state().status_code == 200
    service.clock.advance(1)
    assert refused(page.state()) == (401, "session_over")


def test_a_released_link_opens_nothing_and_is_told(
    service: Service, client: TestClient, channel: AdmittedChannel
) -> None:
    gone = claimed(service, channel, 2)
    page, waiting = Page(client, redeem(client, ticket(channel, gone))), ticket(channel, gone)
    service.issuer.links.release(service.issuer.links.get(channel.app_id, gone), service.clock())
    assert refused(asked(channel, gone)) == (422, "link_released")
    assert refused(redeem(client, waiting)) == (422, "link_released")
    assert page.state("usable").json() == {"usable": False, "reason": "released", "version": "released"}
    for answer in (page.post("codes", {}), page.device(service, DeviceKey.generate())):
        assert refused(answer) == (422, "link_released")


def test_a_device_key_is_shown_to_be_there_for_this_session(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    page, other = (Page(client, redeem(client, ticket(channel, link_id))) for _ in range(2))
    key = DeviceKey.generate()
    assert refused(page.device(service, key, other.session["device_challenge"])) == (400, "bad_device_proof")
    proof = key.proof(ORIGIN, page.session["device_challenge"], service.clock())
    foreign = {"device_key": DeviceKey.generate().public_jwk, "proof": proof}
    assert refused(page.post("device", foreign)) == (400, "bad_device_proof")
    private = {"device_key": key.public_jwk | {"d": "A" * 43}, "proof": proof}
    assert page.post("device", private).status_code == 422


def test_only_registered_pages_may_read_answers_in_a_browser(
    client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    known = client.options("/v1/sessions", headers={"Origin": PAGE, **asks})
    assert (known.status_code, known.headers["access-control-allow-origin"]) == (204, PAGE)
    assert "access-control-allow-credentials" not in known.headers
    for stranger in ("https://evil.example", "null", "x" * 2000):
        answer = client.options("/v1/sessions", headers={"Origin": stranger, **asks})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    opened = redeem(client, ticket(channel, link_id))
    assert opened.headers["access-control-allow-origin"] == PAGE
    assert "Date" in opened.headers["access-control-expose-headers"]
    assert "set-cookie" not in opened.headers
    assert "access-control-allow-origin" not in redeem(client, "x", "https://evil.example").headers
    assert redeem(client, "x").headers["access-control-allow-origin"] == PAGE, "a page may read why it was refused"
    beside = client.get("/v1/links", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in beside.headers


def test_secrets_are_kept_as_hashes_and_a_day_later_not_at_all(
    service: Service, client: TestClient, channel: AdmittedChannel, link_id: str
) -> None:
    secret = ticket(channel, link_id)
    page = Page(client, redeem(client, secret))
    store = service.issuer.showing.tickets.store
    row = store.find(page.session["session_id"])
    assert row is not None
    assert page.session["token"] not in repr(row)
    assert secret[3:] not in str(row)
    assert row.token_hash not in (None, page.session["token"])
    now = service.clock.advance(24 * 3600 + 1)
    service.issuer.showing.tickets.upkeep(now)
    assert store.find(page.session["session_id"]) is None


def test_the_pages_of_a_suspended_channel_are_out_at_their_next_call(service: Service, client: TestClient) -> None:
    channel = admit(service, client=client)
    link_id = claimed(service, channel, 41)
    page, waiting = Page(client, redeem(client, ticket(channel, link_id))), ticket(channel, link_id)
    service.issuer.channels.office.suspend(channel.app_id, "keys lost", "operator one", service.clock())
    assert refused(page.post("codes", {})) == (403, "app_suspended")
    assert refused(page.device(service, DeviceKey.generate())) == (403, "app_suspended")
    assert refused(page.state()) == (403, "app_suspended")
    assert refused(redeem(client, waiting)) == (403, "app_suspended")


def test_pages_that_wait_are_told_of_the_suspension_at_once(service: Service, client: TestClient) -> None:
    """So is the back end that waits for events."""
    channel = admit(service, client=client)
    page = Page(client, redeem(client, ticket(channel, claimed(service, channel, 42))))
    version, path = page.state().json()["version"], f"/v1/channels/{channel.app_id}/suspend"
    cursor = channel.get("/v1/events?limit=100").json()["cursor"]
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    before = monotonic()
    with ThreadPoolExecutor(2) as pool:
        waiting = (
            pool.submit(page.state, version),
            pool.submit(channel.get, f"/v1/events?wait=25&cursor={cursor}"),
        )
        while service.issuer.showing.watch.waiting == 0:
            assert monotonic() - before < 10
        assert client.post(path, json={"reason": "keys lost"}, headers=operator).status_code == 200
        assert {refused(each.result()) for each in waiting} == {(403, "app_suspended")}
    assert monotonic() - before < 10, "not at the end of their 25 seconds"


def test_a_page_whose_origin_was_taken_away_is_out_at_its_next_call(service: Service, client: TestClient) -> None:
    channel = admit(service, client=client)
    link_id = claimed(service, channel, 43)
    page, own = Page(client, redeem(client, ticket(channel, link_id))), ticket(channel, link_id, origin=None)
    program = Page(client, redeem(client, own, None), None)
    document = registration(channel.signer, browser_origins=["https://other.example"])
    office = service.issuer.channels.office
    office.change(channel.app_id, office.registration(document), "operator one", service.clock())
    assert refused(page.state()) == (403, "session_wrong_page")
    assert program.state().status_code == 200


def test_pages_behind_one_address_are_counted_each_by_its_session(service: Service, channel: AdmittedChannel) -> None:
    """A whole town may share an address; who shows no session or ticket is counted by it."""
    behind = TestClient(channel.client.app, client=("192.0.2.44", 1), raise_server_exceptions=False)
    link_id, conventions = claimed(service, channel, 44), service.issuer.conventions
    first, second = (Page(behind, redeem(behind, ticket(channel, link_id))) for _ in range(2))
    waiting = ticket(channel, link_id)
    for _ in range(conventions.address_quota):
        conventions.address_calls.take("192.0.2.44", conventions.address_quota, service.clock())
    answer = first.state()
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (200, '"session";q=120;w=60')
    assert redeem(behind, waiting).status_code == 201
    assert refused(redeem(behind, "et_" + "A" * 43)) == (429, "rate_limited")
    first.headers["Authorization"] = "Bearer es_" + "A" * 43
    assert refused(first.state()) == (429, "rate_limited")
    for _ in range(119):
        conventions.session_calls.take(second.session["session_id"], 120, service.clock())
    assert second.state().status_code == 200
    assert refused(second.state()) == (429, "rate_limited")
    service.clock.advance(1)
    assert second.state().status_code == 200
