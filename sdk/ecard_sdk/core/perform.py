"""A call, from its value to its result: token, proofs, signature, sealed members, repetitions."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Final, TypeVar
from urllib.parse import urlencode

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.http_signature import sign_request
from ecard_sdk.core.access import MAX_LESSONS, Access
from ecard_sdk.core.call import Alone, Call, NoAnswer, Pause, Reply, Send, Work
from ecard_sdk.core.reading import fault
from ecard_sdk.core.retry import Retries
from ecard_sdk.core.sealing import KEYS, EncryptionKey
from ecard_sdk.errors import ConnectionFailedError, ECardError

T = TypeVar("T")
_NOT_OPENED: Final = "bad_sealed_data"
#: Without what a structured field or a list of values would read otherwise.
_KEY: Final = re.compile(r"[!#-+\--\[\]-~]{1,255}")
_AGENT: Final = f"ecard-sdk/{version('ecard')}"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What all repetitions of one call share: a service knows them again by key and body."""

    call: Call[object]
    content: bytes | None
    headers: Mapping[str, str]


class Core:
    """One app at one authority, without its sockets. `uuid4` and the clock inside `access` are parameters for tests."""

    def __init__(
        self,
        access: Access,
        retries: Retries,
        language: str = "zh",
        uuid4: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self.access, self._retries, self._language, self._uuid4 = access, retries, language, uuid4
        self._encryption: EncryptionKey | None = None

    def now(self) -> datetime:
        """The service's time, aware UTC."""
        return self.access.clock.now()

    def perform(self, call: Call[T]) -> Work[T]:
        """The call's result. Raises an `ECardError`."""
        for anew in (False, True):
            try:
                return (yield from self._repeated(call))
            except ECardError as error:
                if anew or error.code != _NOT_OPENED or not call.sealed:
                    raise
                self._encryption = None  # the authority has changed it; nothing was done, and this is another request
                own = call.idempotency_key
                call = replace(call, idempotency_key=None if own is None else f"{own[:250]}.anew")
        raise AssertionError  # the second round returned or raised

    def _repeated(self, call: Call[T]) -> Work[T]:
        prepared: _Prepared | None = None
        repeated = 0
        while True:
            try:
                if prepared is None:
                    prepared = yield from self._prepare(call)
                reply = yield from self._accepted(prepared)
            except NoAnswer as error:
                wrong: ECardError = ConnectionFailedError("service_unreachable", f"no answer: {error}")
            except ECardError as error:
                wrong = error  # of the token endpoint, or of the encryption keys
            else:
                if 200 <= reply.status < 300:
                    return call.parse(reply)
                wrong = fault(reply, self.access.base_url)
            pause = self._retries.pause(repeated, wrong)
            if pause is None:
                raise wrong from None
            yield Pause(pause)
            repeated += 1

    def _prepare(self, call: Call[T]) -> Work[_Prepared]:
        headers = {"Accept": "application/json", "Accept-Language": self._language, "User-Agent": _AGENT}
        key = call.idempotency_key or str(self._uuid4())
        if call.changes:
            headers["Idempotency-Key"] = _visible(key)
        body = call.body
        if body is not None:
            headers["Content-Type"] = "application/json"
            if any(name in body for name in call.sealed):
                to: EncryptionKey = self._encryption or (yield Alone(self._fetch_encryption_key))
                body = to.sealed(body, call.sealed, self.access.secret, key)
        content = None if body is None else jose.dump_json(body)
        return _Prepared(call, content, headers)  # type: ignore[arg-type]  # what it parses to is not asked for

    def _accepted(self, prepared: _Prepared) -> Work[Reply]:
        """The answer to one try; sent again at once only for what an answer taught about how to ask."""
        call = prepared.call
        url = self.access.base_url + call.path
        if call.query:
            url += "?" + urlencode(call.query)
        for lesson in range(MAX_LESSONS + 1):
            headers, token = dict(prepared.headers), None
            if not call.public:
                token = self.access.token or (yield Alone(self.access.renewed))
                headers |= self.access.authorization(token, call.method, url)
            if call.signed:
                headers |= self._signature(call.method, url, headers, prepared.content or b"")
            reply: Reply = yield Send(call.method, url, headers, prepared.content, call.waits)
            taught = self.access.learn(reply)
            if reply.status != 401 or lesson == MAX_LESSONS or call.public:
                break
            if _token_is_over(reply):
                self.access.forget(token)
            elif not taught:
                break
        return reply

    def _signature(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> dict[str, str]:
        if self.access.signer is None:
            raise InvalidInput("bad_private_key", "this call is signed: give the client its private key")
        return sign_request(self.access.signer, method, url, headers, content, self.now())

    def _fetch_encryption_key(self) -> Work[EncryptionKey]:
        if self._encryption is None:
            reply: Reply = yield Send("GET", self.access.base_url + KEYS, {"Accept": "application/json"})
            if reply.status != 200:
                raise fault(reply, self.access.base_url)
            self._encryption = EncryptionKey.of(reply)
        return self._encryption


def _visible(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            "bad_idempotency_key",
            "want 1 to 255 visible ASCII characters without quote, comma and backslash, new for each act",
        )
    return key


def _token_is_over(reply: Reply) -> bool:
    """RFC 6750 §3.1; a token may end before its time."""
    return 'error="invalid_token"' in reply.headers.get("www-authenticate", "")
