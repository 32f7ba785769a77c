"""The keys of channels: from their registration, or fetched from their `jwks_uri` and held for a short time.

A fetch is https to a public address (`partners.targets`), not redirected, bounded in time and size. A `kid` that is
not among those held leads to one more fetch, but to no more than one in `PAUSE`, whoever asks: nobody can make our
server knock somewhere again and again. While one request fetches, no other waits for it: a slow server of one app
must not hold the threads of all.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

import httpx2

from ecard_card import jose
from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.channels.values import Registration
from ecard_issuer.partners.targets import Targets
from ecard_keys.client_keys import MAX_KEY_SET, ClientKey, key_named, read_key_set
from ecard_verifier.http_deadline import Deadline

#: After this long the keys are fetched again.
HELD: Final = timedelta(minutes=5)
#: How long they are believed where that fails: a key taken out of a key set is refused after this at the latest.
LONGEST_HELD: Final = timedelta(minutes=10)
#: The least time between two fetches for one channel.
PAUSE: Final = timedelta(seconds=30)
_TIMEOUT: Final = 3.0
_LONGEST: Final = 5.0
_MOST_HELD: Final = 1000

#: The bytes behind a URL. Raises `Unavailable` `key_set_unreachable`.
Fetch = Callable[[str], bytes]


@dataclass(slots=True)
class _Held:
    uri: str
    lock: Lock = field(default_factory=Lock)
    keys: tuple[ClientKey, ...] = ()
    fetched_at: datetime | None = None
    tried_at: datetime | None = None

    def age(self, now: datetime) -> timedelta:
        """How old the keys are; without any, older than all bounds."""
        return timedelta.max if self.fetched_at is None else abs(now - self.fetched_at)

    def may_try(self, now: datetime) -> bool:
        return self.tried_at is None or abs(now - self.tried_at) >= PAUSE


class KeySets:
    """Keys by app id. Safe in threads."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._guard = Lock()
        self._held: dict[str, _Held] = {}

    def keys_of(self, app_id: str, registration: Registration, kid: str, now: datetime) -> Sequence[ClientKey]:
        """The keys that may have signed with `kid`. Raises `Unavailable` `key_set_unreachable` where they are not
        known: then nothing is believed."""
        if registration.jwks_uri is None:
            return registration.keys
        held = self._of(app_id, registration.jwks_uri)
        found = self._believed(held, kid, now)
        if found and held.age(now) < HELD:
            return found
        if held.may_try(now) and held.lock.acquire(blocking=False):
            try:
                held.tried_at = now
                held.keys, held.fetched_at = self._fetched(held.uri), now
            except Unavailable:
                if not found:
                    raise
            finally:
                held.lock.release()
            return held.keys
        if not found and held.age(now) >= HELD:
            raise Unavailable("key_set_unreachable", "the app's key set could not be fetched a moment ago")
        return held.keys

    def _believed(self, held: _Held, kid: str, now: datetime) -> Sequence[ClientKey]:
        """The keys held, if that of `kid` is among them and they are not too old."""
        known = key_named(held.keys, kid) is not None and held.age(now) < LONGEST_HELD
        return held.keys if known else ()

    def _of(self, app_id: str, uri: str) -> _Held:
        with self._guard:
            held = self._held.get(app_id)
            if held is None or held.uri != uri:
                if len(self._held) >= _MOST_HELD:
                    self._held.pop(next(iter(self._held)))
                held = self._held[app_id] = _Held(uri)
            return held

    def _fetched(self, uri: str) -> tuple[ClientKey, ...]:
        content = self._fetch(uri)
        try:
            return read_key_set(jose.parse_json(content, limit=MAX_KEY_SET, max_depth=6, max_items=500))
        except InvalidInput as error:
            raise Unavailable("key_set_unreachable", f"the app's key set cannot be used: {error.detail}") from None


class HttpFetch:
    """`Fetch` over https, to addresses that `targets` permits."""

    def __init__(self, targets: Targets, trusted: ssl.SSLContext | None = None) -> None:
        self._targets = targets
        self._trusted = trusted

    def __call__(self, url: str) -> bytes:
        """See `Fetch`."""
        trusted = self._trusted or ssl.create_default_context()
        try:
            target = self._targets.resolve(url)
            with (
                Deadline(_LONGEST) as deadline,
                httpx2.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=trusted) as client,
                client.stream(
                    "GET",
                    target.url,
                    headers={
                        "User-Agent": "ecard",
                        "Accept": "application/jwk-set+json, application/json",
                        "Accept-Encoding": "identity",
                        "Host": target.host,
                    },
                    extensions={**deadline.extensions, "sni_hostname": target.server_name},
                ) as response,
            ):
                return _body(response)
        except InvalidInput as error:
            raise Unavailable("key_set_unreachable", error.detail) from None
        except Unavailable as error:
            raise Unavailable("key_set_unreachable", error.detail) from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError):
            raise Unavailable("key_set_unreachable", "the app's key set cannot be fetched") from None


def _body(response: httpx2.Response) -> bytes:
    if response.status_code != 200:  # a redirect too: it would lead past the look at the address
        raise Unavailable("key_set_unreachable", "the app's key set is not there: the answer is not 200")
    content = b""
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MAX_KEY_SET:
            raise Unavailable("key_set_unreachable", "the app's key set is too large")
    return content
