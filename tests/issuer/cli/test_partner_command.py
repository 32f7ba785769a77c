"""`ecard partner`: an operator's way to streams, beside the running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_issuer.assembly import build
from ecard_issuer.config import load
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.streams import DeliveryState, Method, News, NewsKind
from ecard_issuer.web.management import management_app
from ecard_sdk.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("authority")
    build(load(data_dir=place, approvals_needed=0)).close()
    return place


@pytest.fixture
def ecard(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, status: int = 0) -> Any:
        assert main(["partner", *arguments, "--data-dir", str(folder), "--json"]) == status
        out = capsys.readouterr().out
        return json.loads(out) if status == 0 else out

    return run


def test_a_webhook_is_made_looked_at_paused_and_ended(ecard: Any) -> None:
    made = ecard("add-stream", "bank", "--endpoint", "https://partner.example/hook")
    assert made["secret"].startswith("whsec_")
    stream = made["stream_id"]
    assert "secret" not in ecard("show", stream)
    assert [item["stream_id"] for item in ecard("list")["streams"]] == [stream]
    assert ecard("regions", stream, "330000")["regions"] == ["330000"]
    assert ecard("regions", stream)["regions"] == []
    assert ecard("status", stream, "paused", "--reason", "contract_ended")["status"] == "paused"
    (told,) = ecard("deliveries", stream)["deliveries"]
    assert (told["kind"], told["state"]) == ("stream-updated", "waiting")
    assert ecard("delete", stream) == {"stream_id": stream, "deleted": True}
    ecard("show", stream, status=5)


def test_dead_letters_are_shown_and_sent_again_and_metrics_count_them(ecard: Any, folder: Path) -> None:
    issuer = build(load(data_dir=folder, approvals_needed=0))
    office, store, now = issuer.partners.office, issuer.partners.store, issuer.clock()
    stream = office.create("bank", Wanted(Method.POLL), now)
    store.file(stream, stream.cursor, [News(1, "ca", "0b", NewsKind.STATUS, f"e{n}") for n in (1, 2)], None, now)
    store.settle(stream.stream_id, {"e1": (DeliveryState.DEAD, "http_400")}, now)
    with TestClient(management_app([issuer], lambda: True)) as client:
        metrics = client.get("/metrics").text
    labels = f'{{issuer="{issuer.identity.issuer}",method="poll"}}'
    assert f"ecard_partner_dead_letters{labels} 1.0" in metrics
    assert f"ecard_partner_backlog{labels} 1.0" in metrics
    assert "ecard_partner_oldest_undelivered_seconds" in metrics
    assert f'ecard_partner_deliveries_total{{issuer="{issuer.identity.issuer}",result="delivered"}} 0.0' in metrics
    assert "bank" not in metrics
    issuer.close()
    (dead,) = ecard("dead-letters", stream.stream_id)["deliveries"]
    assert (dead["number"], dead["result"]) == (1, "http_400")
    assert ecard("resend", stream.stream_id, "1")["state"] == "waiting"
    assert ecard("dead-letters", stream.stream_id) == {"deliveries": []}
    ecard("resend", stream.stream_id, "9", status=5)
    assert ecard("catch-up", stream.stream_id, "0")["cursor"] == 0


def test_what_cannot_be_is_refused(ecard: Any) -> None:
    ecard("add-stream", "bank", status=2)
    ecard("add-stream", "bank", "--endpoint", "http://127.0.0.1/", status=2)
    ecard("add-stream", "ba\nnk", "--method", "poll", status=2)
