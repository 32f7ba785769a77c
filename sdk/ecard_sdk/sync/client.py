# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""A channel app's client: one object for each app, made once and shared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from ecard_card.errors import InvalidInput
from ecard_sdk.core.call import Call, Reply
from ecard_sdk.core.settings import TIMEOUT, PrivateKey, Settings, Timeout, from_environment
from ecard_sdk.links_models import Identification
from ecard_sdk.sync.claims import Claims
from ecard_sdk.sync.driver import Driver
from ecard_sdk.sync.events import Events
from ecard_sdk.sync.links import Links
from ecard_sdk.sync.tickets import Tickets
from ecard_sdk.sync.webhooks import Webhooks

T = TypeVar("T")


class ECardClient:
    """The authority as one app sees it: `claims`, `links`, `tickets`, `events`, `webhooks`.

    `app_id` and a private key (PEM in `private_key` or `key_file`: P-256 or Ed25519) are those of the app's admission;
    `key_id` is how the app's key set calls the key, by default its RFC 7638 thumbprint. `base_url` is the authority's
    public origin. `timeout` is (connect, pause in an answer) in seconds. Calls that fail in passing are repeated
    `max_retries` times, under one idempotency key. `language` is that of the titles of errors: zh or en.

    `http_client` brings proxies and certificates of its owner's, who closes it. With `mutual_tls`, its certificate
    binds the tokens in place of a DPoP key, and may stand for the private key too; calls that change a status are
    signed, and want a private key all the same.

    `clock` and `sleep` are for tests.

    It may be shared by threads and tasks, renews its tokens by itself, and is a context manager.
    """

    def __init__(
        self,
        app_id: str,
        private_key: PrivateKey | None = None,
        *,
        key_file: str | os.PathLike[str] | None = None,
        base_url: str,
        key_id: str | None = None,
        key_password: bytes | None = None,
        timeout: Timeout = TIMEOUT,
        max_retries: int = 2,
        language: str = "zh",
        http_client: httpx2.Client | None = None,
        mutual_tls: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = Settings.of(
            app_id,
            base_url,
            private_key,
            key_file,
            key_id,
            key_password,
            mutual_tls=mutual_tls,
            max_retries=max_retries,
            language=language,
        )
        self._core = self._settings.core(clock)
        self._driver = Driver(http_client, timeout, sleep=sleep)
        self.claims = Claims(self._perform, self._settings.base_url)
        self.links = Links(self._perform, self._settings.base_url)
        self.tickets = Tickets(self._perform)
        self.events = Events(self._perform)
        self.webhooks = Webhooks(self._perform)

    @classmethod
    def from_env(cls, **options: object) -> Self:
        """From `ECARD_APP_ID`, `ECARD_KEY_FILE` and `ECARD_BASE_URL`; `options` are those of the constructor."""
        return cls(**{**from_environment(os.environ), **options})  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.app_id!r}, base_url={self.base_url!r})"

    @property
    def app_id(self) -> str:
        """Whom the authority knows this client as. `ek_test_…` sees test people alone."""
        return self._settings.app_id

    @property
    def base_url(self) -> str:
        """The authority's public origin."""
        return self._settings.base_url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._driver.close()

    def now(self) -> datetime:
        """The authority's time as its answers tell it, aware UTC."""
        return self._core.now()

    def identify(self, *, id_number: str, name: str, idempotency_key: str | None = None) -> Identification:
        """Say whose e-card is wanted. Both travel encrypted. Whether the authority knows them comes with the claim."""
        return self._perform(
            Call(
                "POST",
                "/v1/identifications",
                Identification.of,
                {"id_number": id_number, "name": name},
                changes=True,
                sealed=("id_number", "name"),
                idempotency_key=idempotency_key,
            )
        )

    def raw_request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        signed: bool = False,
        idempotency_key: str | None = None,
    ) -> Reply:
        """A call that this version has no method for, with token, proofs and repetitions as all others have them.

        `path` is on the authority (`/v1/…`). Everything but GET carries an idempotency key.
        """
        if not path.startswith("/") or path.startswith("//") or not path.isascii() or "?" in path or "#" in path:
            raise InvalidInput("bad_reference", "want a path of the authority, such as /v1/links")
        changes = method.upper() not in ("GET", "HEAD")
        return self._perform(
            Call(
                method.upper(),
                path,
                lambda reply: reply,
                body,
                query or {},
                changes=changes,
                signed=signed,
                idempotency_key=idempotency_key,
            )
        )

    def _perform(self, call: Call[T]) -> T:
        return self._driver.run(self._core.perform(call))
