"""The authorization code flow: a wallet pushes its request (RFC 9126), the person proves themself on our page, the
wallet gets a code by redirect (RFC 6749 §4.1, RFC 9207).

How the person proves themself is what the credential says later: by an offer that a desk made after the chip had
answered (its six digits are typed), or by social security number and PIN. A request belongs to the browser that
opened it first.
"""

from __future__ import annotations

import hashlib
import re
import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.wallets.clients import Clients
from ecard_issuer.wallets.metadata import authorization_server
from ecard_issuer.wallets.offers import CONFIGURATION, Offers
from ecard_issuer.wallets.person import ProvesPerson
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.tokens import WalletSecrets, read_opener, same
from ecard_issuer.wallets.values import CODE_LIFE, REQUEST_LIFE, TRIES, RequestRow, RequestState

REQUEST_URI: Final = "urn:ietf:params:oauth:request_uri:"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT: Final = _CHALLENGE
_STATE: Final = re.compile(r"[\x20-\x7e]{1,1024}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What our page shows: which wallet asks, and how the person is to prove themself."""

    request: RequestRow
    wallet: str
    by_offer: bool
    form_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Typed:
    """What the person typed: an offer's digits, or number and PIN."""

    digits: str = field(default="", repr=False)
    number: str = field(default="", repr=False)
    pin: str = field(default="", repr=False)


class Authorization:
    """The use case. `origin` is the credential issuer's identifier."""

    def __init__(
        self,
        store: WalletStore,
        clients: Clients,
        offers: Offers,
        person: ProvesPerson,
        secrets: WalletSecrets,
        origin: str,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._store, self._clients, self._offers, self._person = store, clients, offers, person
        self._secrets, self._issuer, self._random = secrets, authorization_server(origin), random

    def push(self, form: Mapping[str, str], jkt: str | None, now: datetime) -> dict[str, object]:
        """The answer to a pushed request. `jkt` is of the DPoP proof that came along, if one did.

        Raises `WalletRefusal`: `invalid_client`, `invalid_request`, `unsupported_response_type`, `invalid_scope`.
        """
        client = self._clients.live(form.get("client_id", ""))
        redirect_uri = form.get("redirect_uri")
        if redirect_uri not in client.redirect_uris:
            raise WalletRefusal("invalid_request", "redirect_uri is not registered, character by character")
        if form.get("response_type") != "code":
            raise WalletRefusal("unsupported_response_type", "response_type is code")
        if form.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(form.get("code_challenge", "")):
            raise WalletRefusal("invalid_request", "code_challenge by S256 is needed (RFC 7636)")
        state = form.get("state")
        if state is not None and not _STATE.fullmatch(state):
            raise WalletRefusal("invalid_request", "state is at most 1024 printable characters")
        named = form.get("dpop_jkt", jkt)
        if jkt not in (None, named) or (named is not None and not _THUMBPRINT.fullmatch(named)):
            raise WalletRefusal("invalid_request", "dpop_jkt is not the thumbprint of the proof's key")
        issuer_state = form.get("issuer_state")
        offer = None if issuer_state is None else self._offers.behind_state(issuer_state, now)
        request = RequestRow(
            request_id=self._random(16).hex(),
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            code_challenge=form["code_challenge"],
            wallet_state=state,
            jkt=named,
            offer_id=None if offer is None else offer.offer_id,
            identified=_wants_identifier(form),
            expires_at=now + REQUEST_LIFE,
        )
        self._store.add_request(request)
        return {
            "request_uri": REQUEST_URI + self._secrets.request_uri(request.request_id).text,
            "expires_in": int(REQUEST_LIFE.total_seconds()),
        }

    def show(self, client_id: str, request_uri: str, browser: str, now: datetime) -> Asked:
        """A pushed request, for the browser that opens it first and no other.

        Raises `WalletRefusal` `invalid_request`: then nobody is sent anywhere.
        """
        request = self._request(request_uri, now)
        if request.client_id != client_id or not self._store.open_request(request.request_id, _hash(browser)):
            raise WalletRefusal("invalid_request", "another wallet's request, or opened in another browser before")
        return self._asked(request, browser)

    def prove(self, request_uri: str, browser: str, form_token: str, typed: Typed, now: datetime) -> str:
        """Where the browser goes once the person has proven themself.

        Raises `WalletRefusal` `invalid_request` (not this browser's request, or over), `access_denied` with what was
        wrong in its detail: no try is left where the request is over then.
        """
        request = self._posted(request_uri, browser, form_token, now)
        if not self._store.take_request_try(request.request_id, TRIES, now):
            self._store.refuse_request(request.request_id)
            raise WalletRefusal("invalid_request", "no try is left")
        granted = replace(request, expires_at=now + CODE_LIFE)
        if request.offer_id is None:
            right = self._person.by_pin(typed.number, typed.pin, now)
            granted = replace(
                granted, enrolment_id=right.enrolment_id, app_id=right.app_id, link_id=right.link_id, review=False
            )
            correct = True
        else:
            offer = self._store.find_offer(request.offer_id)
            if offer is None:
                raise WalletRefusal("invalid_request", "the offer is gone")
            correct = same(typed.digits, self._secrets.transaction_code(offer.offer_id))
            granted = replace(
                granted,
                enrolment_id=offer.enrolment_id,
                app_id=offer.app_id,
                link_id=offer.link_id,
                review=offer.review,
            )
        if not self._store.grant_request(granted, correct, now):
            raise WalletRefusal("access_denied", "the digits are wrong, or the offer was taken up or is over")
        return self._redirect(request, {"code": self._secrets.code(request.request_id).text})

    def refuse(self, request_uri: str, browser: str, form_token: str, now: datetime) -> str:
        """Where the browser goes when the person does not want to. Raises `WalletRefusal` `invalid_request`."""
        request = self._posted(request_uri, browser, form_token, now)
        self._store.refuse_request(request.request_id)
        return self._redirect(request, {"error": "access_denied"})

    def again(self, request_uri: str, browser: str, now: datetime) -> Asked:
        """The same page once more, after a wrong try. Raises `WalletRefusal` `invalid_request`."""
        return self._asked(self._request(request_uri, now), browser)

    def _asked(self, request: RequestRow, browser: str) -> Asked:
        wallet = self._clients.live(request.client_id).name
        token = self._secrets.form(request.request_id, browser)
        return Asked(request, wallet, request.offer_id is not None, token)

    def _posted(self, request_uri: str, browser: str, form_token: str, now: datetime) -> RequestRow:
        """Whose form token fits has been shown this request: there is no other way to one (`show`)."""
        request = self._request(request_uri, now)
        if not same(form_token, self._secrets.form(request.request_id, browser)):
            raise WalletRefusal("invalid_request", "not from the page that this browser was shown")
        return request

    def _request(self, request_uri: str, now: datetime) -> RequestRow:
        opener = read_opener(request_uri.removeprefix(REQUEST_URI)) if request_uri.startswith(REQUEST_URI) else None
        known = opener is not None and same(self._secrets.request_uri(opener.row_id).secret, opener.secret)
        request = self._store.find_request(opener.row_id) if opener is not None and known else None
        if request is None or request.state is not RequestState.PUSHED or request.expires_at <= now:
            raise WalletRefusal("invalid_request", "request_uri is unknown, used or over: ask the wallet to start anew")
        return request

    def _redirect(self, request: RequestRow, answer: Mapping[str, str]) -> str:
        parameters = dict(answer)
        if request.wallet_state is not None:
            parameters["state"] = request.wallet_state
        parameters["iss"] = self._issuer
        return request.redirect_uri + ("&" if "?" in request.redirect_uri else "?") + urlencode(parameters)


def _wants_identifier(form: Mapping[str, str]) -> bool:
    """Whether the request asks by `authorization_details` (RFC 9396) rather than by scope; one of both it must."""
    details = form.get("authorization_details")
    if details is None:
        if form.get("scope") != CONFIGURATION:
            raise WalletRefusal("invalid_scope", f"the one scope is {CONFIGURATION}")
        return False
    wanted = {"type": "openid_credential", "credential_configuration_id": CONFIGURATION}
    try:
        given = jose.parse_json(details.encode(), limit=2048, max_depth=4)
    except InvalidInput:
        given = None
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], dict):
        raise WalletRefusal("invalid_authorization_details", "want a list of one detail")
    detail = {name: value for name, value in given[0].items() if name not in ("locations", "claims")}
    if detail != wanted:
        raise WalletRefusal("invalid_authorization_details", f"want openid_credential {CONFIGURATION}")
    return True


def _hash(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
