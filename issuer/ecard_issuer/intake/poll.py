"""Asking sources for their events (RFC 8936): at least once, each processed once, through restarts on both sides.

What was received is acknowledged with the next question, after it was stored; a source that hears no acknowledgement
sends it again, and it is known by its `jti`. Nothing about a source is remembered but what the register holds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

import httpx2

from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_card.jose import parse_json
from ecard_issuer.intake.answers import delivery_error
from ecard_issuer.intake.desk import Intake
from ecard_issuer.intake.sources import Source, SourceRow, Sources
from ecard_verifier.faults import described

MAX_EVENTS: Final = 100
MAX_ANSWER: Final = 4 << 20
IDLE_SECONDS: Final = 5.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
REFRESH_SECONDS: Final = 30.0
_log: Final = logging.getLogger(__name__)


class PollEndpoint(Protocol):
    """Sends one question of RFC 8936 §2.4 and gives the answer. Raises `Unavailable` `source_unavailable`."""

    def ask(self, question: Mapping[str, object]) -> Mapping[str, object]: ...


class HttpPollEndpoint:
    """A source's poll endpoint over HTTP. Redirects are not followed, and no proxy of the environment is used."""

    def __init__(
        self, url: str, token: str | None, *, timeout: float = 20, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._url, self._timeout, self._transport = url, timeout, transport
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def __repr__(self) -> str:
        return f"HttpPollEndpoint({self._url!r})"

    def ask(self, question: Mapping[str, object]) -> Mapping[str, object]:
        try:
            with (
                httpx2.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("POST", self._url, json=dict(question), headers=self._headers) as response,
            ):
                if response.status_code != 200:
                    raise Unavailable("source_unavailable", f"the poll endpoint answered {response.status_code}")
                data = b""
                for chunk in response.iter_raw():
                    data += chunk
                    if len(data) > MAX_ANSWER:
                        raise Unavailable("source_unavailable", "an answer that is too large")
            answer = parse_json(data, limit=MAX_ANSWER, max_depth=4, max_items=100_000)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable("source_unavailable", f"the poll broke off: {type(error).__name__}") from None
        except InvalidInput:
            raise Unavailable("source_unavailable", "the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise Unavailable("source_unavailable", "the answer is not an object")
        return answer


class Poller:
    """Asks one source. `turn` is one question and the processing of its answer."""

    def __init__(self, source: Source, endpoint: PollEndpoint, events: Intake, clock: Callable[[], datetime]) -> None:
        self._source, self._endpoint, self._events, self._clock = source, endpoint, events, clock
        self._acks: list[str] = []
        self._errors: dict[str, dict[str, str]] = {}

    def turn(self) -> bool:
        """Ask once; True where there is more to ask for or to acknowledge at once.

        Raises `Unavailable` where the source or the register did not answer; what was stored by then is acknowledged
        the next time, and the rest comes again.
        """
        question: dict[str, object] = {"maxEvents": MAX_EVENTS, "returnImmediately": True}
        if self._acks:
            question["ack"] = list(self._acks)
        if self._errors:
            question["setErrs"] = dict(self._errors)
        answer = self._endpoint.ask(question)
        self._acks, self._errors = [], {}
        sets, more = answer.get("sets"), answer.get("moreAvailable", False)
        if not isinstance(sets, dict) or len(sets) > MAX_EVENTS or not isinstance(more, bool):
            raise Unavailable("source_unavailable", "sets is not an object of at most as many events as were asked for")
        for jti, token in sets.items():
            self._take(jti, token)
        return more or bool(self._acks or self._errors)

    def _take(self, jti: str, token: object) -> None:
        try:
            self._events.receive(self._source, token if isinstance(token, str) else "", self._clock())
        except Unavailable:
            raise
        except EcardError as error:
            self._errors[jti] = {"err": delivery_error(error.code), "description": error.code}
        else:
            self._acks.append(jti)


class Pollers:
    """A thread for all polled sources: each is asked when its time has come, later and later while it fails."""

    def __init__(
        self,
        sources: Sources,
        events: Intake,
        clock: Callable[[], datetime],
        endpoint_of: Callable[[SourceRow, str | None], PollEndpoint] | None = None,
    ) -> None:
        self._sources, self._events, self._clock = sources, events, clock
        self._endpoint_of = endpoint_of or (lambda row, token: HttpPollEndpoint(str(row.source.poll_url), token))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ecard-intake-poll", daemon=True)
        self._pollers: dict[str, tuple[SourceRow, Poller]] = {}
        self._due: dict[str, float] = {}
        self._pause: dict[str, float] = {}
        self._refresh_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the question in hand."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=30)

    def turn(self) -> None:
        """Ask every source whose time has come, once; sources are read anew every half minute."""
        now = self._clock().timestamp()
        if now >= self._refresh_at:
            self._refresh()
            self._refresh_at = now + REFRESH_SECONDS
        for name, (_, poller) in list(self._pollers.items()):
            if now < self._due.get(name, 0.0) or self._stopping.is_set():
                continue
            try:
                again = poller.turn()
            except EcardError as error:
                pause = self._pause[name] = min(self._pause.get(name, FIRST_PAUSE / 2) * 2, LONGEST_PAUSE)
                self._due[name] = now + pause
                _log.warning("source %s: %s; asked again in %.0f s", name, error, pause)
            else:
                self._pause.pop(name, None)
                self._due[name] = now if again else now + IDLE_SECONDS

    def _refresh(self) -> None:
        rows = {row.source.name: row for row in self._sources.all() if row.source.poll_url is not None}
        for name in set(self._pollers) - set(rows):
            del self._pollers[name]
        for name, row in rows.items():
            if name in self._pollers and self._pollers[name][0] == row:
                continue
            endpoint = self._endpoint_of(row, self._sources.poll_token(row))
            self._pollers[name] = (row, Poller(row.source, endpoint, self._events, self._clock))

    def _run(self) -> None:
        while not self._stopping.wait(0.2):
            try:
                self.turn()
            except EcardError as error:
                _log.warning("polling: %s", error)
                self._stopping.wait(FIRST_PAUSE)
            except Exception as error:  # noqa: BLE001 - the one loop that must not end
                _log.error("polling: internal fault: %s", described(error))
                self._stopping.wait(FIRST_PAUSE)
