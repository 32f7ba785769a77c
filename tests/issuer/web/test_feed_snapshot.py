"""Snapshots over HTTP, taken by the verifier's own client through the application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from ecard_card import feed_snapshot
from ecard_card.status import CardChange
from ecard_issuer.web.app import create_app
from ecard_verifier.beginning import Beginning
from ecard_verifier.callers import Role
from ecard_verifier.http_snapshot import HttpSnapshots
from ecard_verifier.mirror import Mirror
from ecard_verifier.trust_source import FixedTrust
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.test_dispatch import drain, issue
from tests.issuer.test_feed_snapshots import folded, followed
from tests.verifier.snapshot_kit import rows_of


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("snapshots"))
    card_ref, _ = issue(opened, 1)
    opened.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, opened.clock())
    drain(opened)
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    headers = {"Authorization": f"Bearer {service.token(Role.VERIFIER)}"}
    return TestClient(create_app(service.issuer), base_url=ORIGIN, headers=headers)


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_before_the_first_there_is_none_and_then_a_verifier_begins_with_it(
    service: Service, client: TestClient, tmp_path: Path
) -> None:
    assert code(client.get("/v1/feed/snapshot")) == (404, "feed_snapshot_unknown")
    service.issuer.publishing.snapshots.make()
    assert code(client.get("/v1/feed/snapshot")) == (404, "feed_snapshot_unknown")  # the feed has not named it
    drain(service)
    answer = client.get("/v1/feed/snapshot")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jose")
    assert "no-store" in answer.headers["cache-control"]
    manifest = feed_snapshot.sealed(answer.text).open()
    chunks = [client.get(f"/v1/feed/snapshot/1/chunks/{place}") for place in range(len(manifest.chunks))]
    assert {chunk.headers["content-type"] for chunk in chunks} == {"application/octet-stream"}
    assert [len(chunk.content) for chunk in chunks] == [chunk.length for chunk in manifest.chunks]

    def handle(request: httpx2.Request) -> httpx2.Response:
        told = client.get(request.url.raw_path.decode(), headers={"Accept-Encoding": "identity"})
        return httpx2.Response(told.status_code, stream=httpx2.ByteStream(told.content), headers=dict(told.headers))

    issuer = service.issuer
    mirror = Mirror(tmp_path / "mirror.sqlite3", issuer=ORIGIN)
    source = HttpSnapshots(f"{ORIGIN}/v1/feed/snapshot", "-", transport=httpx2.MockTransport(handle))
    trust = FixedTrust(issuer.keys.trust(service.clock()))
    Beginning(mirror, ORIGIN, source, trust, service.clock, tmp_path / "growing").make(threading.Event())
    assert mirror.position == manifest.seq
    assert rows_of(followed(service, mirror)) == rows_of(folded(service))


@pytest.mark.parametrize("path", ["/v1/feed/snapshot", "/v1/feed/snapshot/1/chunks/0"])
def test_it_is_for_verifiers(service: Service, client: TestClient, path: str) -> None:
    assert client.get(path, headers={"Authorization": "Bearer nobody"}).status_code == 401
    counter = {"Authorization": f"Bearer {service.token(Role.COUNTER)}"}
    assert client.get(path, headers=counter).status_code == 403


@pytest.mark.parametrize(("number", "place"), [("9", "0"), ("1", "99"), ("9007199254740991", "0")])
def test_what_is_not_there_is_gone(client: TestClient, number: str, place: str) -> None:
    answer = client.get(f"/v1/feed/snapshot/{number}/chunks/{place}")
    assert code(answer) == (404, "feed_snapshot_gone")


@pytest.mark.parametrize(("number", "place"), [("0", "0"), ("-1", "0"), ("1", "-1"), ("1", "00"), ("x", "0")])
def test_numbers_have_one_spelling(client: TestClient, number: str, place: str) -> None:
    assert client.get(f"/v1/feed/snapshot/{number}/chunks/{place}").status_code == 422
