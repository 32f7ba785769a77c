"""What channels are told of their links when somebody else acts: another app, a desk, the authority."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from ecard_card.status import CardChange
from ecard_issuer.links.values import LinkEnd
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import claimed, person
from tests.issuer.service import Service, open_service

Json = dict[str, Any]
PASSWORD, OTHER = "739184", "846207"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("link-news"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    return TestClient(create_app(service.issuer), raise_server_exceptions=False)  # not started: no worker runs


@pytest.fixture(scope="module")
def bank(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)


@pytest.fixture(scope="module")
def town(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)


def ok(response: Response) -> Json:
    assert response.status_code in (200, 201), response.text
    answer: Json = response.json()
    return answer


def told(service: Service, channel: AdmittedChannel, link_id: str) -> list[tuple[str, str | None]]:
    """Type and action type of what a channel was told of a link, in order, and nothing of the person in it."""
    service.issuer.dispatcher.turn()
    service.issuer.channel_events.worker.turn()
    events = ok(channel.get("/v1/events?cursor=0"))["data"]
    assert PASSWORD not in json.dumps(events)
    return [(event["type"], event.get("action_type")) for event in events if event["link_id"] == link_id]


@pytest.fixture(scope="module")
def desk(service: Service, client: TestClient) -> Callable[[str, Json], Json]:
    """Asks as one and the same clerk."""
    headers = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    return lambda path, body: ok(client.post(path, json=body, headers=headers))


def test_every_app_hears_that_the_password_is_another_one_and_nothing_of_it(
    service: Service, desk: Callable[[str, Json], Json], bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    mine, theirs = claimed(service, bank, 3), claimed(service, town, 3)
    ecard_id = service.issuer.links.get(bank.app_id, mine).ecard_id
    ok(bank.post(f"/v1/links/{mine}/password", {"password": PASSWORD}))
    service.clock.advance(1)
    ok(town.post(f"/v1/links/{theirs}/password", {"password": OTHER, "old_password": PASSWORD}))
    number = person(service, 3).id_number.text
    anew = {"ecard_id": ecard_id, "document_number": number, "new_password": PASSWORD, "event_id": "reset-1"}
    for _ in range(2):  # the answer was lost
        service.clock.advance(1)
        desk("/v1/ecard-passwords/reset", anew)
    for channel, link_id in ((bank, mine), (town, theirs)):
        assert told(service, channel, link_id) == [CLAIMED, *[("password.changed", "002")] * 3]


def test_a_cancelled_card_ends_every_link_before_anybody_asks(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    mine, theirs, other = claimed(service, bank, 4), claimed(service, town, 4), claimed(service, bank, 5)
    store = service.issuer.links.store
    kept = store.find_link(bank.app_id, mine)
    assert kept is not None
    service.issuer.links.codes(kept, 1, service.clock())
    service.clock.advance(1)
    service.issuer.lifecycle.change(person(service, 4).card_ref, CardChange.CANCEL, service.clock())
    service.issuer.dispatcher.turn()
    service.issuer.channel_events.worker.turn()
    ended = store.find_link(bank.app_id, mine)
    assert ended is not None
    assert ended.end is LinkEnd.CARD_ENDED
    assert store.rights_of(mine) == (), "and no key is kept for it"
    for channel, link_id in ((bank, mine), (town, theirs)):
        assert told(service, channel, link_id) == [CLAIMED, ("card.cancelled", None), ("link.released", "003")]
        state = ok(channel.get(f"/v1/links/{link_id}"))
        assert (state["end"], state["usable"], state["status"]) == ("card_ended", False, "invalid")
    assert told(service, bank, other) == [CLAIMED]


def test_a_card_that_is_cancelled_for_a_new_one_keeps_its_links(
    service: Service, desk: Callable[[str, Json], Json], bank: AdmittedChannel
) -> None:
    link_id = claimed(service, bank, 6)
    service.clock.advance(1)
    card = {"card_ref": person(service, 6).card_ref}
    desk("/v1/losses", card | {"request_id": "lost-6", "kind": "formal"})
    desk("/v1/replacements", card | {"request_id": "new-6", "reason": "loss"})
    said = told(service, bank, link_id)
    assert "link.released" not in [kind for kind, _ in said]
    assert ok(bank.get(f"/v1/links/{link_id}"))["end"] is None


CLAIMED = ("link.claimed", "001")


def test_every_app_hears_once_that_another_or_a_desk_opened_or_closed_payment(
    service: Service, desk: Callable[[str, Json], Json], bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    mine, theirs, strangers = claimed(service, bank, 1), claimed(service, town, 1), claimed(service, town, 2)
    ecard_id = service.issuer.links.get(bank.app_id, mine).ecard_id
    path = f"/v1/links/{mine}"
    ok(bank.post(f"{path}/password", {"password": PASSWORD}))
    wish = {"password": PASSWORD, "consent": "payment-1"}
    for _ in range(2):
        ok(bank.post(f"{path}/payment", wish))
    desk("/v1/levels/open", wish | {"ecard_id": ecard_id})  # it is open
    for _ in range(2):
        service.clock.advance(1)
        desk("/v1/levels/close", {"ecard_id": ecard_id})
    service.clock.advance(1)
    ok(town.post(f"/v1/links/{theirs}/payment/close", {}))
    desk("/v1/levels/open", wish | {"ecard_id": ecard_id})
    levels = [("level.changed", "005"), ("level.changed", None), ("level.changed", "005")]
    for channel, link_id in ((bank, mine), (town, theirs)):
        heard = told(service, channel, link_id)
        assert [event for event in heard if event[0] == "level.changed"] == levels
    assert told(service, town, strangers) == [CLAIMED]
