"""A wallet that we did not write, played over HTTP: from the desk's offer to credentials that our verifier accepts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card import jose, sd_jwt
from ecard_card.status import CardChange
from ecard_issuer.wallets.offers import PRE_AUTHORIZED
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.wallet_kit import Key, Wallet, dpop_proof, key_proof, proven

Json = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("wallets"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def desk(service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.token(Role.DESK)}"}


@pytest.fixture
def wallet(http: TestClient, service: Service) -> Wallet:
    return Wallet(http, service.clock)


def offered(http: TestClient, desk: dict[str, str], enrolment_id: str, **body: object) -> Json:
    answer = http.post(f"/v1/enrolments/{enrolment_id}/offers", json=body, headers=desk)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
def offer(http: TestClient, service: Service, desk: dict[str, str]) -> Json:
    """Of a card whose chip has answered, without an e-card so far."""
    return offered(http, desk, proven(service))


@pytest.fixture
def holding(wallet: Wallet, offer: Json) -> Wallet:
    """A wallet that has taken up an offer, and asked for nothing yet."""
    assert wallet.take(offer).status_code == 200
    return wallet


def refused(answer: Any, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"


def claims(answer: Any) -> list[sd_jwt.SdJwt]:
    assert answer.status_code == 200, answer.text
    return [sd_jwt.parse(item["credential"]) for item in answer.json()["credentials"]]


def test_several_keys_get_unlinkable_credentials_of_one_ecard(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    enrolment_id = proven(service)
    assert wallet.take(offered(http, desk, enrolment_id)).json()["token_type"] == "Bearer"
    keys, nonce = [Key() for _ in range(3)], wallet.nonce()
    answer = wallet.request(*keys, nonce=nonce)
    issued = claims(answer)
    assert [one.payload["cnf"] for one in issued] == [{"jwk": key.jwk} for key in keys]
    places = {jose.dump_json(one.payload["status"]) for one in issued}
    salts = {disclosure for one in issued for disclosure in one.disclosures}
    assert len(places) == 3
    assert len(salts) == sum(len(one.disclosures) for one in issued)
    assert len({one.payload["personal_administrative_number"] for one in issued}) == 1
    assert wallet.request(*keys, nonce=nonce).json() == answer.json()  # its answer was lost
    register = service.issuer.register
    card_ref = register.get_enrolment(enrolment_id).card_ref or ""
    binding = register.find_binding(card_ref)
    assert binding is not None
    assert {one.ecard_id for one in register.credentials_of(card_ref)} == {binding.ecard_id}
    assert len(register.credentials_of(card_ref)) == 3
    more = wallet.request(*[Key() for _ in range(7)])
    assert len(claims(more)) == 7
    refused(wallet.request(Key()), "credential_request_denied")  # ten in all


def test_a_second_wallet_joins_the_ecard_and_the_first_one_stays(
    http: TestClient, service: Service, desk: dict[str, str], holding: Wallet
) -> None:
    claims(holding.request(Key()))
    serial = 7001
    first, second = proven(service, serial), proven(service, serial)
    for enrolment_id in (first, second):
        other = Wallet(http, service.clock)
        other.take(offered(http, desk, enrolment_id))
        claims(other.request(Key(), Key()))
    card_ref = service.issuer.register.get_enrolment(first).card_ref or ""
    rows = service.issuer.register.credentials_of(card_ref)
    assert (len(rows), len({row.ecard_id for row in rows})) == (4, 1)


def test_an_offer_is_fetched_again_until_it_is_taken_and_made_again_under_its_id(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    enrolment_id = proven(service)
    offer = offered(http, desk, enrolment_id, request_id="counter-7")
    assert offered(http, desk, enrolment_id, request_id="counter-7") == offer
    document = http.get(offer["credential_offer_uri"])
    assert document.json() == http.get(offer["credential_offer_uri"]).json()
    assert document.headers["cache-control"] == "no-store"
    assert set(document.json()["grants"]) == {PRE_AUTHORIZED, "authorization_code"}
    assert offer["links"]["openid"]["by_value"].startswith("openid-credential-offer://?credential_offer=%7B")
    assert offer["links"]["haip"]["by_reference"].startswith("haip-vci://?credential_offer_uri=https%3A%2F%2F")
    assert http.get(offer["credential_offer_uri"][:-1] + "_").status_code == 404
    assert wallet.take(offer).status_code == 200
    gone = http.get(offer["credential_offer_uri"])
    assert (gone.status_code, gone.json()["code"]) == (404, "offer_unknown")
    again = http.post(f"/v1/enrolments/{enrolment_id}/offers", json={"request_id": "counter-7"}, headers=desk)
    assert (again.status_code, again.json()["code"]) == (409, "offer_over")


def test_nothing_that_opens_an_offer_stands_in_the_register(service: Service, offer: Json) -> None:
    code = offer["credential_offer_uri"].rpartition(".")[2]
    with service.issuer.engine.connect() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert offer["offer_id"] in dump
    assert code not in dump
    assert offer["tx_code"] not in [
        value for row in dump.splitlines() if "wallet_offer" in row for value in row.split("'")
    ]


def test_of_twenty_who_redeem_one_code_at_once_one_has_a_token(http: TestClient, service: Service, offer: Json) -> None:
    grant = http.get(offer["credential_offer_uri"]).json()["grants"][PRE_AUTHORIZED]
    form = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": grant["pre-authorized_code"],
        "tx_code": offer["tx_code"],
    }

    def redeem(number: int) -> int:
        return Wallet(http, service.clock).redeem(form).status_code

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(redeem, range(20))) == [200] + [400] * 19


def test_five_wrong_transaction_codes_kill_an_offer_also_at_once(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    first = offered(http, desk, proven(service))
    wrong = [f"{(int(first['tx_code']) + number) % 10**6:06d}" for number in range(1, 7)]
    for tx_code in wrong[:4]:
        refused(wallet.take(first, tx_code=tx_code), "invalid_grant")
    assert wallet.take(first).status_code == 200  # the fifth is right
    second = offered(http, desk, proven(service))
    grant = http.get(second["credential_offer_uri"]).json()["grants"][PRE_AUTHORIZED]
    form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": grant["pre-authorized_code"]}
    right = second["tx_code"]
    guesses = [f"{(int(right) + number) % 10**6:06d}" for number in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda tx_code: wallet.redeem(form | {"tx_code": tx_code}), guesses))
    assert {answer.json()["error"] for answer in answers} == {"invalid_grant"}
    refused(wallet.redeem(form | {"tx_code": right}), "invalid_grant")
    assert http.get(second["credential_offer_uri"]).status_code == 404


def test_an_offer_and_a_token_end_with_their_minutes(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    late = offered(http, desk, proven(service))
    form = http.get(late["credential_offer_uri"]).json()["grants"][PRE_AUTHORIZED]
    service.clock.advance(301)
    asked = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": form["pre-authorized_code"],
        "tx_code": late["tx_code"],
    }
    refused(wallet.redeem(asked), "invalid_grant")
    wallet.take(offered(http, desk, proven(service)))
    service.clock.advance(301)
    answer = wallet.request(Key())
    refused(answer, "invalid_token", 401)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": PRE_AUTHORIZED}, "invalid_request"),
        ({"grant_type": PRE_AUTHORIZED, "pre-authorized_code": "x", "tx_code": "123456"}, "invalid_grant"),
        ({"grant_type": PRE_AUTHORIZED, "pre-authorized_code": "x", "tx_code": "12345x"}, "invalid_request"),
        (
            {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": "0" * 32 + "." + "A" * 43, "tx_code": "1"},
            "invalid_grant",
        ),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_request"),
        (
            {"grant_type": "authorization_code", "code": "x", "code_verifier": "v" * 43, "client_id": "c"},
            "invalid_dpop_proof",
        ),
    ],
)
def test_a_token_request_that_makes_no_sense_is_refused(wallet: Wallet, form: dict[str, str], error: str) -> None:
    refused(wallet.redeem(form), error)


def test_a_form_that_says_something_twice_or_is_none_is_refused(http: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"grant_type=a&grant_type=b", b"%ff=%ff", b"a" * 70, "grant_type=\u00e9".encode(), b"a=b;c"):
        refused(
            http.post("/wallets/token", content=body, headers=headers),
            "unsupported_grant_type" if body == b"a=b;c" else "invalid_request",
        )
    assert http.post("/wallets/token", json={}).status_code == 415


PROOFS: list[tuple[dict[str, object], dict[str, object], str]] = [
    ({"typ": "jwt"}, {}, "invalid_proof"),
    ({"typ": None}, {}, "invalid_proof"),
    ({"alg": "HS256"}, {}, "invalid_proof"),
    ({"alg": "none"}, {}, "invalid_proof"),
    ({"kid": "did:example:1"}, {}, "invalid_proof"),
    ({"jwk": None, "kid": "did:example:1"}, {}, "invalid_proof"),
    ({"jwk": None, "x5c": ["MII"]}, {}, "invalid_proof"),
    ({"jwk": Key().jwk}, {}, "invalid_proof"),
    ({"jwk": {**Key().jwk, "d": "A" * 43}}, {}, "invalid_proof"),
    ({"jwk": {**Key().jwk, "y": "A" * 43}}, {}, "invalid_proof"),
    ({"jwk": {"kty": "oct", "k": "AAAA"}}, {}, "invalid_proof"),
    ({"crit": ["x"]}, {}, "invalid_proof"),
    ({}, {"aud": "https://other.example"}, "invalid_proof"),
    ({}, {"aud": None}, "invalid_proof"),
    ({}, {"iss": "somebody"}, "invalid_proof"),
    ({}, {"iat": None}, "invalid_proof"),
    ({}, {"iat": 1.5}, "invalid_proof"),
    ({}, {"nonce": None}, "invalid_nonce"),
    ({}, {"nonce": "A" * 48}, "invalid_nonce"),
    ({}, {"nonce": 7}, "invalid_nonce"),
    ({}, {"more": "x" * 9000}, "invalid_proof"),
]


def test_a_proof_that_is_wrong_in_any_part_gets_nothing_and_uses_nothing_up(holding: Wallet, service: Service) -> None:
    nonce, key = holding.nonce(), Key()
    for header, said, error in PROOFS:
        refused(holding.ask(key_proof(key, nonce, service.clock(), header=header, claims=said)), error)
    for proof in ("", "a.b.c", "a.b", ".." * 3000, key_proof(key, nonce, service.clock())[:-3] + "AAA"):
        refused(holding.ask(proof), "invalid_proof")
    assert len(claims(holding.request(key, nonce=nonce))) == 1


def test_a_proof_is_good_a_minute_ahead_and_no_older_than_a_nonce(holding: Wallet, service: Service) -> None:
    def shown(seconds: float) -> Any:
        return holding.ask(key_proof(Key(), holding.nonce(), service.clock() + timedelta(seconds=seconds)))

    for seconds in (600, 61, -600, -361):
        refused(shown(seconds), "invalid_proof")
    for seconds in (60, -60):
        assert shown(seconds).status_code == 200


def test_a_nonce_is_good_once_and_for_five_minutes(
    http: TestClient, holding: Wallet, service: Service, offer: Json
) -> None:
    first, second = http.post("/wallets/nonce"), http.post("/wallets/nonce")
    assert first.json() != second.json()
    assert first.headers["cache-control"] == "no-store"
    nonce, key = holding.nonce(), Key()
    assert holding.request(key, nonce=nonce).status_code == 200
    refused(holding.request(Key(), nonce=nonce), "invalid_nonce")  # for another key
    refused(holding.request(key, Key(), nonce=nonce), "invalid_nonce")
    mixed = [key_proof(Key(), holding.nonce(), service.clock()) for _ in range(2)]
    refused(holding.ask(*mixed), "invalid_nonce")
    old = holding.nonce()
    service.clock.advance(299)
    assert service.issuer.wallets.nonces.good(old, service.clock())
    service.clock.advance(1)
    assert not service.issuer.wallets.nonces.good(old, service.clock())
    for changed in (old[:-1] + ("A" if old[-1] != "A" else "B"), "B" + old[1:], ""):
        assert not service.issuer.wallets.nonces.good(changed, service.clock())


def test_a_nonce_used_by_one_wallet_is_nothing_to_another(
    http: TestClient, service: Service, desk: dict[str, str], holding: Wallet
) -> None:
    nonce, key = holding.nonce(), Key()
    holding.request(key, nonce=nonce)
    other = Wallet(http, service.clock)
    other.take(offered(http, desk, proven(service)))
    refused(other.request(key, nonce=nonce), "invalid_nonce")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"credential_configuration_id": None}, "invalid_credential_request"),
        ({"credential_identifier": "ecard"}, "invalid_credential_request"),
        ({"credential_configuration_id": None, "credential_identifier": "ecard"}, "invalid_credential_request"),
        ({"credential_configuration_id": "other"}, "unknown_credential_configuration"),
        ({"credential_configuration_id": 7}, "unknown_credential_configuration"),
        ({"format": "dc+sd-jwt"}, "invalid_credential_request"),
        ({"proofs": None}, "invalid_proof"),
        ({"proofs": {}}, "invalid_proof"),
        ({"proofs": {"jwt": []}}, "invalid_proof"),
        ({"proofs": {"jwt": "x"}}, "invalid_proof"),
        ({"proofs": {"jwt": [7]}}, "invalid_proof"),
        ({"proofs": {"di_vp": ["x"]}}, "invalid_proof"),
        ({"proofs": {"jwt": ["x"] * 11}}, "invalid_credential_request"),
        ({"credential_response_encryption": {}}, "invalid_encryption_parameters"),
    ],
)
def test_a_credential_request_that_makes_no_sense_is_refused(
    http: TestClient, service: Service, started: Wallet, body: Json, error: str
) -> None:
    refused(started.ask("x", **body), error)


@pytest.fixture(scope="module")
def started(http: TestClient, service: Service, desk: dict[str, str]) -> Wallet:
    """One session for requests that are all refused; no test moves the clock while it is used."""
    wallet = Wallet(http, service.clock)
    assert wallet.take(offered(http, desk, proven(service))).status_code == 200
    return wallet


def test_no_key_stands_in_two_proofs(holding: Wallet) -> None:
    key = Key()
    refused(holding.request(key, Key(), key), "invalid_proof")


def test_a_body_that_is_no_object_and_a_token_that_is_none_are_refused(http: TestClient, holding: Wallet) -> None:
    bearer = {"Authorization": f"Bearer {holding.token}"}
    for content in (b"[]", b"7", b"{", b""):
        answer = http.post(
            "/wallets/credential", content=content, headers={**bearer, "Content-Type": "application/json"}
        )
        refused(answer, "invalid_credential_request")
    for token in ("", "x", holding.token[:-1] + ("A" if holding.token[-1] != "A" else "B"), "0" * 32 + "." + "A" * 43):
        refused(
            http.post("/wallets/credential", json={}, headers={"Authorization": f"Bearer {token}"}),
            "invalid_token",
            401,
        )
    refused(
        http.post("/wallets/credential", json={}, headers={"Authorization": f"Basic {holding.token}"}),
        "invalid_token",
        401,
    )


def test_a_card_that_is_lost_meanwhile_gets_nothing(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    enrolment_id = proven(service)
    offer = offered(http, desk, enrolment_id)
    wallet.take(offer)
    card_ref = service.issuer.register.get_enrolment(enrolment_id).card_ref or ""
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_TEMPORARY_LOSS, service.clock())
    nonce, key = wallet.nonce(), Key()
    answer = wallet.request(key, nonce=nonce)
    refused(answer, "credential_request_denied")
    assert "card_not_issuable" in answer.json()["error_description"]
    more = http.post(f"/v1/enrolments/{enrolment_id}/offers", json={}, headers=desk)
    assert (more.status_code, more.json()["code"]) == (422, "card_not_issuable")
    service.issuer.lifecycle.change(card_ref, CardChange.RELEASE, service.clock())
    assert len(claims(wallet.request(key, nonce=nonce))) == 1


def test_what_is_not_proven_is_not_offered(
    http: TestClient, service: Service, desk: dict[str, str], holding: Wallet
) -> None:
    opened = service.issuer.enrolment.begin("desk 1", service.clock())
    answer = http.post(f"/v1/enrolments/{opened.enrolment_id}/offers", json={}, headers=desk)
    assert (answer.status_code, answer.json()["code"]) == (422, "enrolment_not_proven")
    spent = proven(service)
    wallet = Wallet(http, service.clock)
    wallet.take(offered(http, desk, spent))
    claims(wallet.request(Key()))
    answer = http.post(f"/v1/enrolments/{spent}/offers", json={}, headers=desk)
    assert (answer.status_code, answer.json()["code"]) == (409, "enrolment_already_used")
    old = proven(service)
    service.clock.advance(1801)
    answer = http.post(f"/v1/enrolments/{old}/offers", json={}, headers=desk)
    assert (answer.status_code, answer.json()["code"]) == (422, "enrolment_expired")


def test_a_token_that_is_bound_to_a_key_is_nothing_without_it(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    wallet.dpop = Key()
    assert wallet.take(offered(http, desk, proven(service))).json()["token_type"] == "DPoP"
    url, token, now = "/wallets/credential", wallet.token, service.clock()

    def sent(*proofs: str, scheme: str = "DPoP", given: str = token) -> Any:
        headers = [("Authorization", f"{scheme} {given}"), *(("DPoP", proof) for proof in proofs)]
        return http.post(url, json={}, headers=headers)

    good = dpop_proof(wallet.dpop, "credential", now, token=token)
    refused(sent(scheme="Bearer"), "invalid_token", 401)
    refused(sent(good, scheme="Bearer"), "invalid_token", 401)
    refused(sent(), "invalid_dpop_proof", 401)
    refused(sent(good, good), "invalid_dpop_proof")
    thief = Key()
    refused(sent(dpop_proof(thief, "credential", now, token=token)), "invalid_token", 401)
    for odd in (
        dpop_proof(wallet.dpop, "token", now, token=token),
        dpop_proof(wallet.dpop, "credential", now),
        dpop_proof(wallet.dpop, "credential", now, token="other"),
        dpop_proof(wallet.dpop, "credential", now + timedelta(minutes=10), token=token),
        dpop_proof(wallet.dpop, "credential", now - timedelta(minutes=10), token=token),
        dpop_proof(wallet.dpop, "credential", now, token=token, claims={"htm": "GET"}),
        "no proof",
    ):
        answer = sent(odd)
        refused(answer, "invalid_dpop_proof", 401)
        assert answer.headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')
    refused(sent(good), "invalid_credential_request")  # taken this far
    refused(sent(good), "invalid_dpop_proof", 401)  # a second time
    assert len(claims(wallet.request(Key()))) == 1


def test_a_request_waits_for_a_person_and_is_fetched_once_they_agree(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    enrolment_id = proven(service)
    wallet.take(offered(http, desk, enrolment_id, review=True))
    keys, nonce = (Key(), Key()), wallet.nonce()
    waits = wallet.request(*keys, nonce=nonce)
    assert waits.status_code == 202
    transaction_id = waits.json()["transaction_id"]
    assert wallet.request(*keys, nonce=nonce).json() == waits.json()
    assert wallet.post("deferred", {"transaction_id": transaction_id}).status_code == 202
    card_ref = service.issuer.register.get_enrolment(enrolment_id).card_ref
    (review,) = http.get("/v1/wallet-reviews", headers=desk).json()["reviews"]
    assert (review["review_id"], review["card_ref"], review["keys"]) == (transaction_id, card_ref, 2)
    service.clock.advance(3 * 86_400)  # longer than token, offer and proof live otherwise
    for _ in range(2):
        assert http.post(f"/v1/wallet-reviews/{transaction_id}/approve", headers=desk).json()["state"] == "granted"
    other = http.post(f"/v1/wallet-reviews/{transaction_id}/refuse", json={}, headers=desk)
    assert (other.status_code, other.json()["code"]) == (409, "wallet_review_decided")
    assert http.get("/v1/wallet-reviews", headers=desk).json()["reviews"] == []
    got = wallet.post("deferred", {"transaction_id": transaction_id})
    assert [one.payload["cnf"] for one in claims(got)] == [{"jwk": key.jwk} for key in keys]
    assert wallet.post("deferred", {"transaction_id": transaction_id}).json() == got.json()
    notified = {"notification_id": got.json()["notification_id"], "event": "credential_accepted"}
    assert wallet.post("notification", notified).status_code == 204
    refused(wallet.post("deferred", {"transaction_id": transaction_id}), "invalid_transaction_id")


def test_who_made_an_offer_does_not_approve_what_comes_of_it(tmp_path: Path) -> None:
    service = open_service(tmp_path, approvals_needed=1)
    with TestClient(create_app(service.issuer), base_url=ORIGIN) as http:
        maker, other = ({"Authorization": f"Bearer {service.token(Role.DESK)}"} for _ in range(2))
        wallet = Wallet(http, service.clock)
        wallet.take(offered(http, maker, proven(service), review=True))
        transaction_id = wallet.request(Key()).json()["transaction_id"]
        service.clock.advance(3 * 86_400)
        service.issuer.wallets.upkeep(service.clock())  # offers go a day after they are over, but for this one
        approve = f"/v1/wallet-reviews/{transaction_id}/approve"
        own = http.post(approve, headers=maker)
        assert (own.status_code, own.json()["code"]) == (422, "approval_own_request")
        assert wallet.post("deferred", {"transaction_id": transaction_id}).status_code == 202
        assert http.post(approve, headers=other).json()["state"] == "granted"
        assert len(claims(wallet.post("deferred", {"transaction_id": transaction_id}))) == 1
    service.issuer.close()


def test_what_a_person_refuses_or_nobody_looks_at_is_denied(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    wallet.take(offered(http, desk, proven(service), review=True))
    asked = wallet.request(Key()).json()
    answer = http.post(f"/v1/wallet-reviews/{asked['transaction_id']}/refuse", json={"reason": "r"}, headers=desk)
    assert answer.json()["state"] == "refused"
    refused(wallet.post("deferred", asked | {"interval": None}), "invalid_credential_request")
    refused(wallet.post("deferred", {"transaction_id": asked["transaction_id"]}), "credential_request_denied")
    refused(wallet.post("deferred", {"transaction_id": "0" * 32}), "invalid_transaction_id")
    late = wallet.request(Key()).json()["transaction_id"]
    service.clock.advance(8 * 86_400)
    answer = http.post(f"/v1/wallet-reviews/{late}/approve", headers=desk)
    assert (answer.status_code, answer.json()["code"]) == (404, "wallet_review_unknown")


def test_credentials_that_a_wallet_deleted_end_and_the_ecard_stays(
    http: TestClient, service: Service, desk: dict[str, str], wallet: Wallet
) -> None:
    enrolment_id = proven(service)
    wallet.take(offered(http, desk, enrolment_id))
    keys, nonce = (Key(), Key()), wallet.nonce()
    kept, gone = wallet.request(Key()), wallet.request(*keys, nonce=nonce)
    assert wallet.request(*keys, nonce=nonce).json() == gone.json(), "asked again after a lost answer"
    told = {"notification_id": gone.json()["notification_id"], "event": "credential_deleted"}
    for _ in range(2):
        assert wallet.post("notification", told | {"event_description": "removed"}).status_code == 204
    register = service.issuer.register
    card_ref = register.get_enrolment(enrolment_id).card_ref or ""
    assert sorted(row.state.value for row in register.credentials_of(card_ref)) == ["ended", "ended", "live"]
    assert register.find_binding(card_ref) is not None
    assert len(claims(kept)) == 1
    refused(wallet.request(*keys, nonce=nonce), "credential_request_denied")
    refused(wallet.post("notification", told | {"event": "credential_lost"}), "invalid_notification_request")
    refused(wallet.post("notification", told | {"notification_id": "0" * 32}), "invalid_notification_id")
    refused(wallet.post("notification", told | {"more": 1}), "invalid_notification_request")
    other = Wallet(http, service.clock)
    other.take(offered(http, desk, proven(service)))
    refused(other.post("notification", told), "invalid_notification_id")


def test_what_is_over_is_deleted(service: Service, http: TestClient, desk: dict[str, str]) -> None:
    offer = offered(http, desk, proven(service))
    service.issuer.wallets.upkeep(service.clock())
    assert service.issuer.wallets.store.find_offer(offer["offer_id"]) is not None
    service.clock.advance(2 * 86_400)
    service.issuer.wallets.upkeep(service.clock())
    assert service.issuer.wallets.store.find_offer(offer["offer_id"]) is None


def test_metadata_says_where_everything_is(http: TestClient) -> None:
    issuer = http.get("/.well-known/openid-credential-issuer", headers={"Host": "evil.example"}).json()
    assert issuer["credential_issuer"] == ORIGIN
    (configuration,) = issuer["credential_configurations_supported"].values()
    assert (configuration["format"], configuration["vct"]) == ("dc+sd-jwt", f"{ORIGIN}/vct/social-security-card/1")
    (server,) = issuer["authorization_servers"]
    found = [
        http.get("/.well-known/oauth-authorization-server/wallets").json(),
        http.get("/wallets/.well-known/oauth-authorization-server").json(),
    ]
    assert found[0] == found[1]
    assert found[0]["issuer"] == server == f"{ORIGIN}/wallets"
    described = http.get("/openapi.json").json()["paths"]
    urls = [value for part in (issuer, found[0]) for name, value in part.items() if name.endswith("_endpoint")]
    assert len(urls) == 7
    assert {url.removeprefix(ORIGIN) for url in urls} <= set(described)
    kind = http.get(configuration["vct"]).json()
    assert {claim["path"][0] for claim in kind["claims"]} == {
        claim["path"][0] for claim in configuration["credential_metadata"]["claims"]
    }
    assert http.get(kind["extends"]).json()["vct"] == f"{ORIGIN}/vct/ecard/1"
