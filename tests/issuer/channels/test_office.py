"""Admitting channels: what may be registered, and who must agree to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ecard_card.errors import ApprovalNeeded, EcardError, InvalidInput
from ecard_issuer.channels.office import ChannelOffice
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.values import APP_ID, Quotas, only_takes_away, registration_from_json
from ecard_keys.client_keys import MAX_KEYS
from ecard_keys.client_signer import ClientSigner
from tests.issuer.channel_kit import registration
from tests.issuer.service import Service, open_service

SIGNER = ClientSigner.generate("k1")
BODY = registration(SIGNER, [Scope.SHOW, Scope.READ])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("office"), approvals_needed=1)
    yield opened
    opened.issuer.close()


def agreed(service: Service, work: Callable[[], Any], by: str = "ben") -> Any:
    """What anna asks for, after somebody else agreed to it."""
    with pytest.raises(ApprovalNeeded) as needed:
        work()
    service.issuer.approvals.decide(needed.value.request_id, by, approve=True, now=service.clock())
    return work()


def code(work: Callable[[], object]) -> str:
    with pytest.raises(EcardError) as refused:
        work()
    return refused.value.code


def test_one_applies_and_two_admit(service: Service) -> None:
    office, now = service.issuer.channels.office, service.clock()
    wanted = office.registration(BODY)
    applied = office.apply("first", wanted, "anna", now)
    assert APP_ID.fullmatch(applied.app_id)
    assert applied.app_id.startswith("ek_live_")
    assert office.apply("first", wanted, "anna", now) == applied
    assert office.apply("first", wanted, "ben", now).app_id != applied.app_id
    other = replace(wanted, name_en="Other")
    assert code(lambda: office.apply("first", other, "anna", now)) == "app_request_differs"

    def approve() -> Any:
        return office.approve(applied.app_id, "anna", now)

    with pytest.raises(ApprovalNeeded) as needed:
        approve()
    request = service.issuer.approvals.get(needed.value.request_id)
    assert request.facts == {"registration": wanted.to_json()}
    assert code(lambda: service.issuer.approvals.decide(request.request_id, "Anna", approve=True, now=now)) == (
        "approval_own_request"
    )
    active = agreed(service, approve)
    assert active.state is ChannelState.ACTIVE
    assert approve() == active
    assert code(lambda: office.refuse(applied.app_id, "late", "anna", now)) == "app_decided"
    assert [change.action for change in office.changes(applied.app_id)] == ["applied", "approved"]


def test_what_was_approved_is_what_was_shown(service: Service) -> None:
    office, now = service.issuer.channels.office, service.clock()
    applied = office.apply("swap", office.registration(BODY), "anna", now)
    with pytest.raises(ApprovalNeeded) as needed:
        office.approve(applied.app_id, "anna", now)
    service.issuer.approvals.decide(needed.value.request_id, "ben", approve=True, now=now)
    office.change(applied.app_id, office.registration(registration(SIGNER)), "anna", now)  # every scope
    with pytest.raises(ApprovalNeeded) as again:
        office.approve(applied.app_id, "anna", now)
    assert again.value.request_id != needed.value.request_id


def test_more_takes_two_less_takes_one(service: Service) -> None:
    office, now = service.issuer.channels.office, service.clock()
    app_id = office.apply("scopes", office.registration(BODY), "anna", now).app_id
    agreed(service, lambda: office.approve(app_id, "anna", now))
    more = office.registration(registration(SIGNER, [Scope.SHOW, Scope.READ, Scope.CLAIM]))
    changed = agreed(service, lambda: office.change(app_id, more, "anna", now))
    assert Scope.CLAIM in changed.registration.scopes
    assert office.change(app_id, more, "anna", now) == changed
    less = office.registration(registration(SIGNER, [Scope.READ]))
    assert office.change(app_id, less, "anna", now).registration.scopes == (Scope.READ,)


def test_suspended_by_one_resumed_by_two(service: Service) -> None:
    office, now = service.issuer.channels.office, service.clock()
    app_id = office.apply("suspend", office.registration(BODY), "anna", now).app_id
    assert code(lambda: office.suspend(app_id, "why", "anna", now)) == "app_not_admitted"
    assert code(lambda: office.resume(app_id, "anna", now)) == "app_not_admitted"
    agreed(service, lambda: office.approve(app_id, "anna", now))
    for reason in ("", "x" * 201, "two\nlines"):
        assert code(partial(office.suspend, app_id, reason, "anna", now)) == "bad_reason"
    suspended = office.suspend(app_id, "stolen keys", "anna", now)
    assert office.suspend(app_id, "again", "ben", now) == suspended
    assert code(lambda: office.approve(app_id, "anna", now)) == "app_suspended"
    assert agreed(service, lambda: office.resume(app_id, "anna", now)).state is ChannelState.ACTIVE
    office.suspend(app_id, "once more", "anna", now)
    with pytest.raises(ApprovalNeeded):  # an agreement to one return is none to the next
        office.resume(app_id, "anna", now)


def test_refused_for_good(service: Service) -> None:
    office, now = service.issuer.channels.office, service.clock()
    app_id = office.apply("refuse", office.registration(BODY), "anna", now).app_id
    refused = office.refuse(app_id, "no such body", "ben", now)
    assert office.refuse(app_id, "no such body", "ben", now) == refused
    for work in (
        lambda: office.approve(app_id, "anna", now),
        lambda: office.suspend(app_id, "x", "anna", now),
        lambda: office.change(app_id, office.registration(registration(SIGNER)), "anna", now),
    ):
        assert code(work) == "app_refused"
    assert office.changes(app_id)[-1].reason == "no such body"
    for unknown in ("ek_live_" + "z" * 24, "", "x", "ek_live_../../etc"):
        assert code(partial(office.get, unknown)) == "app_unknown"


def test_a_test_office_admits_test_apps(service: Service) -> None:
    office = ChannelOffice(SqlChannels(service.issuer.engine), service.issuer.approvals, test=True)
    local = office.registration(
        BODY | {"browser_origins": ["http://localhost:3000"], "webhook_urls": ["http://127.0.0.1:9/h"]}
    )
    applied = office.apply("first", local, "anna", service.clock())
    assert applied.app_id.startswith("ek_test_")
    assert office.get(applied.app_id).test


WRONG: dict[str, dict[str, Any]] = {
    "no name": {"names": {"zh": "", "en": "X"}},
    "a name that is not seen": {"names": {"zh": "银\u202e行", "en": "X"}},
    "names of another form": {"names": ["a"]},
    "a kind unknown": {"kind": "circus"},
    "no scope": {"scopes": []},
    "a scope unknown": {"scopes": ["ecard:everything"]},
    "no calls": {"quotas": {"calls_per_minute": 0, "claims_per_day": 1}},
    "a quota that is no number": {"quotas": {"calls_per_minute": True, "claims_per_day": 1}},
    "http": {"redirect_uris": ["http://app.bank.example/"]},
    "loopback of a live app": {"redirect_uris": ["http://localhost/"]},
    "a fragment": {"redirect_uris": ["https://app.bank.example/#x"]},
    "a user": {"redirect_uris": ["https://you@app.bank.example/"]},
    "a backslash": {"redirect_uris": ["https://app.bank.example\\@evil.example/"]},
    "a script": {"redirect_uris": ["javascript:alert(1)"]},
    "twice": {"webhook_urls": ["https://a.example/", "https://a.example/"]},
    "many": {"webhook_urls": [f"https://a.example/{number}" for number in range(21)]},
    "an origin with a path": {"browser_origins": ["https://a.example/"]},
    "an origin in capitals": {"browser_origins": ["https://A.example"]},
    "an origin of all": {"browser_origins": ["*"]},
    "no keys": {"jwks": None},
    "keys twice": {"jwks_uri": "https://a.example/jwks"},
    "too many keys": {"jwks": {"keys": [ClientSigner.generate(str(n)).public_jwk for n in range(MAX_KEYS + 1)]}},
    "a huge key set": {"jwks": {"keys": [SIGNER.public_jwk | {"x5c": ["A" * 40_000]}]}},
    "a private key": {"jwks": {"keys": [SIGNER.public_jwk | {"d": "AAAA"}]}},
    "a key without a name": {"jwks": {"keys": [SIGNER.bare_jwk]}},
    "another member": {"jwks": {"keys": [SIGNER.public_jwk], "more": 1}},
    "a thumbprint in hex": {"certificates": ["ab" * 32]},
    "more": {"more": 1},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_what_cannot_be_registered(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        registration_from_json(BODY | changed, test=False)
    assert refused.value.code in ("bad_channel", "bad_jwk", "bad_key_set")


def test_what_takes_only_away() -> None:
    now = registration_from_json(registration(SIGNER, certificates=["A" * 43]), test=False)
    fewer: dict[str, Any] = {
        "scopes": (Scope.READ,),
        "quotas": Quotas(1, 1),
        "redirect_uris": (),
        "webhook_urls": (),
        "browser_origins": (),
        "certificates": (),
    }
    for name, value in fewer.items():
        less = replace(now, **{name: value})
        assert only_takes_away(now, less), name
        assert not only_takes_away(less, now), name
    assert only_takes_away(now, replace(now, jwks=None))
    other = replace(now, jwks={"keys": [ClientSigner.generate("k1").public_jwk]})
    assert not only_takes_away(now, other)  # another key of the same name
    others: dict[str, Any] = {"name_zh": "别的", "legal_entity": "Other", "contact": "x@y.example"}
    for name, text in others.items():
        assert not only_takes_away(now, replace(now, **{name: text})), name
    assert not only_takes_away(replace(now, jwks=None), replace(now, jwks=None, jwks_uri="https://a.example/k"))
