"""Our own OpenAPI document drives a fuzzer (schemathesis) over every route, with every role that a route names.

It goes on from what it learns: ids that answers gave, and those of a small world made beforehand, stand in later
requests. Fixed seed, so a finding comes back. Streams that end by themselves only are not asked.
"""

from __future__ import annotations

import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, Response, SerializationContext, checks
from schemathesis.core.result import Ok
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from ecard_card import jose
from ecard_issuer.web.app import create_app
from ecard_issuer.web.embedded import embed
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.conftest import COUNTS
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import claimed
from tests.issuer.login_kit import Browser, Phone, log_in, register_site
from tests.issuer.service import Service, open_service

SEED = 20261130
#: A caller who gets no further.
REFUSED = frozenset({"not_allowed", "scope_missing"})
#: The header of a request that is a channel's.
MARK = "X-Fuzz-Channel"
#: Routes that a token or ticket opens which is good for little more than one request: nothing here has another.
ONCE = frozenset(
    {"POST /v1/sessions", "POST /wallets/credential", "POST /wallets/deferred", "POST /wallets/notification"}
)
#: Requests to each operation that fit the document, and that do not.
FITTING, UNFITTING = 4, 3
#: Answers of 413 and 503 that are right here: the service was not started, so nothing is ready, published or built.
RIGHT = frozenset({"body_too_large", "not_ready", "published_unavailable", "component_not_built", "trust_missing"})
#: What says without a code that it is not built, or not ready: a page, and the parts of readiness.
WORDY = frozenset({"/counter", "/health/ready"})
#: Ours to judge by more than a schema says (check digits, signatures): a request that fits may be refused.
CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)


@schemathesis.serializer("application/secevent+jwt", "application/jwt")
def as_text(_: SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module", autouse=True)
def same_ids() -> Iterator[None]:
    """Ids decide what comes first in a list, and so what is learnt: they are the same in each run. Keys are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_sysrand", random.Random(SEED))  # noqa: S311 - to come back, not to be secret
        yield


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("fuzz"))
    keys, now = opened.issuer.request_keys, opened.clock()
    keys.self_sign(keys.create(now).key_id, name="fuzzed", host="issuer.example", now=now, days=30)
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    embedded = embed(service.issuer)
    service.issuer.hub.close()  # the feed's answer then ends at once
    embedded.app.router.lifespan_context = FastAPI().router.lifespan_context
    return embedded.app


@dataclass
class Channel:
    """Between the fuzzer and the application: makes a request that says so one of a channel, with all its proofs."""

    app: FastAPI
    channel: AdmittedChannel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (MARK.lower().encode(), b"1") not in scope.get("headers", ()):
            await self.app(scope, receive, send)
            return
        message = await receive()
        assert not message.get("more_body")
        path = (scope["raw_path"] + (b"?" if scope["query_string"] else b"") + scope["query_string"]).decode("ascii")
        given_key = dict(scope["headers"]).get(b"idempotency-key", b"").decode("latin-1")
        more = {"Idempotency_Key": given_key} if given_key else {}
        proofs = self.channel.headers(scope["method"], path, message.get("body", b""), more=more)
        added = [(name.lower().encode(), value.encode("latin-1")) for name, value in proofs.items()]
        kept = [(name, value) for name, value in scope["headers"] if name not in dict(added)]
        given = [message]

        async def replay() -> Message:
            return given.pop() if given else await receive()

        await self.app({**scope, "headers": [*kept, *added]}, replay, send)


@dataclass
class Known:
    """What stood in answers, by the name of its member; some of it goes into later requests. `spared` never does: who
    asks is not to be suspended, or given a key set that nobody can fetch."""

    random: random.Random
    values: dict[str, list[object]] = field(default_factory=dict)
    answered: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    spared: set[str] = field(default_factory=set)

    def learn(self, value: object, name: str = "") -> None:
        if isinstance(value, Mapping):
            for inner, each in value.items():
                self.learn(each, inner)
        elif isinstance(value, list):
            for each in value[:5]:
                self.learn(each, name)
        elif isinstance(value, str) and value in self.spared:
            pass
        elif isinstance(value, str) and 0 < len(value) < 200 and len(self.values.setdefault(name, [])) < 20:
            self.values[name].append(value)

    def into(self, value: Any, often: float) -> Any:
        """`value` with some members replaced by what is known of that name."""
        if isinstance(value, list):
            return [self.into(each, often) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self.random.choice(self.values[name])
            if isinstance(each, str) and name in self.values and self.random.random() < often
            else self.into(each, often)
            for name, each in value.items()
        }


@pytest.fixture(scope="module")
def known(service: Service) -> Known:
    """A small world: a card with an e-card, and one without."""
    known = Known(random.Random(SEED))  # noqa: S311 - to come back, not to be secret
    issuer, now = service.issuer, service.clock()
    client = TestClient(create_app(issuer), headers={"Authorization": f"Bearer {service.token(Role.OPERATOR)}"})
    for serial in (1, 2):
        body = service.card_body(serial)
        known.learn(body)
        known.learn(client.post("/v1/cards", json=body).json())
    opened = client.post("/v1/enrolments", json={"terminal_id": "desk 1"}).json()
    evidence = service.evidence(1, bytes.fromhex(opened["challenge"]))
    at = f"/v1/enrolments/{opened['enrolment_id']}"
    known.learn(client.post(f"{at}/evidence", json=evidence).json())
    device = DeviceKey.generate()
    issued = client.post(f"{at}/credentials", json=service.credential_body(device, opened["enrolment_id"])).json()
    known.learn(issued)
    known.values["code"] = [device.offline_code(jose.b64url_decode(issued["cwt"]), now)]
    return known


def test_every_route_answers_only_as_described(
    service: Service, app: FastAPI, known: Known, record_property: Callable[[str, object], None]
) -> None:
    tokens = {role.value: service.token(role) for role in Role}
    schema = schemathesis.openapi.from_dict(app.openapi())
    admitted = admit(service, app=app, quotas={"calls_per_minute": 100_000, "claims_per_day": 1000})
    schema.app = Channel(app, admitted)
    known.spared.add(admitted.app_id)
    known.values["app_id"] = [admit(service, app=app).app_id]
    known.values["link_id"] = [claimed(service, admitted, 1)]
    shown = claimed(service, admitted, 4)
    known.spared.add(shown)
    browser, site = logging_in(service, app, admitted, known)
    counter_id = merchant(service, app, known)
    found: dict[str, str] = {}
    asked = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        callers = [bearer(tokens[role]) for role in operation.definition.raw.get("x-ecard-role", ())] or [{}]
        if "x-ecard-scope" in operation.definition.raw:
            callers = [{MARK: "1"}]
        elif operation.path.startswith("/v1/sessions/"):
            callers = [opened_session(service, app, admitted, shown, known)]  # and no other session is known then
        elif "x-ecard-counter" in operation.definition.raw:
            callers = [counter_page(service, app, counter_id)]  # each a new one: some log off
        elif operation.path.startswith("/login/"):
            callers = [site if "userinfo" in operation.path else browser]
        for mode, most in ((GenerationMode.POSITIVE, FITTING), (GenerationMode.NEGATIVE, UNFITTING)):
            asked += ask(operation, mode, most, callers, known, found)
    done = sum(any(status < 300 for status in statuses) for statuses in known.answered.values())
    record_property(COUNTS, f"{asked} requests to {len(known.answered)} operations, of which {done} did what was asked")
    assert found == {}, "\n".join(f"{where}: {what}" for where, what in found.items())


def opened_session(
    service: Service, app: FastAPI, channel: AdmittedChannel, link_id: str, known: Known
) -> dict[str, str]:
    """What a page sends, whose channel got it a ticket; its token opens this session and none that is known besides."""
    tickets = service.issuer.showing.tickets
    secret = tickets.issue(channel.app_id, link_id, None, service.clock()).secret
    answer = TestClient(app).post("/v1/sessions", json={"ticket": secret}).json()
    known.values["session_id"] = [answer["session_id"]]
    return bearer(answer["token"])


def logging_in(
    service: Service, app: FastAPI, channel: AdmittedChannel, known: Known
) -> tuple[dict[str, str], dict[str, str]]:
    """What a browser sends that waits for its login, and what the server of a site does after another one."""
    site = "https://jobs.example/back"
    register_site(service, "jobs", site)
    token = log_in(Browser(app, service, "login.jobs", site), Phone(service, channel, 3))["access_token"]
    waiting = Browser(app, service, "login.jobs", site)
    waiting.begin()
    known.learn(waiting.asks())
    known.values["transaction_id"] = [waiting.transaction]
    (name,) = (cookie.name for cookie in waiting.client.cookies.jar)
    return {"Cookie": f"{name}={waiting.cookie}"}, bearer(token)


def merchant(service: Service, app: FastAPI, known: Known) -> str:
    """A group of merchants with a counter, which is spared; its branch and group may come to an end."""
    client = TestClient(app, headers=bearer(service.token(Role.OPERATOR)))

    def made(path: str, body: Mapping[str, object]) -> dict[str, str]:
        answer = client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    for spared in (False, True):
        body = {"name": f"shop {spared}", "level": "basic", "purposes": ["query", "payment", "other"]}
        group = made("/v1/groups", body)
        branch = made("/v1/branches", {"group_id": group["group_id"], "name": "first"})
        counter = made("/v1/counters", {"branch_id": branch["branch_id"], "name": "window"})
        things = {"group_id": group["group_id"], "branch_id": branch["branch_id"], "counter_id": counter["counter_id"]}
        if spared:
            known.spared |= set(things.values())
        known.learn(things)
    known.values["purpose"] = ["query"]
    return counter["counter_id"]


def counter_page(service: Service, app: FastAPI, counter_id: str) -> dict[str, str]:
    """What the page of a counter sends that was just admitted."""
    client = TestClient(app, base_url="https://localhost")
    token = bearer(service.token(Role.OPERATOR))
    code = client.post(f"/v1/counters/{counter_id}/admissions", json={}, headers=token).json()["admission_code"]
    own = {"Origin": "https://localhost"}
    answer = client.post("/v1/counter/session", json={"admission_code": code}, headers=own)
    assert answer.status_code == 201, answer.text
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0], "Origin": "http://localhost"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def code_of(response: Response) -> str:
    return str(response.json().get("code")) if "problem" in response.headers.get("content-type", [""])[0] else ""


def ask(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    most: int,
    callers: list[dict[str, str]],
    known: Known,
    found: dict[str, str],
) -> int:
    """At most `most` requests to one operation, by `callers` in turn; how many there were. The first that fits names
    in its path only what is known: who asks about nothing that there is, may look like one who was not let in."""
    turns = cycle(callers)
    known.random.seed(f"{SEED} {operation.label} {mode.value}")  # whatever other operations came to
    asked, answers = 0, set[int]()

    @seed(SEED)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def once(case: Case[Any]) -> None:
        nonlocal asked
        asked += 1
        if isinstance(case.query, dict) and "wait" in case.query:
            case.query["wait"] = 0  # nobody waits for news here
        if mode is GenerationMode.POSITIVE:
            case.path_parameters = known.into(case.path_parameters, 1.0 if not answers else 0.8)
            case.body = known.into(case.body, 0.5)
            case.query = known.into(case.query, 0.5)
        response = case.call(headers=next(turns))
        answers.add(response.status_code if code_of(response) not in REFUSED else 401)
        with suppress(ValueError):
            known.learn(response.json())
        judge(case, response, found)

    with suppress(Unsatisfiable):  # nothing of this operation could be wrong
        once()
    if mode is GenerationMode.POSITIVE and answers == {401} and operation.label not in ONCE:
        found[f"{operation.label} was never let in"] = str(answers)
    known.answered[operation.label] |= answers
    return asked


def judge(case: Case[Any], response: Response, found: dict[str, str]) -> None:
    """Add what is wrong with the answer, once for each operation and kind."""
    wordy = case.path in WORDY and not code_of(response)
    if response.status_code in (413, 503) and (wordy or code_of(response) in RIGHT):
        return
    # To the fuzzer `%3A` is three characters of a path, to everybody else one that may be right.
    quoted = any("%" in str(value) for value in (case.path_parameters or {}).values())
    # The cookie of a counter's page is given to each request, whatever the fuzzer did to it.
    page = "x-ecard-counter" in case.operation.definition.raw and case.method in ("GET", "DELETE")
    wanted = [check for check in CHECKS if not ((quoted or page) and check is checks.negative_data_rejection)]
    try:
        case.validate_response(response, checks=wanted)
    except BaseException as error:  # noqa: BLE001 - whatever a check says is a finding
        told = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
        for each in told:
            name = f"{case.operation.label} {type(each).__name__} {response.status_code}"
            found.setdefault(name, f"{str(each)[:400]} | {response.text[:300]} | {case.as_curl_command()[:500]}")
