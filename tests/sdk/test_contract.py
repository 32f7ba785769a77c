"""One contract, four ways: both clients at the fake and at the real application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ecard_card.errors import EcardError
from ecard_qr import payload
from ecard_qr.frame import OfflineFrame, OnlineFrame
from ecard_sdk import Device, MemoryStore, errors
from ecard_sdk.channel_models import CardWord, EventType, Proof
from ecard_sdk.device import DeviceKey
from ecard_sdk.holder import Renewal
from ecard_sdk.links_models import Claimed
from ecard_sdk.sync.client import ECardClient
from tests.sdk.houses import ID_NUMBER, NAME, PIN, FakeHouse, House, RealHouse
from tests.sdk.twin import blocking

PASSWORD = "739206"


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, House]]:
    real = RealHouse(tmp_path_factory.mktemp("contract"))
    yield {"fake": FakeHouse(), "app": real}
    real.issuer.close()


@pytest.fixture
def house(request: pytest.FixtureRequest, houses: dict[str, House]) -> House:
    """The second half of `client`'s parameter."""
    return houses[request.node.callspec.params["client"].partition(" ")[2]]


@pytest.fixture(params=["sync fake", "async fake", "sync app"])
def client(request: pytest.FixtureRequest, house: House) -> Iterator[Any]:
    with ExitStack() as stack:
        if request.param.startswith("sync"):
            yield stack.enter_context(house.client())
        else:
            yield stack.enter_context(blocking(house.async_client()))


def claim(client: ECardClient, device: Device | None = None) -> Claimed:
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    assert Proof.PIN in person.cards[0].proofs
    opened = client.claims.begin(person, person.cards[0], Proof.PIN, consent="terms-1", device=device)
    assert (opened.proof, opened.challenge, opened.nonce) == (Proof.PIN, None, None)
    return client.claims.evidence(opened, pin=PIN)


@pytest.mark.parametrize("client", ["sync fake", "async fake", "sync app", "async app"], indirect=True)
def test_from_a_person_to_a_code_and_back(client: ECardClient, house: House) -> None:
    claimed = claim(client)
    assert (claimed.level, claimed.holder_proof, claimed.credential) == (1, Proof.PIN, None)
    link = client.links.get(claimed.link_id)
    assert (link.status, link.usable, link.ended_at, link.level) == (CardWord.VALID, True, None, 1)
    assert link.last_response is not None
    assert link.last_response.request_id
    assert [each.link_id for each in client.links.list()] == [claimed.link_id]
    (code,) = client.links.codes(claimed.link_id)
    assert isinstance(payload.parse(code.code), OnlineFrame)
    assert (code.good_until - code.good_from).total_seconds() == 60
    released = client.links.release(claimed.link_id)
    assert (released.end, released.others) == ("released", 0)
    assert client.links.get(claimed.link_id).end == "released"
    with pytest.raises(errors.RefusedError, match="link_released") as caught:
        client.links.codes(claimed.link_id)
    assert caught.value.doc_url == f"{house.origin}/problems/link_released"
    assert caught.value.title
    assert caught.value.request_id


def test_a_device_has_codes_of_its_own(client: ECardClient, house: House) -> None:
    device = Device(MemoryStore(), clock=house.clock)
    claimed = claim(client, device)
    assert claimed.credential is not None
    held = device.keep(claimed.link_id, claimed.credential.cwt)
    assert (held.credential_id.hex(), held.expires_at) == (
        claimed.credential.credential_id,
        claimed.credential.expires_at,
    )
    assert isinstance(payload.parse(device.code(claimed.link_id)), OfflineFrame)
    assert isinstance(payload.parse(device.short_code(claimed.link_id)), OnlineFrame)


def test_a_device_whose_credential_is_over_claims_again(client: ECardClient, house: House) -> None:
    device = Device(MemoryStore(), clock=house.clock)
    first = claim(client, device)
    assert first.credential is not None
    held = device.keep(first.link_id, first.credential.cwt)
    assert claim(client, device).credential == first.credential
    house.clock.now = held.expires_at
    assert device.renewal(first.link_id) is Renewal.OVER
    again = claim(client, device)
    assert (again.link_id, again.credential is None) == (first.link_id, False)
    assert again.credential is not None
    assert device.keep(again.link_id, again.credential.cwt).credential_id != held.credential_id
    assert device.renewal(again.link_id) is Renewal.FRESH


def test_a_device_is_added_and_renewed_by_what_replaced_its_credential(client: ECardClient, house: House) -> None:
    link_id, device = claim(client).link_id, Device(MemoryStore(), clock=house.clock)
    given = client.links.add_device(link_id, device)
    assert client.links.add_device(link_id, device) == given
    old = device.keep(link_id, given.cwt)

    def collect(credential_id: bytes, key: DeviceKey) -> bytes:
        return client.links.successor(link_id, credential_id, device).cwt

    with pytest.raises(errors.ConflictError, match="credential_not_replaced"):
        device.renew(link_id, collect)
    assert device.held[link_id] == old
    house.replace_key()
    new = device.renew(link_id, collect)
    assert new.credential_id != old.credential_id
    assert collect(old.credential_id, device.key) == new.cwt
    assert isinstance(payload.parse(device.code(link_id)), OfflineFrame)
    other = Device(MemoryStore(), clock=house.clock)
    with pytest.raises(errors.InvalidRequestError, match="bad_device_proof"):
        client.links.successor(link_id, old.credential_id, other)
    with pytest.raises(errors.NotFoundError, match="credential_unknown"):
        client.links.successor(link_id, bytes(16), device)
    with pytest.raises(errors.NotFoundError, match="link_unknown"):
        client.links.add_device("0" * 32, device)


def test_payment_wants_a_password(client: ECardClient) -> None:
    link_id = claim(client).link_id
    with pytest.raises(errors.RefusedError, match="ecard_level_too_low"):
        client.links.codes(link_id, business_type="02", password=PASSWORD)
    if client.links.get(link_id).password_set:  # one password in all apps: a test before this one has set it
        client.links.set_password(link_id, PASSWORD + "", old_password="852741")
    else:
        assert client.links.set_password(link_id, PASSWORD).link_id == link_id
    with pytest.raises(errors.ConflictError, match="ecard_password_exists"):
        client.links.set_password(link_id, "852741")
    with pytest.raises(errors.RefusedError, match="ecard_password_wrong"):
        client.links.open_payment(link_id, "852741", consent="terms-2")
    assert client.links.open_payment(link_id, PASSWORD, consent="terms-2").level == 2
    with pytest.raises(errors.RefusedError, match="ecard_password_needed"):
        client.links.codes(link_id, business_type="02")
    assert len(client.links.codes(link_id, business_type="02", password=PASSWORD)) == 1
    assert client.links.close_payment(link_id).level == 1
    client.links.set_password(link_id, "852741", old_password=PASSWORD)


def test_a_loss_is_told_and_taken_back(client: ECardClient, house: House) -> None:
    link_id = claim(client).link_id
    house.settle()
    cursor = client.events.wait(seconds=0).cursor
    loss = client.links.report_loss(link_id)
    assert (loss.applied, loss.status) == (True, CardWord.SUSPENDED)
    with pytest.raises(errors.RefusedError, match="ecard_not_usable"):
        client.links.codes(link_id)
    assert client.links.get(link_id).status is CardWord.SUSPENDED
    house.settle()
    batch = client.events.wait(cursor, seconds=0)
    assert [(event.type, event.link_id, event.status) for event in batch.data] == [
        (EventType.CARD_LOST, link_id, CardWord.SUSPENDED)
    ]
    assert (batch.more, client.events.wait(batch.cursor, seconds=0).data) == (False, ())
    assert client.links.release_loss(link_id).status is CardWord.VALID
    assert client.links.get(link_id).usable
    house.settle()
    assert [event.number for event in client.events.list()] == [1, 2, 3]
    assert [event.number for event in client.events.list(cursor=cursor, limit=1)] == [2, 3]


def test_what_is_not_so_is_refused_in_the_same_words(client: ECardClient, house: House) -> None:
    with pytest.raises(errors.RefusedError, match="holder_not_identified"):
        client.identify(id_number=ID_NUMBER, name="另一人")
    person = client.identify(id_number=ID_NUMBER, name=NAME)
    other = house.client()
    with pytest.raises(errors.NotFoundError, match="identification_unknown"):
        other.claims.begin(person, person.cards[0], Proof.PIN, consent="terms-1")
    opened = client.claims.begin(person, person.cards[0], Proof.PIN, consent="terms-1")
    with pytest.raises(errors.RefusedError, match="pin_wrong"):
        client.claims.evidence(opened, pin="963851")
    with pytest.raises(errors.InvalidRequestError, match="claim_evidence_differs"):
        client.claims.evidence(opened, identity="x")
    with pytest.raises(errors.NotFoundError, match="claim_unknown"):
        other.claims.evidence(opened, pin=PIN)
    link_id = client.claims.evidence(opened, pin=PIN).link_id
    with pytest.raises(errors.NotFoundError, match="link_unknown"):
        other.links.get(link_id)
    with pytest.raises(errors.NotFoundError, match="link_unknown"):
        client.links.get("0" * 32)
    with pytest.raises(errors.RefusedError, match="codes_ahead_not_permitted"):
        client.links.codes(link_id, 2)
    with pytest.raises(errors.InvalidRequestError, match="bad_cursor"):
        client.events.wait("999999", seconds=0)


def test_the_same_key_is_the_same_deed_and_no_other(client: ECardClient) -> None:
    link_id = claim(client).link_id
    first = client.links.codes(link_id, idempotency_key="show-1")
    assert client.links.codes(link_id, idempotency_key="show-1") == first
    assert client.links.codes(link_id) != first
    with pytest.raises(errors.IdempotencyError, match="idempotency_key_reused"):
        client.links.codes(link_id, business_type="01", idempotency_key="show-1")
    again = client.identify(id_number=ID_NUMBER, name=NAME, idempotency_key="who-1")
    assert client.identify(id_number=ID_NUMBER, name=NAME, idempotency_key="who-1") == again


def test_pages_go_on(client: ECardClient, house: House) -> None:
    link_id = claim(client).link_id
    pages = list(client.links.list(limit=1).pages())
    assert [link.link_id for page in pages for link in page.data] == [link_id]
    assert pages[-1].next_cursor is None


def test_relatives_and_webhooks_have_their_forms(client: ECardClient) -> None:
    link_id = claim(client).link_id
    assert client.links.relatives.list(link_id) == ()
    with pytest.raises(errors.NotFoundError, match="relative_unknown"):
        client.links.relatives.code(link_id, "0" * 32)
    (webhook,) = client.webhooks.list()
    secret = client.webhooks.rotate_secret(webhook.webhook_id)
    assert secret.secret is not None
    assert secret.secret.startswith("whsec_")
    assert secret.public_key.startswith("whpk_")


def test_what_there_is_no_method_for(client: ECardClient) -> None:
    reply = client.raw_request("GET", "/v1/links", query={"limit": "1"})
    assert (reply.status, b'"data"' in reply.content) == (200, True)
    with pytest.raises(errors.NotFoundError) as caught:
        client.raw_request("POST", "/v1/nothing-of-ours", {})
    assert caught.value.http_status == 404
    for path in ("v1/links", "//elsewhere.example/", "/v1/links?x=1", "/v1/链"):
        with pytest.raises(EcardError, match="bad_reference"):
            client.raw_request("GET", path)
