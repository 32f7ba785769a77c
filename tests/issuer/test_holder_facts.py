"""What a counter is told of who shows a card: by both adapters of the port, and only while a code lives."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card.card import IdentificationCode
from ecard_card.errors import Unavailable
from ecard_card.status import CardChange
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.holder_facts import OwnFacts
from ecard_issuer.relying.accesses import AccessData
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from ecard_verifier.counters.holder_facts import FACTS_PATH, HolderFacts, HttpFacts
from ecard_verifier.purposes.masking import Mask, masked
from ecard_verifier.purposes.purposes import Field
from tests.issuer.links_kit import claim
from tests.issuer.service import ORIGIN, Service, open_service

APP = "ek_live_" + "b" * 24
PAGE = {Field.NAME: [Mask.ONE_END], Field.ID_NUMBER: [Mask.HEAD6_TAIL4], Field.REGION: [Mask.FULL]}
WHOLE = {Field.NAME: [Mask.ONE_END, Mask.FULL], Field.BIRTH_YEAR: [Mask.FULL]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("facts"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    return create_app(service.issuer)


@pytest.fixture(scope="module")
def phone(service: Service) -> tuple[DeviceKey, bytes]:
    """A device that holds the e-card of synthetic card 1."""
    device = DeviceKey.generate()
    made = claim(service, APP, 1, device=device)
    assert made.issued is not None
    return device, made.issued.cwt


def over_http(service: Service, app: FastAPI) -> HttpFacts:
    transport = TestClient(app, raise_server_exceptions=False)._transport
    return HttpFacts({ORIGIN: (ORIGIN, service.token(Role.VERIFIER))}, transport=transport)


@pytest.fixture(scope="module", params=["own", "http"])
def facts(request: pytest.FixtureRequest, service: Service, app: FastAPI) -> HolderFacts:
    return OwnFacts([service.issuer]) if request.param == "own" else over_http(service, app)


def fresh(service: Service, phone: tuple[DeviceKey, bytes], audience: str | None = None) -> str:
    device, credential = phone
    return device.offline_code(credential, service.clock.advance(1), audience=audience)


def test_exactly_what_is_wanted_is_told(service: Service, phone: tuple[DeviceKey, bytes], facts: HolderFacts) -> None:
    person = synthetic(1)
    told = facts.of(ORIGIN, fresh(service, phone), None, PAGE)
    assert told == {
        Field.NAME: {Mask.ONE_END: masked(person.name, Mask.ONE_END)},
        Field.ID_NUMBER: {Mask.HEAD6_TAIL4: person.id_number[:6] + "*" * 8 + person.id_number[-4:]},
        Field.REGION: {Mask.FULL: "000000"},
    }
    short = phone[0].online_code(phone[1], service.clock())
    assert facts.of(ORIGIN, short, None, PAGE) == told


def looks(service: Service, serial: int) -> list[dict[str, object]]:
    """What stands on the record of who holds a synthetic card."""
    card = service.issuer.cards.card_of(IdentificationCode(synthetic(serial).identification_code))
    holder = service.issuer.cards.people.get(card.holder_ref)
    data = AccessData(service.issuer.relying.store)
    return [dict(one) for one in data.of_holder(holder, service.issuer.cards.people.seal_of(holder))]


def test_who_was_told_what_stands_on_the_persons_record(
    service: Service, phone: tuple[DeviceKey, bytes], facts: HolderFacts
) -> None:
    before, code = looks(service, 1), fresh(service, phone, "window-1")
    with pytest.raises(Unavailable):
        facts.of(ORIGIN, code[:-4] + "AAAA", "window-1", PAGE)
    facts.of(ORIGIN, code, "window-1", {Field.REGION: [Mask.FULL]})
    assert looks(service, 1) == before, "nothing personal was told"
    for _ in range(2):  # a lost answer is asked for again
        facts.of(ORIGIN, code, "window-1", PAGE)
    [look] = [one for one in looks(service, 1) if one not in before]
    verifier = "own" if isinstance(facts, OwnFacts) else look["verifier"]
    assert look | {"access_id": "", "at": ""} == {
        "access_id": "",
        "at": "",
        "verifier": verifier,
        "counter": "window-1",
        "facts": {"name": ["one-end"], "id_number": ["6+4"]},
        "way": "shown-code",
        "outcome": "permitted",
    }
    assert look["verifier"], "a name, never a token"
    facts.of(ORIGIN, code, "window-1", WHOLE)
    assert len(looks(service, 1)) == len(before) + 2


def test_what_cannot_be_put_on_the_record_is_not_told(
    service: Service, phone: tuple[DeviceKey, bytes], facts: HolderFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable("register_unavailable", "the database did not answer")

    monkeypatch.setattr(service.issuer.relying.store, "note", away)
    with pytest.raises(Unavailable):
        facts.of(ORIGIN, fresh(service, phone), None, PAGE)


def test_nobody_is_told_anything_without_a_code_that_holds(
    service: Service, phone: tuple[DeviceKey, bytes], facts: HolderFacts
) -> None:
    stale = fresh(service, phone)
    service.clock.advance(200)
    good = fresh(service, phone)
    named = fresh(service, phone, "window-1")
    assert facts.of(ORIGIN, named, "window-1", PAGE)
    stranger = DeviceKey.generate().offline_code(phone[1], service.clock())
    wrong = ["", "x", "1234567890", stale, good[:-4] + "AAAA", stranger, phone[1].hex()]
    for code, audience in [*((code, None) for code in wrong), (named, None), (named, "window-2")]:
        with pytest.raises(Unavailable, match="facts_unavailable"):
            facts.of(ORIGIN, code, audience, PAGE)
    with pytest.raises(Unavailable, match="facts_unavailable"):
        facts.of("https://other.example", good, None, PAGE)


def test_a_lost_card_tells_nothing(service: Service, facts: HolderFacts) -> None:
    serial = 2 if isinstance(facts, OwnFacts) else 3
    device = DeviceKey.generate()
    made = claim(service, APP, serial, device=device)
    assert made.issued is not None
    code = device.offline_code(made.issued.cwt, service.clock())
    assert facts.of(ORIGIN, code, None, PAGE)
    card = service.issuer.cards.card_of(IdentificationCode(synthetic(serial).identification_code))
    service.issuer.lifecycle.change(card.card_ref, CardChange.REPORT_LOSS, service.clock())
    with pytest.raises(Unavailable, match="facts_unavailable"):
        facts.of(ORIGIN, code, None, PAGE)


def test_whole_names_are_for_verifiers_that_the_issuer_named(
    service: Service, app: FastAPI, phone: tuple[DeviceKey, bytes]
) -> None:
    """Beside the issuer in its own process what the purposes permit; over a network masked, unless it is named."""
    own = OwnFacts([service.issuer]).of(ORIGIN, fresh(service, phone), None, WHOLE)
    assert own[Field.NAME][Mask.FULL] == synthetic(1).name
    http = over_http(service, app).of(ORIGIN, fresh(service, phone), None, WHOLE)
    assert http[Field.NAME] == {Mask.ONE_END: masked(synthetic(1).name, Mask.ONE_END), Mask.FULL: None}
    assert http[Field.BIRTH_YEAR] == own[Field.BIRTH_YEAR], "a year is no name"
    token = service.issuer.operators.add("hospital verifier", Role.VERIFIER, service.clock()).token
    settings = service.issuer.settings.model_copy(update={"full_facts_to": ("hospital verifier",)})
    object.__setattr__(service.issuer, "settings", settings)
    named = HttpFacts({ORIGIN: (ORIGIN, token)}, transport=TestClient(app)._transport)
    assert named.of(ORIGIN, fresh(service, phone), None, WHOLE)[Field.NAME] == own[Field.NAME]


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.OPERATOR, Role.VERIFIER)])
def test_only_a_verifier_asks(service: Service, app: FastAPI, phone: tuple[DeviceKey, bytes], role: Role) -> None:
    body = {"code": fresh(service, phone), "facts": {"name": ["one-end"]}}
    headers = {"Authorization": f"Bearer {service.token(role)}"}
    assert TestClient(app).post(FACTS_PATH, json=body, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"{}"),
        (200, b"not json"),
        (200, b'{"facts": {"name": {"one-end": "x"}}}'),
        (200, b'{"facts": {"name": {"one-end": 3}, "id_number": {"6+4": "x"}, "region": {"full": "x"}}}'),
        (200, b'{"facts": {"name": {"one-end": "a\\u0000"}, "id_number": {"6+4": "x"}, "region": {"full": "x"}}}'),
        (200, b'{"facts": {"name": {"full": "x"}, "id_number": {"6+4": "x"}, "region": {"full": "x"}}}'),
        (302, b"{}"),
        (500, b"{}"),
        (200, b'{"facts": {"name": "' + b"x" * 10_000 + b'"}}'),
    ],
)
def test_an_issuer_that_answers_something_else_shows_nothing(status: int, answer: bytes) -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=answer)

    facts = HttpFacts({ORIGIN: (ORIGIN, "t")}, transport=httpx2.MockTransport(respond))
    with pytest.raises(Unavailable, match="facts_unavailable"):
        facts.of(ORIGIN, "EC1:x", None, PAGE)
