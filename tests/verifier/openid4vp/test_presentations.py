"""A wallet shows an e-card over HTTP: accepted once as it should be, and refused with a code of its own in every
other way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from ecard_card import disclosure, jose, sd_jwt, status_token
from ecard_card.credential import StatusRef
from ecard_card.errors import Conflict, NotFound
from ecard_card.status import EcardStatus
from ecard_verifier.callers import token_hash
from ecard_verifier.openid4vp.wish import Wish
from ecard_verifier.statuses import StatusSnapshot
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from ecard_verifier.web.presentation_models import Presentation, PresentationOpened
from tests.verifier.http_kit import running
from tests.verifier.openid4vp.kit import (
    ASKER,
    P256,
    TOKENS,
    Counter,
    Json,
    Wallet,
    bearer,
    encrypted,
    here,
    make_keys,
    make_presentations,
    now_seconds,
    read_request,
)
from tests.world import ISSUER, World

Lie = Callable[[Wallet, Json], str]


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="module")
def statuses(world: World) -> StatusSnapshot:
    return world.statuses()


@pytest.fixture(scope="module")
def wallet(world: World) -> Wallet:
    key = P256()
    return Wallet(world.selective(world.credential(_device(key))), key)


@pytest.fixture(scope="module")
def counter(world: World, statuses: StatusSnapshot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    keys = make_keys(tmp_path_factory.mktemp("keys"))
    presentations, service = make_presentations(world, keys, statuses)
    known = HashedTokens({token_hash(token): caller for token, caller in TOKENS.items()})
    app = create_app(service, known, presentations=presentations)
    with running(app) as base, httpx2.Client(base_url=base, trust_env=False) as client:
        yield Counter(client, base)


def _device(key: P256) -> Any:
    """What a credential takes of a device: its public key."""

    class Device:
        point = key.point

    return Device()


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code, answer.text


def test_an_e_card_is_shown_and_believed_once_and_only_what_was_asked_for_is_told(
    counter: Counter, wallet: Wallet
) -> None:
    opened = counter.ask(claims=["name"])
    PresentationOpened.model_validate(opened)
    assert counter.result(opened) == {"presentation_id": opened["presentation_id"], "state": "waiting"}
    request = counter.fetch(opened)
    assert counter.result(opened)["state"] == "fetched"
    assert request["response_type"] == "vp_token"
    assert request["response_mode"] == "direct_post.jwt"
    assert request["aud"] == "https://self-issued.me/v2"
    assert len(jose.b64url_decode(request["nonce"])) >= 16
    (asked,) = request["dcql_query"]["credentials"]
    assert asked["meta"] == {"vct_values": [f"{ISSUER}/vct/social-security-card/1"]}
    assert asked["claims"] == [{"path": ["name"]}]
    # The wallet shows more than was asked for: it is not passed on.
    answer = counter.answer(request, wallet.show(request, ("name", "card_number")))
    assert (answer.status_code, answer.json()) == (200, {})
    told = counter.result(opened)
    Presentation.model_validate(told)
    assert (told["state"], told["credential"], told["outcome"], told["reason"]) == ("decided", "ecard", "valid", "ok")
    assert (told["purpose"], told["claims"], told["facts"]) == (None, {"name": "测试"}, {})
    assert told["chip_assurance"] == "challenge"
    assert told["checks"][-1]["name"] == "first use"


def test_nothing_of_a_request_is_in_its_id_and_each_has_secrets_of_its_own(counter: Counter) -> None:
    one, two = counter.ask(), counter.ask()
    first, second = counter.fetch(one), counter.fetch(two)
    for name in ("nonce", "state", "response_uri"):
        assert first[name] != second[name]
    assert first["client_metadata"]["jwks"] != second["client_metadata"]["jwks"]
    assert one["presentation_id"].removeprefix("pre_") not in json.dumps([one["request_uri"], first, one["qr"]])
    assert "claims" not in first["dcql_query"]["credentials"][0], "nothing is asked for that nobody wants"


def test_a_request_is_given_out_once_by_either_method(counter: Counter) -> None:
    opened = counter.ask()
    path = here(opened["request_uri"])
    answer = counter.client.post(path, data={"wallet_nonce": "w-1", "wallet_metadata": "{}"})
    request = read_request(answer.text)
    assert request["wallet_nonce"] == "w-1"
    refused(counter.client.get(path), 409, "presentation_request_used")
    refused(counter.client.post(path, data={"wallet_nonce": "w-2"}), 409, "presentation_request_used")
    refused(counter.client.get("/openid4vp/request/" + "A" * 43), 404, "presentation_request_unknown")
    too_long = counter.ask()
    refused(
        counter.client.post(here(too_long["request_uri"]), data={"wallet_nonce": "n" * 257}), 400, "bad_wallet_nonce"
    )
    assert counter.fetch(too_long)["nonce"], "a bad nonce has not used it up"
    bare = counter.ask()
    assert "wallet_nonce" not in read_request(counter.client.post(here(bare["request_uri"])).text)


def _shown(wallet: Wallet, change: Callable[[list[str]], list[str]]) -> str:
    """The credential with other disclosures, ready to be bound."""
    jws, *disclosures = wallet.credential.rstrip("~").split("~")
    return "~".join((jws, *change(disclosures), ""))


def _named(name: str, value: str) -> str:
    return jose.b64url_encode(jose.dump_json([jose.b64url_encode(bytes(16)), name, value]))


def _resigned(wallet: Wallet, request: Json) -> str:
    """Signed by somebody who is no issuer, under the issuer's key id."""
    jws, rest = wallet.credential.split("~", 1)
    head, body, _ = jws.split(".")
    header, payload = (json.loads(jose.b64url_decode(part)) for part in (head, body))
    return Wallet(f"{P256().jws(header, payload)}~{rest}", wallet.key).show(request)


def _edited(wallet: Wallet, request: Json) -> str:
    """Another payload under the issuer's own signature."""
    jws, rest = wallet.credential.split("~", 1)
    head, body, tail = jws.split(".")
    payload = json.loads(jose.b64url_decode(body)) | {"chip_assurance": "signature"}
    return Wallet(f"{head}.{jose.b64url_encode(jose.dump_json(payload))}.{tail}~{rest}", wallet.key).show(request)


LIES: dict[str, tuple[Lie, str]] = {
    "another nonce": (lambda w, r: w.show(r, lies={"nonce": "n" * 43}), "wrong_nonce"),
    "another verifier": (lambda w, r: w.show(r, lies={"aud": f"x509_hash:{'A' * 43}"}), "wrong_audience"),
    "the verifier's address in the place of its client id": (
        lambda w, r: w.show(r, lies={"aud": "https://verifier.example"}),
        "wrong_audience",
    ),
    "the client id without its prefix": (
        lambda w, r: w.show(r, lies={"aud": r["client_id"].removeprefix("x509_hash:")}),
        "wrong_audience",
    ),
    "sd_hash of another presentation": (
        lambda w, r: w.show(r, lies={"sd_hash": disclosure.digest("x~")}),
        "bad_key_binding",
    ),
    "no sd_hash": (lambda w, r: w.show(r, lies={"sd_hash": None}), "bad_key_binding"),
    "another holder's key": (lambda w, r: Wallet(w.credential).show(r), "bad_holder_signature"),
    "no holder's signature": (lambda w, r: sd_jwt.present(w.credential, ["name"]), "key_binding_missing"),
    "another issuer's signature": (_resigned, "bad_signature"),
    "an edited credential": (_edited, "bad_signature"),
    "ten minutes old": (lambda w, r: w.show(r, lies={"iat": now_seconds() - 600}), "code_expired"),
    "of ten minutes hence": (lambda w, r: w.show(r, lies={"iat": now_seconds() + 600}), "code_from_future"),
    "a changed disclosure": (
        lambda w, r: w.show(r, text=_shown(w, lambda _: [_named("name", "别人")])),
        "bad_sd_jwt",
    ),
    "an added disclosure": (
        lambda w, r: w.show(r, text=_shown(w, lambda given: [*given, _named("name_2", "x")])),
        "bad_sd_jwt",
    ),
    "a disclosure twice": (
        lambda w, r: w.show(r, text=_shown(w, lambda given: [given[0], given[0]])),
        "bad_sd_jwt",
    ),
    "a disclosure added after the holder signed": (
        lambda w, r: w.show(r, ()).replace("~", "~" + w.credential.split("~")[1] + "~", 1),
        "bad_key_binding",
    ),
    "without the claim that was asked for": (lambda w, r: w.show(r, ("card_number",)), "claims_missing"),
    "confirming what nobody asked": (
        lambda w, r: w.show(r, lies={"transaction_data_hashes": ["A" * 43], "transaction_data_hashes_alg": "sha-256"}),
        "transaction_data_differs",
    ),
    "no credential at all": (lambda w, r: "hello", "unreadable_code"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_wallet_that_lies_is_refused_by_a_code_and_told_nothing(counter: Counter, wallet: Wallet, name: str) -> None:
    lie, code = LIES[name]
    opened = counter.ask(claims=["name"])
    request = counter.fetch(opened)
    answer = counter.answer(request, lie(wallet, request))
    assert (answer.status_code, answer.json()) == (200, {})
    told = counter.result(opened)
    assert (told["outcome"], told["reason"], told["claims"]) == ("invalid", code, {})


@pytest.mark.parametrize("offset", [-60, 60])
def test_clocks_may_differ_by_a_minute(counter: Counter, wallet: Wallet, offset: int) -> None:
    opened = counter.ask()
    request = counter.fetch(opened)
    counter.answer(request, wallet.show(request, lies={"iat": now_seconds() + offset - (offset > 0)}))
    assert counter.verdict(opened) == ("valid", "ok")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"vct": f"{ISSUER}/vct/library-card/1"}, "wrong_type"),
        ({"expires_at": now_seconds() - 600, "issued_at": now_seconds() - 7200}, "expired"),
        ({"issuer": "https://stranger.example", "vct": f"{ISSUER}/vct/social-security-card/1"}, "issuer_mismatch"),
    ],
)
def test_another_credential_of_the_same_issuer_is_no_e_card(
    counter: Counter, world: World, change: Json, code: str
) -> None:
    key = P256()
    other = Wallet(world.selective(world.credential(_device(key), **change)), key)
    opened = counter.ask()
    request = counter.fetch(opened)
    counter.answer(request, other.show(request))
    assert counter.verdict(opened) == ("invalid", code)


@pytest.mark.parametrize(("status", "code"), [(EcardStatus.SUSPENDED, "suspended"), (EcardStatus.INVALID, "ended")])
def test_a_lost_or_cancelled_card_is_refused_whatever_the_wallet_holds(
    counter: Counter, world: World, statuses: StatusSnapshot, status: EcardStatus, code: str
) -> None:
    key, place = P256(), 2 + status
    uri = world.status_uri.replace("{list}", str(place))
    lost = world.credential(_device(key), status=StatusRef(uri, place, 7))
    statuses.put(status_token.parse_jwt(world.status_token({7: status}, list_id=place)))
    opened = counter.ask()
    request = counter.fetch(opened)
    counter.answer(request, Wallet(world.selective(lost), key).show(request))
    assert counter.verdict(opened) == ("invalid", code)


def test_an_answer_counts_once_and_for_its_own_request_only(counter: Counter, wallet: Wallet) -> None:
    opened, other = counter.ask(), counter.ask()
    request, second = counter.fetch(opened), counter.fetch(other)
    text = wallet.show(request)
    content = {"vp_token": {"ecard": [text]}, "state": request["state"]}
    sealed = encrypted(request, content)
    refused(counter.post(second, response=sealed), 400, "response_not_decryptable")
    assert counter.post(request, response=sealed).status_code == 200
    refused(counter.post(request, response=sealed), 409, "response_replayed")
    assert counter.verdict(opened) == ("valid", "ok")
    # The same presentation in an answer to another request.
    assert counter.answer(second, text).status_code == 200
    assert counter.verdict(other) == ("invalid", "wrong_nonce")


def test_an_answer_with_the_state_of_another_request_is_refused(counter: Counter, wallet: Wallet) -> None:
    opened, other = counter.ask(), counter.ask()
    request, second = counter.fetch(opened), counter.fetch(other)
    content = {"vp_token": {"ecard": [wallet.show(request)]}, "state": second["state"]}
    assert counter.post(request, response=encrypted(request, content)).status_code == 200
    assert counter.verdict(opened) == ("invalid", "wrong_state")
    assert counter.result(other)["state"] == "fetched"


def _sealed(request: Json, wallet: Wallet, **header: str) -> str:
    return encrypted(request, {"vp_token": {"ecard": [wallet.show(request)]}, "state": request["state"]}, **header)


def _with_header(sealed: str, **members: object) -> str:
    head, rest = sealed.split(".", 1)
    header = json.loads(jose.b64url_decode(head)) | members
    return f"{jose.b64url_encode(jose.dump_json(header))}.{rest}"


UNOPENED: dict[str, tuple[Callable[[Json, Wallet], dict[str, str]], str]] = {
    "another key agreement": (
        lambda r, w: {"response": _sealed(r, w, alg="ECDH-ES+A128KW")},
        "response_encryption_refused",
    ),
    "a weaker content encryption": (
        lambda r, w: {"response": _sealed(r, w, enc="A128CBC-HS256")},
        "response_encryption_refused",
    ),
    "a compressed answer": (lambda r, w: {"response": _sealed(r, w, zip="DEF")}, "response_encryption_refused"),
    "a header that says dir": (
        lambda r, w: {"response": _with_header(_sealed(r, w), alg="dir")},
        "response_encryption_refused",
    ),
    "a header changed on the way": (
        lambda r, w: {"response": _with_header(_sealed(r, w), apu="AA")},
        "response_not_decryptable",
    ),
    "an altered text": (
        lambda r, w: {"response": ".".join([*_sealed(r, w).split(".")[:3], "AAAA", "A" * 22])},
        "response_not_decryptable",
    ),
    "a key of nobody": (
        lambda r, w: {"response": encrypted(r, {}, to={**P256().jwk, "kid": "x"})},
        "response_not_decryptable",
    ),
    "an answer in the open": (
        lambda r, w: {"vp_token": json.dumps({"ecard": [w.show(r)]}), "state": r["state"]},
        "response_not_encrypted",
    ),
    "a signed answer": (
        lambda r, w: {"response": P256().jws({"alg": "ES256"}, {"vp_token": {}})},
        "response_not_encrypted",
    ),
    "both": (lambda r, w: {"response": _sealed(r, w), "vp_token": "{}"}, "response_not_encrypted"),
    "nothing": (lambda r, w: {"state": r["state"]}, "response_not_encrypted"),
    "a key point that is none": (
        lambda r, w: {
            "response": _with_header(_sealed(r, w), epk={"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43})
        },
        "response_not_decryptable",
    ),
    "a form twice": (lambda r, w: {"response": _sealed(r, w), "": "x"}, "response_not_encrypted"),
}


@pytest.mark.parametrize("name", UNOPENED)
def test_what_cannot_be_opened_leaves_the_request_as_it_was(counter: Counter, wallet: Wallet, name: str) -> None:
    form, code = UNOPENED[name]
    opened = counter.ask()
    request = counter.fetch(opened)
    refused(counter.post(request, **form(request, wallet)), 400, code)
    assert counter.result(opened)["state"] == "fetched"
    assert counter.answer(request, wallet.show(request)).status_code == 200
    assert counter.verdict(opened) == ("valid", "ok")


INSIDE: dict[str, tuple[Callable[[Json, str], Any], str]] = {
    "two credentials": (lambda r, t: {"vp_token": {"ecard": [t, t]}, "state": r["state"]}, "several_credentials"),
    "one that nobody asked for": (lambda r, t: {"vp_token": {"pass": [t]}, "state": r["state"]}, "bad_vp_token"),
    "one besides": (lambda r, t: {"vp_token": {"ecard": [t], "x": [t]}, "state": r["state"]}, "bad_vp_token"),
    "a text in the place of a list": (lambda r, t: {"vp_token": {"ecard": t}, "state": r["state"]}, "bad_vp_token"),
    "an object in the list": (lambda r, t: {"vp_token": {"ecard": [{}]}, "state": r["state"]}, "bad_vp_token"),
    "an empty list": (lambda r, t: {"vp_token": {"ecard": []}, "state": r["state"]}, "bad_vp_token"),
    "the older form": (lambda r, t: {"vp_token": t, "state": r["state"]}, "bad_vp_token"),
    "no state": (lambda r, t: {"vp_token": {"ecard": [t]}}, "wrong_state"),
    "no JSON": (lambda r, t: b"hello", "bad_wallet_response"),
    "deep JSON": (lambda r, t: b"[" * 9000 + b"]" * 9000, "bad_wallet_response"),
    "a member twice": (lambda r, t: b'{"state":"a","state":"b"}', "bad_wallet_response"),
    "a huge credential": (
        lambda r, t: {"vp_token": {"ecard": ["a.b.c~" + "d" * 34_000]}, "state": r["state"]},
        "unreadable_code",
    ),
}


@pytest.mark.parametrize("name", INSIDE)
def test_what_was_opened_is_used_up_and_judged(counter: Counter, wallet: Wallet, name: str) -> None:
    make, code = INSIDE[name]
    opened = counter.ask()
    request = counter.fetch(opened)
    sealed = encrypted(request, make(request, wallet.show(request)))
    assert counter.post(request, response=sealed).status_code == 200
    assert counter.verdict(opened) == ("invalid", code)
    refused(counter.answer(request, wallet.show(request)), 409, "response_replayed")


def test_a_body_that_is_too_large_is_not_read(counter: Counter) -> None:
    request = counter.fetch(counter.ask())
    refused(counter.post(request, response="A" * 70_000), 413, "body_too_large")


PAYMENT = {"type": "urn:ecard:payment:1", "payee": "测试药店", "amount": "12.50", "currency": "CNY"}


def test_a_transaction_is_confirmed_word_for_word(counter: Counter, wallet: Wallet) -> None:
    opened = counter.ask(transaction_data=[PAYMENT])
    request = counter.fetch(opened)
    (text,) = request["transaction_data"]
    said = json.loads(jose.b64url_decode(text))
    assert said == {**PAYMENT, "credential_ids": ["ecard"], "transaction_data_hashes_alg": ["sha-256"]}
    counter.answer(request, wallet.show(request))
    assert counter.verdict(opened) == ("valid", "ok")


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"transaction_data_hashes": None, "transaction_data_hashes_alg": None}, "transaction_data_missing"),
        ({"transaction_data_hashes": [disclosure.digest("another")]}, "transaction_data_differs"),
        ({"transaction_data_hashes": []}, "bad_key_binding"),
        ({"transaction_data_hashes_alg": None}, "bad_key_binding"),
        ({"transaction_data_hashes_alg": "sha-512"}, "bad_key_binding"),
        ({"transaction_data_hashes": "x"}, "bad_key_binding"),
    ],
)
def test_a_transaction_that_was_not_confirmed_is_refused(
    counter: Counter, wallet: Wallet, lies: Json, code: str
) -> None:
    opened = counter.ask(transaction_data=[PAYMENT])
    request = counter.fetch(opened)
    counter.answer(request, wallet.show(request, lies=lies))
    assert counter.verdict(opened) == ("invalid", code)


def test_a_transaction_confirmed_for_one_amount_is_none_for_another(counter: Counter, wallet: Wallet) -> None:
    opened = counter.ask(transaction_data=[PAYMENT])
    request = counter.fetch(opened)
    changed = {**request, "transaction_data": [jose.b64url_encode(jose.dump_json({**PAYMENT, "amount": "1.00"}))]}
    counter.answer(request, wallet.show(changed))
    assert counter.verdict(opened) == ("invalid", "transaction_data_differs")


def test_on_one_device_the_verdict_waits_for_the_browser_that_asked(counter: Counter, wallet: Wallet) -> None:
    """The attacker's session asks, the victim's wallet answers: the code comes to the victim's browser alone."""
    mine = counter.ask(return_url="https://shop.example/back?order=7")
    victims = counter.ask(return_url="https://shop.example/back")
    request, theirs = counter.fetch(mine), counter.fetch(victims)
    back = counter.answer(request, wallet.show(request)).json()["redirect_uri"]
    other = counter.answer(theirs, wallet.show(theirs)).json()["redirect_uri"]
    assert back.startswith("https://shop.example/back?order=7&response_code=")
    assert other.startswith("https://shop.example/back?response_code=")
    code, foreign = back.rpartition("=")[2], other.rpartition("=")[2]
    assert len({code, foreign, mine["presentation_id"], request["state"], here(request["response_uri"])[-43:]}) == 5
    assert counter.result(mine) == {"presentation_id": mine["presentation_id"], "state": "decided"}

    def complete(opened: Json, said: str, token: str = ASKER) -> httpx2.Response:
        path = f"/v1/presentations/{opened['presentation_id']}/completion"
        return counter.client.post(path, json={"response_code": said}, headers=bearer(token))

    refused(complete(mine, foreign), 403, "response_code_wrong")
    refused(complete(mine, code, "0ther"), 404, "presentation_unknown")
    assert complete(mine, code).json()["outcome"] == "valid"
    refused(complete(mine, code), 403, "response_code_wrong")
    assert counter.result(mine)["outcome"] == "valid", "the one who asked may read it again"
    for _ in range(3):
        refused(complete(victims, code), 403, "response_code_wrong")
    refused(complete(victims, foreign), 403, "response_code_wrong")
    assert "outcome" not in counter.result(victims)


def test_a_wallet_may_say_that_it_shows_nothing(counter: Counter) -> None:
    plain, sealed, stranger = counter.ask(), counter.ask(), counter.ask()
    request = counter.fetch(plain)
    assert counter.post(request, error="access_denied", state=request["state"]).status_code == 200
    told = counter.result(plain)
    assert (told["state"], told["wallet_error"]) == ("declined", "access_denied")
    request = counter.fetch(sealed)
    content = {"error": "invalid_transaction_data", "state": request["state"]}
    assert counter.post(request, response=encrypted(request, content)).status_code == 200
    assert counter.result(sealed)["wallet_error"] == "invalid_transaction_data"
    request = counter.fetch(stranger)
    refused(counter.post(request, error="access_denied", state="x"), 422, "wrong_state")
    assert counter.result(stranger)["state"] == "fetched"


PAGES = ["https://clinic.example"]


def carried(counter: Counter, opened: Json, response: str, token: str = ASKER) -> httpx2.Response:
    path = f"/v1/presentations/{opened['presentation_id']}/answer"
    return counter.client.post(path, json={"response": response}, headers=bearer(token))


def test_a_browser_may_carry_request_and_answer(counter: Counter, wallet: Wallet) -> None:
    opened = counter.ask(origins=PAGES, claims=["name"])
    PresentationOpened.model_validate(opened)
    assert opened.keys() == {"presentation_id", "expires_at", "digital"}
    (asked,) = opened["digital"]["requests"]
    assert asked["protocol"] == "openid4vp-v1-signed"
    request = read_request(asked["data"]["request"])
    assert request["response_mode"] == "dc_api.jwt"
    assert request["expected_origins"] == PAGES
    assert not {"response_uri", "state"} & request.keys()
    sealed = encrypted(request, {"vp_token": {"ecard": [wallet.show(request)]}})
    stranger = counter.fetch(counter.ask())
    other = encrypted(stranger, {"vp_token": {}, "state": stranger["state"]})
    refused(carried(counter, opened, other), 400, "response_not_decryptable")
    refused(carried(counter, opened, sealed, "0ther"), 404, "presentation_unknown")
    told = carried(counter, opened, sealed).json()
    assert (told["outcome"], told["reason"], told["claims"]) == ("valid", "ok", {"name": "测试"})
    refused(carried(counter, opened, sealed), 409, "response_replayed")
    posted = counter.ask()
    refused(carried(counter, posted, sealed), 404, "presentation_unknown")


def test_an_answer_for_another_request_through_the_browser_is_refused(counter: Counter, wallet: Wallet) -> None:
    one, two = counter.ask(origins=PAGES), counter.ask(origins=PAGES)
    first, second = (read_request(item["digital"]["requests"][0]["data"]["request"]) for item in (one, two))
    relayed = encrypted(second, {"vp_token": {"ecard": [wallet.show(first)]}})
    assert carried(counter, two, relayed).json()["reason"] == "wrong_nonce"
    with_state = encrypted(first, {"vp_token": {"ecard": [wallet.show(first)]}, "state": "x"})
    assert carried(counter, one, with_state).json()["reason"] == "wrong_state"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"origins": ["http://clinic.example"]}, 400, "bad_origin"),
        ({"origins": ["https://clinic.example/page"]}, 400, "bad_origin"),
        ({"origins": PAGES, "return_url": "https://clinic.example/"}, 400, "bad_return_url"),
        ({"claims": ["salary"]}, 400, "bad_claims"),
        ({"claims": ["name", "name"]}, 400, "bad_claims"),
        ({"other_issuers": ["nobody"]}, 400, "other_issuer_unknown"),
        ({"transaction_data": [{"amount": "1"}]}, 400, "bad_transaction_data"),
        ({"transaction_data": [{"type": "t", "credential_ids": "x"}]}, 400, "bad_transaction_data"),
        ({"transaction_data": [{"type": "t", "a": ["nested"]}]}, 422, "invalid_request"),
        ({"transaction_data": [{"type": "t", **{f"m{n}": "x" * 1000 for n in range(8)}}]}, 400, "bad_transaction_data"),
        ({"transaction_data": [PAYMENT] * 5}, 422, "invalid_request"),
        ({"return_url": "http://shop.example/"}, 400, "bad_return_url"),
        ({"return_url": "https://shop.example/#x"}, 400, "bad_return_url"),
        ({"nonce": "mine"}, 422, "invalid_request"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(counter: Counter, body: Json, status: int, code: str) -> None:
    refused(counter.client.post("/v1/presentations", json=body, headers=bearer("c0unter")), status, code)


def test_a_presentation_is_its_callers_own(counter: Counter) -> None:
    opened = counter.ask()
    path = f"/v1/presentations/{opened['presentation_id']}"
    refused(counter.client.get(path, headers=bearer("0ther")), 404, "presentation_unknown")
    refused(counter.client.get(path), 401, "not_authenticated")
    refused(counter.client.get(path, headers=bearer("feed")), 403, "not_allowed")
    refused(counter.client.get("/v1/presentations/pre_none", headers=bearer("c0unter")), 404, "presentation_unknown")


def test_an_answer_without_a_fetched_request_is_refused(counter: Counter) -> None:
    opened = counter.ask()
    path = here(opened["request_uri"]).replace("request", "response")
    refused(counter.client.post(path, data={"response": "x"}), 409, "presentation_request_unfetched")


def test_the_https_link_leads_to_a_page_that_opens_a_wallet_and_repeats_nothing_else(counter: Counter) -> None:
    opened = counter.ask()
    page = counter.client.get(here(opened["wallet_link"]["https"]), headers={"Accept-Language": "zh-CN"})
    assert page.status_code == 200
    assert 'href="openid4vp://?client_id=x509_hash' in page.text
    assert 'lang="zh"' in page.text
    strange = counter.client.get(
        "/openid4vp/wallet", params={"client_id": '"><b>', "request_uri": "https://evil.example/x"}
    )
    assert "evil" not in strange.text
    assert "<b>" not in strange.text
    assert "href" not in strange.text


def test_a_request_ends_by_itself(world: World, wallet: Wallet, tmp_path: Any) -> None:
    """Two minutes to fetch, five to answer, fifteen to read the verdict."""
    now = datetime.now(UTC)
    moment = [now]
    presentations, _ = make_presentations(world, make_keys(tmp_path), clock=lambda: moment[0])

    def later(seconds: int) -> None:
        moment[0] = now + timedelta(seconds=seconds)

    late, slow, kept = (presentations.open(Wish(), "counter") for _ in range(3))
    requests = [read_request(presentations.request(one.request_uri[-43:])) for one in (slow, kept)]
    form = {"response": _sealed(requests[1], wallet)}
    presentations.respond(kept.request_uri[-43:], form)
    later(121)
    with pytest.raises(Conflict, match="presentation_over"):
        presentations.request(late.request_uri[-43:])
    later(301)
    with pytest.raises(Conflict, match="presentation_over"):
        presentations.respond(slow.request_uri[-43:], {"response": _sealed(requests[0], wallet)})
    with pytest.raises(NotFound, match="presentation_unknown"):
        presentations.result(slow.presentation_id, "counter")
    later(899)
    assert presentations.result(kept.presentation_id, "counter")["outcome"] == "valid"
    later(901)
    with pytest.raises(NotFound, match="presentation_unknown"):
        presentations.result(kept.presentation_id, "counter")
