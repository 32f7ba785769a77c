"""A channel offers a link's e-card to the holder's own wallet: only its own links, only with the scope, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card import sd_jwt
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.web.app import create_app
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import claimed
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.wallet_kit import Key, Wallet
from tests.journeys.channels.test_wallet_page import REDIRECT, code_of, redeemed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("offers"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def bank(service: Service, http: TestClient) -> AdmittedChannel:
    return admit(service, (Scope.OFFER,), client=http)


def test_a_link_s_ecard_is_offered_and_ends_with_the_link(
    service: Service, http: TestClient, bank: AdmittedChannel
) -> None:
    link_id = claimed(service, bank, 1)
    offer = bank.post(f"/v1/links/{link_id}/offers", {})
    assert offer.status_code == 201, offer.text
    assert offer.headers["cache-control"] == "no-store"
    wallet = Wallet(http, service.clock)
    assert wallet.take(offer.json()).status_code == 200
    keys, nonce = [Key() for _ in range(6)], wallet.nonce()
    answer = wallet.request(*keys, nonce=nonce)
    issued: list[Any] = [sd_jwt.parse(item["credential"]).payload for item in answer.json()["credentials"]]
    assert [one["cnf"] for one in issued] == [{"jwk": key.jwk} for key in keys[:4]]  # as many as a link may have
    assert wallet.request(*keys, nonce=nonce).json() == answer.json()
    assert wallet.request(Key()).json()["error"] == "credential_request_denied"
    link = service.issuer.links.get(bank.app_id, link_id)
    card_ref = service.issuer.register.card_of_ecard(link.ecard_id) or ""
    places = {one["status"]["status_list"]["idx"] for one in issued}
    rows = [row for row in service.issuer.register.credentials_of(card_ref) if row.index in places]
    assert {row.state.value for row in rows} == {"live"}
    told = {"notification_id": answer.json()["notification_id"], "event": "credential_deleted"}
    assert wallet.post("notification", told).status_code == 204
    rows = [row for row in service.issuer.register.credentials_of(card_ref) if row.index in places]
    assert {row.state.value for row in rows} == {"ended"}


def test_a_link_s_offer_is_taken_up_on_the_page_too(service: Service, http: TestClient, bank: AdmittedChannel) -> None:
    """The authorization code flow, which a wallet may begin by the same offer."""
    service.issuer.wallets.clients.add("wallet-1", "Wallet One", [REDIRECT], "anna", service.clock())
    link_id = claimed(service, bank, 7)
    offer = bank.post(f"/v1/links/{link_id}/offers", {}).json()
    wallet = Wallet(http, service.clock, Key(), "wallet-1")
    taken = redeemed(wallet, code_of(wallet, offer, http))
    assert taken.status_code == 200, taken.text
    issued = wallet.request(Key())
    assert issued.status_code == 200, issued.text
    link = service.issuer.links.get(bank.app_id, link_id)
    (one,) = issued.json()["credentials"]
    place = sd_jwt.parse(one["credential"]).payload["status"]["status_list"]["idx"]  # type: ignore[index]
    rows = service.issuer.register.credentials_of(service.issuer.register.card_of_ecard(link.ecard_id) or "")
    assert [row.ecard_id for row in rows if row.index == place] == [link.ecard_id]


def test_of_another_s_link_and_of_one_that_was_released_nothing_is_offered(
    service: Service, http: TestClient, bank: AdmittedChannel
) -> None:
    other = admit(service, client=http)
    theirs = claimed(service, other, 2)
    refused = bank.post(f"/v1/links/{theirs}/offers", {})
    assert (refused.status_code, refused.json()["code"]) == (404, "link_unknown")
    own = claimed(service, bank, 3)
    wallet = Wallet(http, service.clock)
    wallet.take(bank.post(f"/v1/links/{own}/offers", {}).json())
    link = service.issuer.links.get(bank.app_id, own)
    service.issuer.links.release(link, service.clock())
    denied = wallet.request(Key()).json()
    assert denied["error"] == "credential_request_denied"
    assert "link_released" in denied["error_description"]
    refused = bank.post(f"/v1/links/{own}/offers", {})
    assert (refused.status_code, refused.json()["code"]) == (422, "link_released")


def test_nothing_is_issued_on_the_offer_of_a_channel_that_was_suspended_meanwhile(
    service: Service, http: TestClient
) -> None:
    channel = admit(service, client=http)
    offer = channel.post(f"/v1/links/{claimed(service, channel, 4)}/offers", {})
    wallet = Wallet(http, service.clock)
    assert wallet.take(offer.json()).status_code == 200
    service.issuer.channels.office.suspend(channel.app_id, "keys lost", "operator one", service.clock())
    denied = wallet.request(Key()).json()
    assert denied["error"] == "credential_request_denied"
    assert "app_suspended" in denied["error_description"]
