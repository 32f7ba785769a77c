"""Reading an authorization request (OpenID Connect Core 1.0 §3.1.2, RFC 7636, RFC 9700 §2.1): pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ecard_issuer.login.assurance import Acr, demanded
from ecard_issuer.login.refusal import OauthRefusal, UnsafeRequest
from ecard_issuer.login.registration import ClientAuth, LoginRegistration, service_id_of
from ecard_issuer.relying.services import RelyingService

MAX_PARAMETERS: Final = 40
MAX_VALUE: Final = 2048
MAX_STATE: Final = 512
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]{1,512}")
_AGE: Final = re.compile(r"[0-9]{1,9}")
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_LANGUAGES: Final = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a request comes from: a live service with a registration, and one of its addresses."""

    service: RelyingService
    registration: LoginRegistration
    client_id: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may go on. `acr` is what the login must reach, `asked` the classes that the site named."""

    site: Site
    scopes: tuple[str, ...]
    state: str | None = field(repr=False)
    nonce: str | None = field(repr=False)
    challenge: str = field(repr=False)
    acr: Acr
    asked: tuple[str, ...]
    language: str | None


def parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each parameter once (RFC 6749 §3.1), those without a value left out. Raises `UnsafeRequest`: what is given twice
    might be the address."""
    found: dict[str, str] = {}
    for count, (name, value) in enumerate(pairs, 1):
        if count > MAX_PARAMETERS or len(value) > MAX_VALUE or len(name) > 64 or name in found:
            raise UnsafeRequest("a parameter is too long or there twice, or there are too many")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def site_of(given: dict[str, str], find: Callable[[str], RelyingService | None]) -> Site:
    """The site that asks. `find` gives a live service by its id. Raises `UnsafeRequest`."""
    client_id, redirect_uri = given.get("client_id", ""), given.get("redirect_uri", "")
    service_id = service_id_of(client_id)
    service = None if service_id is None or len(service_id) > 64 else find(service_id)
    if service is None or service.login is None:
        raise UnsafeRequest("no site of this name is registered")
    if redirect_uri not in service.login.redirect_uris:  # character by character: RFC 9700 §2.1
        raise UnsafeRequest("the address to return to is not one that was registered")
    return Site(service, service.login, client_id, redirect_uri)


def read_request(given: dict[str, str], site: Site) -> AuthorizationRequest:
    """The request of `site`. Raises `OauthRefusal`, which goes back to the site."""
    state = state_of(given)
    if "request" in given:
        raise OauthRefusal("request_not_supported", "request objects are not read here")
    if "request_uri" in given:
        raise OauthRefusal("request_uri_not_supported", "request objects are not read here")
    if given.get("response_type") != "code":
        raise OauthRefusal("unsupported_response_type", "only the authorization code flow is offered")
    if given.get("response_mode", "query") != "query":
        raise OauthRefusal("invalid_request", "the answer comes in the query only")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise OauthRefusal("invalid_request", "PKCE with S256 is needed (RFC 7636)")
    scopes = _scopes(given.get("scope", ""), site.registration)
    nonce = given.get("nonce")
    if nonce is None and site.registration.auth is ClientAuth.NONE:
        raise OauthRefusal("invalid_request", "a public client sends a nonce")
    if nonce is not None and not _VISIBLE.fullmatch(nonce):
        raise OauthRefusal("invalid_request", "a nonce is up to 512 visible characters")
    prompts = set(given.get("prompt", "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise OauthRefusal("invalid_request", "an unknown prompt, or none beside another")
    if "none" in prompts:  # every login is scanned anew: there is no session to answer from
        raise OauthRefusal("login_required", "nobody is logged in here without scanning")
    if not _AGE.fullmatch(given.get("max_age", "0")):  # any age is met: nobody logs in by an older login
        raise OauthRefusal("invalid_request", "max_age is a number of seconds")
    asked = tuple(given.get("acr_values", "").split())
    acr = demanded(asked, site.registration.acr)
    if acr is None:
        raise OauthRefusal("unmet_authentication_requirements", "none of these authentication classes is known here")
    return AuthorizationRequest(
        site, scopes, state, nonce, given["code_challenge"], acr, asked, _language(given.get("ui_locales", ""))
    )


def state_of(given: dict[str, str]) -> str | None:
    """The state to be given back, with an error too. Raises `OauthRefusal` for one of no sensible form."""
    state = given.get("state")
    if state is not None and not _VISIBLE.fullmatch(state):
        raise OauthRefusal("invalid_request", "a state is up to 512 visible characters")
    return state


def _scopes(text: str, registration: LoginRegistration) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(text.split()))
    if "openid" not in asked:
        raise OauthRefusal("invalid_scope", "openid is needed")
    if not set(asked) <= set(registration.scopes):
        raise OauthRefusal("invalid_scope", "the site was not registered for one of these scopes")
    return asked


def _language(locales: str) -> str | None:
    """The first of the page's languages that the site names (RFC 5646)."""
    names = (locale.lower().partition("-")[0] for locale in locales.split())
    return next((name for name in names if name in _LANGUAGES), None)
