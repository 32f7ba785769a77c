"""Reading webhooks: vectors that any reader can be tried with, and what nobody should send.

`python -m tests.sdk.test_webhooks` writes the vectors anew.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_issuer.partners.keeping import WebhookKeys
from ecard_issuer.partners.webhook_signature import public_text, secret_text, signed_headers
from ecard_sdk.webhooks import TOLERANCE, OtherEvent, StatusChanged, StreamUpdated, Verification, unwrap

VECTORS = Path(__file__).parents[1] / "vectors" / "sdk" / "webhook.json"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
KEYS = WebhookKeys(bytes(range(32)), bytes(range(32, 64)))
OLD = WebhookKeys(bytes(range(64, 96)), bytes(range(96, 128)))
CARD: dict[str, Any] = {
    "card": "ca" * 16,
    "sequence": 7,
    "event": "report_loss",
    "status": "suspended",
    "card_status": 2,
}
MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "a card was lost": ("card.status_changed", CARD),
    "a card was replaced": (
        "card.status_changed",
        CARD | {"event": "replace", "status": "invalid", "card_status": 9, "successor": "cb" * 16},
    ),
    "a verification": ("stream.verification", {"state": "在吗"}),
    "a pause": ("stream.updated", {"status": "paused", "reason": "receiver_unreachable"}),
    "a type of a later version": ("card.renewed", {"anything": [1, 2]}),
}


def body_of(kind: str, data: dict[str, Any]) -> bytes:
    data = {"stream": "5a" * 16, "number": 3} | data
    document = {"type": kind, "timestamp": "2026-11-30T11:59:58.000Z", "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def made() -> dict[str, Any]:
    cases: list[dict[str, Any]] = []
    for name, (kind, data) in MESSAGES.items():
        body = body_of(kind, data)
        headers = signed_headers(body, "msg_" + "0e" * 16, int(NOW.timestamp()), (KEYS, OLD))
        cases.append({"name": name, "body": body.decode(), "headers": headers, "now": NOW.isoformat(), "error": None})
    good = cases[0]
    later, sooner = (NOW + timedelta(seconds=sign * (TOLERANCE + 1)) for sign in (1, -1))
    cases += [
        good | {"name": "too old", "now": later.isoformat(), "error": "webhook_too_old"},
        good | {"name": "from the future", "now": sooner.isoformat(), "error": "webhook_from_future"},
        good | {"name": "altered", "body": good["body"] + " ", "error": "webhook_signature_invalid"},
        good | {"name": "no headers", "headers": {}, "error": "bad_webhook"},
    ]
    secrets = {"secret": secret_text(KEYS), "public_key": public_text(KEYS), "old_secret": secret_text(OLD)}
    return {
        "about": "Made by tests/sdk/test_webhooks.py; signed for two generations of secrets.",
        **secrets,
        "cases": cases,
    }


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))
    return found


def test_the_vectors_are_what_the_signer_makes(vectors: dict[str, Any]) -> None:
    assert vectors == made()


@pytest.mark.parametrize("which", ["secret", "public_key", "old_secret"])
def test_the_vectors_are_read_as_they_say(vectors: dict[str, Any], which: str) -> None:
    for case in vectors["cases"]:
        moment = datetime.fromisoformat(case["now"])
        read = partial(unwrap, case["body"].encode(), case["headers"], [vectors[which]], now=moment)
        if case["error"] is None:
            event = read()
            assert (event.id, event.number) == ("msg_" + "0e" * 16, 3), case["name"]
        else:
            with pytest.raises(EcardError, match=case["error"]):
                read()


def test_events_are_typed(vectors: dict[str, Any]) -> None:
    bodies = [
        unwrap(case["body"].encode(), case["headers"], [vectors["secret"]], now=NOW).body
        for case in vectors["cases"][: len(MESSAGES)]
    ]
    assert bodies == [
        StatusChanged("ca" * 16, 7, "report_loss", "suspended", 2),
        StatusChanged("ca" * 16, 7, "replace", "invalid", 9, "cb" * 16),
        Verification("在吗"),
        StreamUpdated("paused", "receiver_unreachable"),
        OtherEvent("card.renewed"),
    ]


def test_a_header_may_be_written_in_any_case_and_carry_signatures_of_other_kinds() -> None:
    body = body_of("card.status_changed", CARD)
    headers = signed_headers(body, "msg_1", int(NOW.timestamp()), (KEYS,))
    given_ = {name.title(): f"v2,x v1a,!!! {value}" if "sig" in name else value for name, value in headers.items()}
    assert unwrap(body, given_, [secret_text(KEYS)], now=NOW).id == "msg_1"
    assert unwrap(body, given_, [public_text(KEYS)], now=NOW).id == "msg_1"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whpk_AAAA", "whsec_" + "!" * 44, "whpk_" + "A" * 44])
def test_a_secret_that_is_none_is_said_to_be_so_or_fits_nothing(secret: str) -> None:
    body = body_of("card.status_changed", CARD)
    headers = signed_headers(body, "msg_1", int(NOW.timestamp()), (KEYS,))
    with pytest.raises((InvalidInput, CheckFailed), match=r"bad_webhook_secret|webhook_signature_invalid"):
        unwrap(body, headers, [secret], now=NOW)


@given(st.binary(max_size=300))
def test_a_signed_body_of_any_bytes_is_an_event_or_one_of_our_errors(body: bytes) -> None:
    headers = signed_headers(body, "msg_1", int(NOW.timestamp()), (KEYS,))
    with pytest.raises(InvalidInput):
        unwrap(body, headers, [secret_text(KEYS)], now=NOW)


@pytest.mark.parametrize(
    "change",
    [{"status": "fine"}, {"sequence": "7"}, {"sequence": True}, {"card": None}, {"card_status": -1}, {"number": 1.5}],
)
def test_a_member_of_another_type_is_refused(change: dict[str, Any]) -> None:
    body = body_of("card.status_changed", CARD | change)
    headers = signed_headers(body, "msg_1", int(NOW.timestamp()), (KEYS,))
    with pytest.raises(InvalidInput, match="bad_webhook"):
        unwrap(body, headers, [secret_text(KEYS)], now=NOW)


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(made(), ensure_ascii=False, indent=2) + "\n", "utf-8")
