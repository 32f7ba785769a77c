"""News for partners at the signing desk: one form, one named audience, and never an event of the feed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.feed import parse_event
from tests.keys.desk_support import ISSUER, NOW, Bench, T, altered

NEWS = SigningProfile.PARTNER_EVENT
OWN = f"{ISSUER}/secevent/ecard/event-type/status-changed"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
STREAM, CARD = "5a" * 16, "ca" * 16
CHANGED = {
    "status": 2,
    "card_status": 2,
    "previous_card_status": 1,
    "card_event": "report_loss",
    "sequence": 7,
}
EVENTS: dict[str, dict[str, Any]] = {
    OWN: CHANGED,
    CAEP: {"event_timestamp": T - 5, "credential_type": "verifiable-credential", "change_type": "update"},
    SSF + "verification": {"state": "are you there?"},
    SSF + "stream-updated": {"status": "paused", "reason": "receiver_unreachable"},
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def draft(bench: Bench, name: str = OWN, members: dict[str, Any] | None = None, **changes: object) -> bytes:
    of_stream = name.startswith(SSF)
    claims: dict[str, object] = {"iss": ISSUER, "jti": "0" * 32, "iat": T, "aud": "bank"}
    claims |= {} if of_stream else {"txn": "1" * 32, "toe": T - 5}
    claims |= {
        "sub_id": {"format": "opaque", "id": STREAM if of_stream else CARD},
        "stream": {"id": STREAM, "seq": 3},
        "events": {name: EVENTS.get(name, {}) if members is None else members},
    }
    header = {"alg": "ES256", "kid": bench.keys[KeyPurpose.STATEMENT], "typ": "secevent+jwt"}
    return jose.compact_signing_input(header, claims | changes)


def refusal(bench: Bench, message: bytes, profile: SigningProfile = NEWS) -> str:
    purpose = KeyPurpose.STATEMENT if profile is NEWS else KeyPurpose.EVENT
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(profile, bench.keys[purpose], [message], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert (last.outcome, last.profile) == (Outcome.REFUSED, profile.value)
    return caught.value.detail.partition(":")[0]


@pytest.mark.parametrize("name", EVENTS)
def test_honest_news_are_signed_by_the_statement_key(bench: Bench, name: str) -> None:
    message, kid = draft(bench, name), bench.keys[KeyPurpose.STATEMENT]
    (signature,) = bench.desk.sign(NEWS, kid, [message], NOW)
    assert verify(load_public_key(bench.home.public_key(kid)), message, signature)


@pytest.mark.parametrize(
    "members",
    [
        CHANGED | {"status": 3},
        CHANGED | {"status": True},
        CHANGED | {"card_status": 5},
        CHANGED | {"card_event": "stolen"},
        CHANGED | {"sequence": -1},
        CHANGED | {"sequence": 2**53},
        CHANGED | {"name": "张三"},
        CHANGED | {"status_list": {"idx": 1, "uri": "https://issuer.example/status-lists/7"}},
        CHANGED | {"successor": "x" * 32},
        dict(reversed(CHANGED.items())),
        {},
    ],
)
def test_members_are_those_of_the_event_and_no_others(bench: Bench, members: dict[str, Any]) -> None:
    assert refusal(bench, draft(bench, members=members)) in ("form", "rebuild")


CLAIMS: list[tuple[str, object, str]] = [
    ("iss", "https://other.example", "issuer"),
    ("aud", ["bank"], "form"),
    ("aud", "", "audience"),
    ("aud", "bank\nshop", "audience"),
    ("aud", "https://bank.example", "audience"),
    ("jti", "0" * 31, "form"),
    ("iat", T - 601, "clock"),
    ("iat", T + 601, "clock"),
    ("txn", "short", "form"),
    ("toe", -1, "form"),
    ("toe", "now", "form"),
    ("sub_id", {"format": "opaque", "id": "330106199001011234"}, "form"),
    ("sub_id", {"format": "opaque", "id": STREAM}, "subject"),
    ("sub_id", {"format": "email", "email": "a@b.example"}, "form"),
    ("stream", {"id": STREAM, "seq": 0}, "form"),
    ("stream", {"id": STREAM, "seq": True}, "form"),
    ("events", {}, "form"),
    ("events", {OWN: CHANGED, CAEP: EVENTS[CAEP]}, "form"),
    ("events", {"https://other.example/secevent/ecard/event-type/status-changed": CHANGED}, "event"),
    ("events", {f"{ISSUER}/secevent/ecard/event-type/trust-list-published": {"version": 9}}, "event"),
    ("events", {SSF + "verification": {}}, "subject"),
    ("feed", {"stream": "0", "seq": 1, "prev": "-"}, "rebuild"),
    ("exp", T + 60, "rebuild"),
]


@pytest.mark.parametrize(("claim", "value", "rule"), CLAIMS)
def test_claims_that_are_not_ours_are_refused(bench: Bench, claim: str, value: object, rule: str) -> None:
    assert refusal(bench, draft(bench, OWN, None, **{claim: value})) == rule


@pytest.mark.parametrize("name", [SSF + "verification", SSF + "stream-updated"])
def test_a_streams_own_event_speaks_of_the_stream(bench: Bench, name: str) -> None:
    assert refusal(bench, draft(bench, name, sub_id={"format": "opaque", "id": CARD})) == "subject"
    assert refusal(bench, draft(bench, name, txn="1" * 32)) == "rebuild"
    assert refusal(bench, draft(bench, SSF + "stream-updated", {"status": "gone"})) == "form"
    assert refusal(bench, draft(bench, SSF + "verification", {"state": "x" * 1025})) == "form"


def test_news_without_an_audience_are_not_signed(bench: Bench) -> None:
    assert refusal(bench, altered(draft(bench), lambda claims: claims.pop("aud"))) == "form"


def test_news_and_feed_events_never_pass_for_each_other(bench: Bench) -> None:
    news = draft(bench)
    as_event = altered(news, _put("kid", bench.keys[KeyPurpose.EVENT]), part=0)
    assert refusal(bench, as_event, SigningProfile.EVENT) == "form"
    as_news = altered(bench.event(), _put("kid", bench.keys[KeyPurpose.STATEMENT]), part=0)
    assert refusal(bench, as_news) == "form"
    with pytest.raises(InvalidInput, match="purpose"):
        bench.desk.sign(NEWS, bench.keys[KeyPurpose.EVENT], [as_event], NOW)
    with pytest.raises(InvalidInput, match="purpose"):
        bench.desk.sign(SigningProfile.EVENT, bench.keys[KeyPurpose.STATEMENT], [bench.event()], NOW)
    with pytest.raises((InvalidInput, CheckFailed)):
        parse_event(news.decode() + "." + jose.b64url_encode(bytes(64)))


def _put(name: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda members: members.__setitem__(name, value)


def test_no_flipped_byte_is_signed(bench: Bench) -> None:
    good, dice = draft(bench), random.Random(20261130)  # noqa: S311 - bytes to alter
    for _ in range(300):
        bad = bytearray(good)
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(7)
        try:
            bench.desk.sign(NEWS, bench.keys[KeyPurpose.STATEMENT], [bytes(bad)], NOW)
        except InvalidInput:
            continue
        claims = jose.parse_json(jose.b64url_decode(bytes(bad).decode().split(".")[1]))
        assert isinstance(claims, dict)
        assert set(claims) == {"iss", "jti", "iat", "aud", "txn", "toe", "sub_id", "stream", "events"}
