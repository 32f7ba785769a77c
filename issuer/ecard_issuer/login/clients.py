"""A site shows at the token endpoint that it is the site (OpenID Connect Core 1.0 §9): by the one way it registered."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from typing import Final
from urllib.parse import unquote_plus

from ecard_card import jose
from ecard_card.errors import RuleViolation
from ecard_issuer.login.refusal import OauthRefusal
from ecard_issuer.login.registration import ClientAuth, LoginRegistration
from ecard_issuer.login.rules import hashed
from ecard_issuer.login.sites import Sites
from ecard_issuer.oauth.client_assertion import ASSERTION_TYPE, claimed_client, judge_assertion
from ecard_issuer.oauth.one_time import OneTime
from ecard_issuer.oauth.refusals import ClientRefused
from ecard_keys.client_keys import ClientKey, read_client_key

#: Of a secret with 256 random bits, in base64url: a shorter one might be guessed from its hash.
SECRET_LENGTH: Final = 43
_MAX_HEADER: Final = 1024


class LoginClients:
    """`once` remembers assertions that were used, `issuer` is whom they have to be made for."""

    def __init__(self, sites: Sites, once: OneTime, issuer: str) -> None:
        self._sites = sites
        self._once = once
        self._issuer = issuer

    def authenticate(self, given: Mapping[str, str], header: str | None, now: datetime) -> str:
        """The client id, if the client shows that it is that one. `given` is the form, `header` the `Authorization`
        header. Raises `OauthRefusal` `invalid_client`, `invalid_request` (more than one way at once)."""
        signed = given.get("client_assertion")
        if (header is not None) + (signed is not None) + ("client_secret" in given) > 1:
            raise OauthRefusal("invalid_request", "a client authenticates in one way")
        if header is not None:
            return self._by_secret(header, given, now)
        if signed is not None:
            return self._by_signature(signed, given, now)
        client_id = given.get("client_id", "")
        if "client_secret" in given or self._registration(client_id, now).auth is not ClientAuth.NONE:
            raise _refused()
        return client_id

    def _by_secret(self, header: str, given: Mapping[str, str], now: datetime) -> str:
        scheme, _, encoded = header.partition(" ")
        try:
            if scheme.lower() != "basic" or len(header) > _MAX_HEADER:
                raise ValueError
            pair = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
        except ValueError:
            raise _refused() from None
        # Both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
        client_id, secret = map(unquote_plus, (pair.partition(":")[0], pair.partition(":")[2]))
        registration = self._registration(client_id, now)
        kept = registration.secret_sha256
        fits = kept is not None and compare_digest(kept, hashed(secret)) and len(secret) >= SECRET_LENGTH
        if not fits or given.get("client_id", client_id) != client_id:
            raise _refused()
        return client_id

    def _by_signature(self, assertion: str, given: Mapping[str, str], now: datetime) -> str:
        if given.get("client_assertion_type") != ASSERTION_TYPE:
            raise OauthRefusal("invalid_request", f"client_assertion_type is {ASSERTION_TYPE}")
        try:
            client_id = claimed_client(assertion)
            registration = self._registration(client_id, now)
            proven = judge_assertion(assertion, self._issuer, lambda _client, kid: _keys(registration, kid), now)
            if self._once.take([proven.once]) is not None:
                raise _refused("this assertion was used before")
        except ClientRefused as error:
            raise _refused(error.detail) from None
        if given.get("client_id", client_id) != client_id:
            raise _refused()
        return client_id

    def _registration(self, client_id: str, now: datetime) -> LoginRegistration:
        try:
            return self._sites.of_client(client_id, now)[1]
        except RuleViolation:
            raise _refused() from None


def _keys(registration: LoginRegistration, kid: str) -> Sequence[ClientKey]:
    """The keys that may have signed with this `kid`; a key registered without one answers to the thumbprint."""
    keys = [read_client_key({**jwk, "kid": jwk.get("kid", _thumbprint(jwk))}) for jwk in registration.keys]
    return keys if not kid else [key for key in keys if key.kid == kid]


def _thumbprint(jwk: Mapping[str, str]) -> str:
    return jose.b64url_encode(jose.thumbprint(jwk))


def _refused(why: str = "unknown, or not shown by the way that was registered") -> OauthRefusal:
    return OauthRefusal("invalid_client", why, 401)
