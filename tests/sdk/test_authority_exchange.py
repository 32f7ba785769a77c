"""What the client sends, what it repeats, and what it makes of an answer; over a scripted transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import pytest

from ecard_card import errors as family
from ecard_card.status import CardChange
from ecard_sdk import errors
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.device import DeviceKey
from ecard_sdk.exchange import ATTEMPTS

TOKEN = "ecop_" + "t" * 43
CODE = "EC0:SECRETCODE"
VERDICT = {"verification_id": "v1", "outcome": "valid", "reason": "ok", "checks": [], "some": "day"}
CHANGE = {"applied": True, "card_ref": "c1", "change": "report_loss", "status": 2, "sequence": 1, "event_id": "e"}


@dataclass
class Script:
    """Answers in order; the last one again and again. An exception is raised instead."""

    answers: list[httpx2.Response | Exception]
    requests: list[httpx2.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, token: str | None = TOKEN) -> AuthorityClient:
        return AuthorityClient(
            "https://issuer.example/",
            token,
            transport=httpx2.MockTransport(self),
            pause=self.pauses.append,
            jitter=lambda: 1.0,
        )


def ok(body: object) -> httpx2.Response:
    return httpx2.Response(200, json=body)


def problem(status: int, code: str, **headers: str) -> httpx2.Response:
    body = {"type": f"/problems/{code}", "title": "t", "status": status, "code": code, "request_id": "r-1"}
    return httpx2.Response(status, json=body, headers=headers)


def lost(client: AuthorityClient) -> object:
    return client.change_card("c1", CardChange.REPORT_LOSS)


READS: list[Callable[[AuthorityClient], object]] = [lambda client: client.keys(), lambda client: client.bundle()]
WRITES: list[Callable[[AuthorityClient], object]] = [
    lambda client: client.verify(CODE),
    lambda client: client.begin_enrolment("desk"),
    lambda client: client.send_evidence("e1", "{}"),
    lambda client: client.create_key("credential"),
    lambda client: client.promote_key("k1"),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "fault", [httpx2.ReadTimeout("x"), httpx2.Response(503), httpx2.Response(502, content=b"<html>")]
)
def test_reading_is_repeated_and_then_given_up(
    read: Callable[[AuthorityClient], object], fault: httpx2.Response | Exception
) -> None:
    script = Script([fault])
    with script.client() as client, pytest.raises(errors.UnavailableError) as caught:
        read(client)
    assert len(script.requests) == ATTEMPTS
    assert caught.value.retryable
    assert script.pauses == sorted(script.pauses)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "fault", [httpx2.ReadTimeout("x"), httpx2.ReadError("x"), problem(503, "database_unavailable")]
)
def test_what_may_have_arrived_is_not_sent_twice(
    write: Callable[[AuthorityClient], object], fault: httpx2.Response | Exception
) -> None:
    script = Script([fault])
    with script.client() as client, pytest.raises(errors.UnavailableError):
        write(client)
    assert len(script.requests) == 1


@pytest.mark.parametrize("fault", [httpx2.ConnectError("x"), httpx2.ConnectTimeout("x")])
def test_what_was_never_sent_is_sent_again(fault: Exception) -> None:
    script = Script([fault, fault, ok(VERDICT)])
    with script.client() as client:
        assert client.verify(CODE).valid
    assert len(script.requests) == 3


def test_a_change_is_repeated_under_one_event_id() -> None:
    script = Script([httpx2.ReadTimeout("x"), problem(503, "database_unavailable"), ok(CHANGE)])
    with script.client() as client:
        lost(client)
    bodies = [json.loads(request.content) for request in script.requests]
    assert len(bodies) == 3
    assert len({body["event_id"] for body in bodies}) == 1


def test_a_pause_is_at_least_what_the_service_asks_for() -> None:
    script = Script([problem(503, "database_unavailable", **{"Retry-After": "2"}), ok({"keys": []})])
    with script.client() as client:
        assert client.keys() == ()
    assert script.pauses[0] > 2


@pytest.mark.parametrize(
    ("status", "kind", "of"),
    [
        (400, errors.InvalidRequestError, family.InvalidInput),
        (401, errors.AuthenticationError, family.NotAuthenticated),
        (403, errors.PermissionDeniedError, family.NotAllowed),
        (404, errors.NotFoundError, family.NotFound),
        (409, errors.ConflictError, family.Conflict),
        (413, errors.InvalidRequestError, family.InvalidInput),
        (422, errors.RefusedError, family.RuleViolation),
        (500, errors.UnavailableError, family.Unavailable),
        (503, errors.UnavailableError, family.Unavailable),
    ],
)
def test_each_status_is_an_error_of_its_family(
    status: int, kind: type[errors.ECardError], of: type[family.EcardError]
) -> None:
    with Script([problem(status, "some_code")]).client() as client, pytest.raises(kind) as caught:
        client.verify(CODE)
    error = caught.value
    assert isinstance(error, of)
    assert (error.code, error.http_status, error.request_id) == ("some_code", status, "r-1")
    assert error.retryable == (status >= 500)
    assert "r-1" in str(error)


def test_a_request_that_does_not_fit_the_schema_is_invalid_input() -> None:
    with Script([problem(422, "invalid_request")]).client() as client, pytest.raises(errors.InvalidRequestError):
        client.verify(CODE)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"null", b'{"outcome": "valid"}', b'{"a":1,"a":2}', b"\xff"])
def test_an_answer_that_is_none_of_ours_is_the_services_fault(body: bytes) -> None:
    with (
        Script([httpx2.Response(200, content=body)]).client() as client,
        pytest.raises(errors.UnavailableError) as caught,
    ):
        client.verify(CODE)
    assert caught.value.code == "service_answer_unreadable"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"code": 5}', b"\xff"])
def test_a_fault_without_a_problem_document_still_has_a_code(body: bytes) -> None:
    with (
        Script([httpx2.Response(500, content=body)]).client() as client,
        pytest.raises(errors.UnavailableError) as caught,
    ):
        client.verify(CODE)
    assert caught.value.code == "service_unavailable"


def test_an_outcome_that_is_none_of_the_four_is_not_taken_for_one() -> None:
    with Script([ok({**VERDICT, "outcome": "probably"})]).client() as client, pytest.raises(errors.UnavailableError):
        client.verify(CODE)


def test_members_of_a_newer_service_are_passed_over() -> None:
    with Script([ok(VERDICT)]).client() as client:
        assert client.verify(CODE).valid


def test_a_redirect_is_not_followed_with_the_token() -> None:
    script = Script([httpx2.Response(307, headers={"Location": "https://elsewhere.example/"})])
    with script.client() as client, pytest.raises(errors.ECardError):
        client.verify(CODE)
    assert len(script.requests) == 1


def test_codes_and_tokens_stand_in_no_path_error_or_repr() -> None:
    script = Script([problem(400, "bad_code")])
    with script.client() as client, pytest.raises(errors.InvalidRequestError) as caught:
        client.verify(CODE)
    said = str(script.requests[0].url) + str(caught.value) + repr(caught.value)
    assert "SECRETCODE" not in said
    assert TOKEN not in said
    assert script.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_text_from_a_service_cannot_move_the_cursor() -> None:
    answer = httpx2.Response(400, json={"code": "bad", "detail": "x\x1b[2Jy", "request_id": "r\n1"})
    with Script([answer]).client() as client, pytest.raises(errors.InvalidRequestError) as caught:
        client.verify(CODE)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["", "a/b", "../keys", "a?b", "x" * 65, "ü"])
def test_what_is_no_reference_never_becomes_a_path(reference: str) -> None:
    script = Script([ok({})])
    with script.client() as client, pytest.raises(family.InvalidInput, match="bad_reference"):
        client.card(reference)
    assert not script.requests


@pytest.mark.parametrize(("url", "token"), [("ftp://x", None), ("", None), ("https://x", ""), ("https://x", "a\nb")])
def test_a_client_for_nothing_is_not_made(url: str, token: str | None) -> None:
    with pytest.raises(family.InvalidInput):
        AuthorityClient(url, token)


def test_the_verifier_may_live_elsewhere() -> None:
    script = Script([ok(VERDICT)])
    transport = httpx2.MockTransport(script)
    with AuthorityClient("https://i.example", TOKEN, verifier_url="https://v.example", transport=transport) as client:
        client.verify(CODE)
    assert script.requests[0].url.host == "v.example"


def test_a_device_proves_itself_to_the_issuer_it_asks() -> None:
    script = Script([problem(422, "enrolment_not_proven")])
    device = DeviceKey.generate()
    with script.client() as client, pytest.raises(errors.RefusedError):
        client.issue("e1", device)
    body = json.loads(script.requests[0].content)
    assert body["device_key"] == device.public_jwk
    assert body["proof"].count(".") == 2
