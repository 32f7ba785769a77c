"""What is published about statuses, over HTTP: aggregation, ETags, deltas, caches, and one bundle kept up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from ecard_card import status_delta
from ecard_card.errors import NotFound, Unavailable
from ecard_card.status import CardChange
from ecard_issuer.publishing.deltas import PAGE
from ecard_issuer.publishing.own import OwnStatuses
from ecard_issuer.web.app import create_app
from ecard_verifier.bundle import make_bundle, open_bundle
from ecard_verifier.bundle_update import update_bundle
from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.http_published import PublishedStatus
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.test_dispatch import drain, issue


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path)
    yield opened
    opened.issuer.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    return TestClient(create_app(service.issuer), base_url=ORIGIN)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all bad questions: none of them changes anything."""
    opened = open_service(tmp_path_factory.mktemp("quiet"))
    yield TestClient(create_app(opened.issuer), base_url=ORIGIN)
    opened.issuer.close()


def source(client: TestClient) -> PublishedStatus:
    """The verifier's own client over the application."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        answer = client.get(str(request.url.raw_path.decode()))
        return httpx2.Response(answer.status_code, content=answer.content, headers=dict(answer.headers))

    return PublishedStatus(ORIGIN, transport=httpx2.MockTransport(handle))


def test_the_aggregation_names_every_list_and_the_metadata_name_it(service: Service, client: TestClient) -> None:
    issue(service, 1)
    metadata = client.get("/.well-known/jwt-vc-issuer").json()
    assert metadata["status_list_aggregation_endpoint"] == f"{ORIGIN}/status-lists"
    answer = client.get("/status-lists")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {"status_lists": [f"{ORIGIN}/status-lists/{number}" for number in (1, 2, 3, 4)]}
    for uri in answer.json()["status_lists"]:
        assert client.get(uri.removeprefix(ORIGIN)).status_code == 200
    assert client.get("/status-lists", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("form", ["application/statuslist+jwt", "application/statuslist+cwt"])
def test_an_unchanged_list_is_304_and_a_changed_one_is_sent_at_once(
    service: Service, client: TestClient, form: str
) -> None:
    card_ref, _ = issue(service, 1)
    number = service.issuer.register.credentials_of(card_ref)[0].list_id
    path, headers = f"/status-lists/{number}", {"Accept": form}
    first = client.get(path, headers=headers)
    for given in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = client.get(path, headers=headers | {"If-None-Match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert client.get(path, headers=headers | {"If-None-Match": '"other"'}).status_code == 200
    service.clock.advance(1)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    changed = client.get(path, headers=headers | {"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_deltas_are_immutable_documents_that_any_cache_may_keep(service: Service, client: TestClient) -> None:
    drain(service)
    assert client.get("/v1/status-deltas/latest").json()["code"] == "status_delta_unknown"
    for _ in range(3):
        service.issuer.publishing.deltas.turn(service.clock())
        service.clock.advance(60)
    one = client.get("/v1/status-deltas/2")
    assert one.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert one.headers["content-type"].startswith("application/jose")
    assert status_delta.sealed(one.text).open().number == 2
    assert client.get("/v1/status-deltas/2").content == one.content
    latest = client.get("/v1/status-deltas/latest")
    assert (status_delta.sealed(latest.text).open().number, latest.headers["cache-control"]) == (
        3,
        "public, max-age=5",
    )
    assert client.get("/v1/status-deltas?since=1").json()["deltas"][0] == one.text
    assert client.get("/v1/status-deltas?since=3").json() == {"deltas": []}
    assert len(client.get("/v1/status-deltas").json()["deltas"]) == 3
    assert client.get("/v1/status-deltas/4").json()["code"] == "status_delta_unknown"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/status-deltas?since=1&position=1", 400, "bad_delta_query"),
        ("/v1/status-deltas?since=-1", 422, "invalid_request"),
        ("/v1/status-deltas?since=abc", 422, "invalid_request"),
        ("/v1/status-deltas?since=9007199254740992", 422, "invalid_request"),
        ("/v1/status-deltas?position=1e3", 422, "invalid_request"),
        ("/v1/status-deltas/0", 422, "invalid_request"),
        ("/v1/status-deltas/x", 422, "invalid_request"),
        ("/v1/status-deltas/12345678901234567", 422, "invalid_request"),
        ("/v1/status-deltas/1234567890123456", 404, "status_delta_unknown"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_bad_questions_get_a_clear_answer_in_both_languages(
    quiet: TestClient, path: str, status: int, code: str, language: str
) -> None:
    answer = quiet.get(path, headers={"Accept-Language": language})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert any("一" <= char <= "鿿" for char in answer.json()["title"]) == (language == "zh-CN")


def test_a_terminal_keeps_its_bundle_up_to_date_through_the_public_routes(service: Service, client: TestClient) -> None:
    card_ref, _ = issue(service, 1)
    row = service.issuer.register.credentials_of(card_ref)[0]
    uri, root = f"{ORIGIN}/status-lists/{row.list_id}", service.issuer.keys.root()
    drain(service)
    service.issuer.publishing.deltas.turn(service.clock())
    data = client.get("/v1/bundle").content
    for change, value in ((CardChange.REPORT_LOSS, 2), (CardChange.RELEASE, 0), (CardChange.CANCEL, 1)):
        service.clock.advance(40)
        service.issuer.lifecycle.change(card_ref, change, service.clock())
        drain(service)
        service.issuer.publishing.deltas.turn(service.clock())
        data, whole = update_bundle(data, lambda name: source(client), service.clock, root)
        reading = open_bundle(data, service.clock(), root).statuses.read(uri, row.index)
        assert (reading.value, reading.as_of, whole) == (value, int(service.clock().timestamp()), False)
    again, _ = update_bundle(data, lambda name: source(client), service.clock, root)
    assert again == data  # nothing newer: not one byte


def test_many_deltas_come_page_by_page(service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(service, 1)
    drain(service)
    service.issuer.publishing.deltas.turn(service.clock())
    data = client.get("/v1/bundle").content
    for _ in range(7):
        service.issuer.publishing.deltas.turn(service.clock.advance(60))
    monkeypatch.setattr("ecard_issuer.publishing.deltas.PAGE", 3)
    newer, _ = update_bundle(data, lambda name: source(client), service.clock)
    (place,) = open_bundle(newer, service.clock()).statuses.places().values()
    assert place.number == 8
    assert PAGE == 500


def test_a_whole_new_bundle_wants_a_pinned_root_and_is_never_older(service: Service, client: TestClient) -> None:
    issue(service, 1)
    drain(service)
    data = client.get("/v1/bundle").content
    with pytest.raises(Exception, match="root_needed"):
        update_bundle(data, lambda name: source(client), service.clock, whole=True)
    service.clock.advance(-30)
    with pytest.raises(Exception, match="bundle_older"):
        update_bundle(data, lambda name: source(client), service.clock, service.issuer.keys.root(), whole=True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (302, b""), (200, b"no json"), (200, b'{"deltas": [1]}'), (200, b'{"deltas": "x"}'), (200, b"[]")],
)
def test_an_issuer_that_answers_nonsense_leaves_the_bundle_as_it_was(status: int, body: bytes) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(status, content=body))
    with pytest.raises(Unavailable, match="published_unavailable"):
        PublishedStatus(ORIGIN, transport=transport).deltas_since(1)


def test_what_is_not_kept_is_told_apart_from_what_is_not_there() -> None:
    gone = httpx2.MockTransport(lambda request: httpx2.Response(404, content=b'{"code":"status_delta_gone"}'))
    with pytest.raises(NotFound, match="status_delta_gone"):
        PublishedStatus(ORIGIN, transport=gone).deltas_from(1)
    with pytest.raises(Exception, match="bad_usage"):
        PublishedStatus("ftp://issuer.example")


def test_the_verifier_beside_has_bundle_and_deltas_for_its_counters_without_a_network(service: Service) -> None:
    card_ref, _ = issue(service, 1)
    drain(service)
    service.issuer.publishing.deltas.turn(service.clock())
    keys = service.issuer.keys
    sources = {service.issuer.identity.issuer: OwnStatuses(service.issuer)}
    bundles = CounterBundles(sources, keys.root, lambda: keys.trust(service.clock()).version, service.clock)
    content = json.loads(bundles.bundle().body)
    bundle = open_bundle(json.dumps(content["bundle"]).encode(), service.clock(), keys.root())
    row = service.issuer.register.credentials_of(card_ref)[0]
    service.clock.advance(40)
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    drain(service)
    service.issuer.publishing.deltas.turn(service.clock())
    bundles.turn()
    (delta,), _ = bundles.deltas(content["cursor"])
    bundle.statuses.apply(delta, service.clock())
    assert bundle.statuses.read(f"{ORIGIN}/status-lists/{row.list_id}", row.index).value == 2


def test_a_bundle_is_verified_when_a_part_of_it_changed_and_not_when_it_is_asked_for(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    card_ref, _ = issue(service, 1)
    made: list[int] = []

    def counted(*parts: Any, **more: Any) -> bytes:
        made.append(1)
        return make_bundle(*parts, **more)

    monkeypatch.setattr("ecard_issuer.publishing.publisher.make_bundle", counted)
    first = client.get("/v1/bundle")
    assert client.get("/v1/bundle").content == first.content
    assert client.get("/v1/bundle", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert len(made) == 1
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    assert client.get("/v1/bundle").content != first.content
    assert len(made) == 2
