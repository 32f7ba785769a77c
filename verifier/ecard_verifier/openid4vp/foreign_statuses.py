"""Status lists of foreign issuers (draft-ietf-oauth-status-list-21), fetched when a credential of theirs is shown.

A list is signed as the credential is: its key is found in the same way. Not getting one is never an answer.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.credential import MAX_NUMERIC_DATE
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_card.status_list import StatusList
from ecard_card.status_token import LIMIT, TYP_JWT
from ecard_keys.verify import verify
from ecard_verifier.http_statuses import COOL_DOWN, LONGEST_TTL, MEDIA_TYPE, SHORTEST_TTL
from ecard_verifier.openid4vp.fetching import Fetcher
from ecard_verifier.openid4vp.issuer_keys import IssuerKeys
from ecard_verifier.openid4vp.trusted_issuers import TrustedIssuer
from ecard_verifier.statuses import StatusReading

MAX_LISTS: Final = 32  # of one issuer
_USUAL_TTL: Final = 300
_SKEW: Final = 60


@dataclass(slots=True)
class _Held:
    statuses: StatusList
    issued_at: int
    expires_at: int | None
    ttl: int


class ForeignStatuses:
    """The lists of one issuer. Safe from several threads; one fetch at a time."""

    def __init__(
        self,
        issuer: TrustedIssuer,
        keys: IssuerKeys,
        fetcher: Fetcher,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._keys, self._fetcher, self._monotonic = issuer, keys, fetcher, monotonic
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._due: dict[str, float] = {}

    def read(self, uri: str, index: int, now: datetime) -> StatusReading:
        """One status. Raises `CheckFailed` `status_list_foreign`, `status_unknown`, `InvalidInput`
        `status_index_out_of_range`."""
        if not self._fetcher.permits(uri, self._issuer.status_hosts):
            raise CheckFailed("status_list_foreign", "the status list is at a host that the file does not name")
        with self._lock:
            if self._monotonic() >= self._due.get(uri, 0.0):
                self._refresh(uri, now)
            held = self._held.get(uri)
        if held is None:
            raise CheckFailed("status_unknown", "the status list could not be had, or is not the issuer's")
        return StatusReading(held.statuses.get(index), held.issued_at, held.expires_at)

    def _refresh(self, uri: str, now: datetime) -> None:
        """Raises nothing: what is held ages by itself, and what is not held is not known."""
        wait = COOL_DOWN
        try:
            fresh = self._fetched(uri, now)
            before = self._held.get(uri)
            if before is None or fresh.issued_at >= before.issued_at:  # an older one is a host that rolls back
                self._held[uri] = fresh
                wait = float(fresh.ttl)
        except EcardError:
            pass
        self._due[uri] = self._monotonic() + wait
        while len(self._due) > MAX_LISTS:
            oldest = next(iter(self._due))
            del self._due[oldest]
            self._held.pop(oldest, None)

    def _fetched(self, uri: str, now: datetime) -> _Held:
        body = self._fetcher.get(uri, hosts=self._issuer.status_hosts, media_type=MEDIA_TYPE, limit=LIMIT)
        try:
            jws = jose.parse_compact(body.decode("ascii"), typ=TYP_JWT, limit=LIMIT)
        except UnicodeDecodeError:
            raise InvalidInput("bad_status_token", "not ASCII") from None
        keys = self._keys.candidates(jws.header, now)
        if not any(verify(key, jws.signing_input, jws.signature) for key in keys):
            raise CheckFailed("bad_signature", "the list is not signed by the issuer")
        claims = jose.parse_json(jws.payload, limit=LIMIT, max_depth=8, max_items=256)
        if not isinstance(claims, dict) or claims.get("sub") != uri:
            raise CheckFailed("status_list_foreign", "the host gave another list than the one asked for")
        issued_at, expires_at = _date(claims.get("iat")), _date(claims.get("exp"))
        listed = claims.get("status_list")
        if issued_at is None or issued_at > now.timestamp() + _SKEW or not isinstance(listed, dict):
            raise InvalidInput("bad_status_token", "iat and status_list are needed")
        bits, lst, ttl = listed.get("bits"), listed.get("lst"), claims.get("ttl", _USUAL_TTL)
        if type(bits) is not int or type(lst) is not str or type(ttl) is not int:
            raise InvalidInput("bad_status_token", "bits and ttl are numbers, lst is a text")
        statuses = StatusList.from_compressed(jose.b64url_decode(lst), bits)
        return _Held(statuses, issued_at, expires_at, max(SHORTEST_TTL, min(LONGEST_TTL, ttl)))


def _date(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_NUMERIC_DATE:
        raise InvalidInput("bad_status_token", "a time is no NumericDate")
    return value
