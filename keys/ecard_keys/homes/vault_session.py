"""Being logged in at an OpenBao or Vault server: AppRole, a token that is replaced in good time, and time limits.

hvac never renews a token, and an expired one looks exactly like a denied one (403). So a new login is made before two
thirds of the token's life, which the server has already cut to the role's longest; and once more on a refusal.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import requests
from hvac import exceptions
from hvac.api.auth_methods import AppRole

from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.homes.breaker import Breaker
from ecard_keys.homes.vault_wire import Wire, translated

LOGGER: Final = logging.getLogger("ecard.keys")
#: The share of a token's life after which it is replaced, and how much earlier the jitter may make it.
_RENEW_AT, _JITTER = 2 / 3, 1 / 6
#: Seconds: a refused token younger than this was not refused for its age, and a failed early login is not repeated.
_PATIENCE = 1.0
_CONNECTIONS = 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Where the server is and who we are there. Raises `InvalidInput` `bad_key_home_settings`.

    `timeout` in seconds bounds one piece of work with all its requests; `max_strings` is the server's listener setting
    `max_request_json_strings`. Plain http is taken for this machine only.
    """

    address: str
    role_id: str
    secret_id: str = field(repr=False)
    mount: str = "transit"
    auth_mount: str = "approle"
    prefix: str = "ecard"
    ca: Path | None = None
    namespace: str | None = None
    timeout: float = 1.5
    max_strings: int = 1000

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query:
            raise InvalidInput("bad_key_home_settings", "the address is no URL such as https://vault.example:8200")
        if parts.scheme == "http" and not _is_this_machine(parts.hostname):
            raise InvalidInput("bad_key_home_settings", "plain http is for this machine only; use https")
        if not self.prefix.isascii() or not self.prefix.replace("-", "").isalnum() or len(self.prefix) > 64:
            raise InvalidInput("bad_key_home_settings", "the prefix is letters, digits and hyphens, at most 64")
        if not 0.1 <= self.timeout <= 1.7 or self.max_strings < 20:
            raise InvalidInput("bad_key_home_settings", "want a timeout from 0.1 to 1.7 s and at least 20 strings")


@dataclass(frozen=True, slots=True)
class _Token:
    """Times are seconds on the session's clock."""

    text: str = field(repr=False)
    taken_at: float
    renew_at: float
    dies_at: float


class VaultSession:
    """Runs pieces of work as a logged-in client. Safe for threads; nothing is sent before the first piece of work.

    Every failure leaves as one of our errors, within `settings.timeout` plus a little. `jitter` gives numbers from 0
    to 1, so that many processes do not log in at the same moment.
    """

    def __init__(
        self, settings: VaultSettings, *, monotonic: Callable[[], float], jitter: Callable[[], float] = random.random
    ) -> None:
        self.settings = settings
        self._monotonic = monotonic
        self._jitter = jitter
        self._begin()

    def _begin(self) -> None:
        """As it is before anything was sent: at first, and again in a process that was forked off."""
        self._process = os.getpid()
        self._breaker = Breaker(monotonic=self._monotonic)
        self._login_lock = threading.Lock()
        self._token: _Token | None = None
        self._pool = requests.Session()
        self._pool.trust_env = False  # no proxies, no .netrc, no CA file from the environment
        self._pool.verify = str(self.settings.ca) if self.settings.ca else True
        for scheme in ("https://", "http://"):
            self._pool.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS))

    def run(self, work: Callable[[Wire], T]) -> T:
        """What `work` gives for a logged-in wire; it may be called twice, so it must not mind.

        Raises `Unavailable`: `key_home_sealed`, `key_home_forbidden`, `key_home_unavailable`, `key_home_timeout`,
        `key_home_login_refused`, `key_home_answer_refused`, `key_version_archived`; `NotFound` `key_unknown`.
        """
        if self._process != os.getpid():  # two processes on one connection would read each other's answers
            self._begin()
        with self._breaker.attempt(), translated():
            deadline = self._monotonic() + self.settings.timeout
            token = self._current(deadline)
            try:
                return work(self._wire(token.text, deadline))
            except exceptions.Forbidden:
                fresh = self._after_refusal(token, deadline)
                if fresh is token:
                    raise
                return work(self._wire(fresh.text, deadline))

    def _wire(self, token: str, deadline: float) -> Wire:
        return Wire(
            self._pool,
            address=self.settings.address,
            namespace=self.settings.namespace,
            token=token,
            deadline=deadline,
            monotonic=self._monotonic,
        )

    def _current(self, deadline: float) -> _Token:
        token = self._token
        if token is not None and self._monotonic() < token.renew_at:
            return token
        with self._login_turn(deadline):
            if self._token is not None and self._token is not token:
                return self._token  # another thread was faster
            try:
                self._token = self._login(deadline)
            except Unavailable as error:
                now = self._monotonic()
                if token is None or now >= token.dies_at or error.code != "key_home_login_refused":
                    raise
                LOGGER.warning("key home: login refused, %.0f s before the token ends", token.dies_at - now)
                self._token = replace(token, renew_at=now + _PATIENCE)
            return self._token

    def _after_refusal(self, token: _Token, deadline: float) -> _Token:
        """Another token than the refused one, or the same if that one was fresh: then it is the policy's doing."""
        with self._login_turn(deadline):
            if self._token is token and self._monotonic() - token.taken_at >= _PATIENCE:
                self._token = self._login(deadline)
            return self._token or token

    @contextlib.contextmanager
    def _login_turn(self, deadline: float) -> Iterator[None]:
        if not self._login_lock.acquire(timeout=max(0.0, deadline - self._monotonic())):
            raise Unavailable("key_home_timeout", "another thread is still logging in")
        try:
            yield
        finally:
            self._login_lock.release()

    def _login(self, deadline: float) -> _Token:
        login = AppRole(adapter=self._wire("", deadline)).login
        settings = self.settings
        try:
            answer = login(settings.role_id, settings.secret_id, use_token=False, mount_point=settings.auth_mount)
        except (exceptions.InvalidRequest, exceptions.Forbidden, exceptions.Unauthorized, exceptions.InvalidPath):
            raise Unavailable("key_home_login_refused", "the server refused our role id or secret id") from None
        match answer.get("auth"):
            case {"client_token": str(text), "lease_duration": int(life)} if text and life > 0:
                now = self._monotonic()
                return _Token(text, now, now + life * (_RENEW_AT - _JITTER * self._jitter()), now + life)
        raise Unavailable("key_home_answer_refused", "the login gave no token that ends")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
