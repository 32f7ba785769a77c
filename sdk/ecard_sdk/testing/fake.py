"""An authority in memory, behind a transport: real tokens, proofs, signatures and codes, and faults on cue."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

import httpx2

from ecard_card.messages import language, text
from ecard_keys.client_keys import read_client_key
from ecard_keys.client_signer import ClientSigner
from ecard_sdk.aio.client import AsyncECardClient
from ecard_sdk.core.access import TOKEN_PATH
from ecard_sdk.core.sealing import KEYS
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.testing.authority import Authority
from ecard_sdk.testing.gate import App, Fault, Gate, Repeats
from ecard_sdk.testing.routes import SCOPES, route
from ecard_sdk.testing.sealed import FakeEncryption
from ecard_sdk.testing.webhooks import FakeWebhooks

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


class FakeECard:
    """`client()` and `async_client()` are admitted and talk to it; `authority` is what a test changes behind them.

    `clock` is the authority's. What was asked and answered stands in `requests` and `answers`, in order; its clients
    do not sleep before they repeat something: `pauses` has the seconds.
    """

    def __init__(
        self, *, origin: str = "https://ecard.test", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.origin, self.clock = origin, clock
        self.gate, self.encryption = Gate(origin, clock), FakeEncryption()
        self.authority, self.webhooks = Authority(clock, origin), FakeWebhooks(clock)
        self.requests: list[httpx2.Request] = []
        self.answers: list[httpx2.Response] = []
        self.pauses: list[float] = []
        self._repeats = Repeats()
        self._cues: list[httpx2.Response | Exception | None] = []
        self._lost = 0

    def admit(self, scopes: Collection[str] = SCOPES) -> tuple[str, ClientSigner]:
        """A new app with these scopes, and its private key."""
        app_id = "ek_test_" + "".join(secrets.choice(_LETTERS) for _ in range(24))
        signer = ClientSigner.generate()
        self.gate.admit(App(app_id, read_client_key(signer.public_jwk), frozenset(scopes)))
        return app_id, signer

    def client(self, scopes: Collection[str] = SCOPES, **options: Any) -> ECardClient:
        """A client of a newly admitted app; `options` are those of the client's constructor."""
        return self.client_of(*self.admit(scopes), **options)

    def async_client(self, scopes: Collection[str] = SCOPES, **options: Any) -> AsyncECardClient:
        """As `client`."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        app_id, signer = self.admit(scopes)
        http = httpx2.AsyncClient(transport=self.transport())
        own = {"base_url": self.origin, "clock": self.clock, "http_client": http, "sleep": sleep}
        return AsyncECardClient(app_id, signer.private, **{**own, **options})

    def client_of(self, app_id: str, signer: ClientSigner, **options: Any) -> ECardClient:
        """Another client of an app that was admitted."""
        http = httpx2.Client(transport=self.transport())
        own = {"base_url": self.origin, "clock": self.clock, "http_client": http, "sleep": self.pauses.append}
        return ECardClient(app_id, signer.private, **{**own, **options})

    def transport(self) -> httpx2.MockTransport:
        """For an `http_client` of one's own, synchronous or not."""
        return httpx2.MockTransport(self.handle)

    def answer_next(self, *cues: httpx2.Response | Exception | int | None) -> None:
        """The next requests get these instead: an answer, a status (a problem document is made), an exception; for None
        the true answer."""
        for cue in cues:
            self._cues.append(self._problem(Fault(cue, "service_unavailable")) if isinstance(cue, int) else cue)

    def lose_answers(self, count: int = 1) -> None:
        """The next requests with an idempotency key are done, and their answers lost on the way."""
        self._lost += count

    def new_id(self) -> str:
        """32 random hex digits."""
        return secrets.token_hex(16)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        request.read()
        self.requests.append(request)
        if self._cues:
            cue = self._cues.pop(0)
            if isinstance(cue, Exception):
                raise cue
            if cue is not None:
                return self._dated(cue)
        answer = self._dated(self._answer(request))
        self.answers.append(answer)
        if self._lost and "idempotency-key" in request.headers:
            self._lost -= 1
            raise httpx2.ReadError("the answer was lost on the way")
        return answer

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        try:
            if request.method == "POST" and request.url.path == TOKEN_PATH:
                return httpx2.Response(200, json=self.gate.token(request))
            if request.method == "GET" and request.url.path == KEYS:
                return httpx2.Response(200, json=self.encryption.published())
            return self._routed(request)
        except Fault as fault:
            return self._problem(fault, request)

    def _routed(self, request: httpx2.Request) -> httpx2.Response:
        found, parts = route(request)
        app = self.gate.caller(request, found.scope, signed=found.signed)
        body = _json(request.content) if request.method == "POST" else {}

        def work() -> httpx2.Response:
            try:
                status, answer = found.work(self, app.app_id, body, dict(request.url.params), *parts)
            except Fault as fault:
                return self._problem(fault, request)
            return httpx2.Response(status, json=answer)

        return self._repeats.answer(app, request, work) if request.method == "POST" else work()

    def _dated(self, answer: httpx2.Response) -> httpx2.Response:
        answer.headers.setdefault("Date", format_datetime(self.clock(), usegmt=True))
        answer.headers.setdefault("X-Request-Id", secrets.token_hex(8))
        return answer

    def _problem(self, fault: Fault, request: httpx2.Request | None = None) -> httpx2.Response:
        request_id = secrets.token_hex(8)
        body = {"code": fault.code, "detail": fault.detail, "status": fault.status, "request_id": request_id}
        if request is not None and request.url.path == TOKEN_PATH:
            body |= {"error": fault.oauth, "error_description": fault.detail}
        else:
            accepted = "" if request is None else request.headers.get("accept-language", "")
            body |= {"type": f"/problems/{fault.code}", "title": text(fault.code, language(accepted))}
        headers = {"Content-Type": "application/problem+json", "X-Request-Id": request_id, **fault.headers}
        return httpx2.Response(fault.status, headers=headers, content=json.dumps(body, ensure_ascii=False).encode())


def _json(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        raise Fault(400, "bad_json", "want one JSON object") from None
    if not isinstance(body, dict):
        raise Fault(422, "invalid_request", "want one JSON object")
    return body
