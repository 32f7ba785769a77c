"""What the signing desk demands of scan-to-login's two documents: the ID token for a site, and the description of a
request for the app that scanned it. Neither says who the person is.

The formats are in `docs/formats/login.md`. An ID token has to be of type `JWT`, because clients of every make read it.
So that nothing else signed by these keys passes as one, its audience is `login.` and a service: no other document of
the house can name such an audience and a subject together (RFC 8725 §3.9, §3.11, §3.12).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.desk.drafts import Signatory, SigningRules, as_jws, refused, require, require_header, require_time

_TOKEN_TYP: Final = "JWT"  # noqa: S105 - a type
_REQUEST_TYP: Final = "ecard-login-request+jwt"
_LIMIT: Final = 8_192
#: Seconds that an ID token and a request may be good for, and that a login may lie back.
_LONGEST: Final = 600
_ID: Final = re.compile(r"[0-9a-f]{32}")
_CLIENT: Final = re.compile(r"login\.[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
_APP: Final = re.compile(r"ek_(?:live|test)_[a-z2-7]{24}")
_NUMBER: Final = re.compile(r"[1-9][0-9]")
_HOST: Final = re.compile(r"[a-z0-9.:\[\]-]{1,260}")
_NAME: Final = re.compile(r"[a-z_0-9]{1,64}")
_ACRS: Final = frozenset(f"urn:ecard:acr:{name}" for name in ("password", "device", "chip", "chip-password"))
_AMRS: Final = frozenset({"pop", "pwd", "mfa", "urn:ecard:amr:number"})
_MAX_NONCE: Final = 512
_MAX_TEXT: Final = 100


def judge_login_token(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """An ID token (OpenID Connect Core 1.0 §2). Raises `InvalidInput` `draft_refused`, naming the rule."""
    claims = _read(draft, _TOKEN_TYP, signatory, 2)
    require(signatory.algorithm is Algorithm.ES256, "algorithm", "clients of every make read ES256 and not SM2")
    match claims:
        case {
            "iss": str(issuer),
            "sub": str(subject),
            "aud": str(client),
            "exp": int(until),
            "iat": int(issued_at),
            "auth_time": int(auth_time),
            "jti": str(login_id),
            "acr": str(acr),
            "amr": list(amr),
        }:
            require(type(until) is type(issued_at) is type(auth_time) is int, "form", "a time is no number")
        case _:
            raise refused("form", "claims of an ID token are missing, or of another type")
    _require_issuer(issuer, rules)
    require_time(issued_at, now)
    require(0 < until - issued_at <= _LONGEST, "validity", "it ends before it begins, or is good for over ten minutes")
    require(0 <= issued_at - auth_time <= _LONGEST, "validity", "nobody has just logged in")
    require(all(map(_ID.fullmatch, (subject, login_id))), "form", "sub or jti is not 32 hex digits")
    require(_CLIENT.fullmatch(client) is not None, "audience", "not the client id of one service")
    require(acr in _ACRS, "form", "an unknown acr")
    known = all(type(item) is str and item in _AMRS for item in amr)
    require(known and 0 < len(amr) == len(set(amr)), "form", "amr is not a list of what this house has, each once")
    meant: dict[str, object] = {
        "iss": issuer,
        "sub": subject,
        "aud": client,
        "exp": until,
        "iat": issued_at,
        "auth_time": auth_time,
        "jti": login_id,
        "acr": acr,
        "amr": amr,
    }
    if "nonce" in claims:
        nonce = claims["nonce"]
        require(type(nonce) is str and 0 < len(nonce) <= _MAX_NONCE, "form", "the nonce is no text of bounded length")
        meant["nonce"] = nonce
    _require_rebuilt(draft, _TOKEN_TYP, signatory, meant)


def judge_login_request(draft: bytes, rules: Sequence[SigningRules], signatory: Signatory, now: datetime) -> None:
    """What an app is told of the login that it scanned. Raises `InvalidInput` `draft_refused`, naming the rule."""
    claims = _read(draft, _REQUEST_TYP, signatory, 2)
    match claims:
        case {
            "iss": str(issuer),
            "aud": str(app),
            "jti": str(request_id),
            "iat": int(issued_at),
            "exp": int(until),
            "client": {"id": str(client), "zh": str(zh), "en": str(en), "host": str(host)},
            "desktop": {"region": str(region), "address": str(address), "device": str(device)},
            "acr": str(acr),
            "claims": list(told),
            "numbers": list(numbers),
            "must_be_camera": True,
        }:
            require(type(until) is type(issued_at) is int, "form", "a time is no number")
        case _:
            raise refused("form", "members of a login request are missing, or of another type")
    _require_issuer(issuer, rules)
    require_time(issued_at, now)
    require(0 < until - issued_at <= _LONGEST, "validity", "it ends before it begins, or is good for over ten minutes")
    require(_APP.fullmatch(app) is not None, "audience", "not the id of one app")
    require(_ID.fullmatch(request_id) is not None, "form", "jti is not 32 hex digits")
    require(_CLIENT.fullmatch(client) is not None, "form", "not the client id of one service")
    require(_HOST.fullmatch(host) is not None, "form", "not a host")
    texts = (zh, en, region, address, device)
    require(all(0 < len(text) <= _MAX_TEXT for text in texts), "form", "a text is empty or too long")
    require(acr in _ACRS, "form", "an unknown acr")
    require(all(type(name) is str and _NAME.fullmatch(name) for name in told), "form", "a claim's name is none")
    digits = all(type(number) is str and _NUMBER.fullmatch(number) for number in numbers)
    require(digits and len(numbers) == len(set(numbers)) == 3, "form", "not three numbers of two digits")
    meant: dict[str, object] = {
        "iss": issuer,
        "aud": app,
        "jti": request_id,
        "iat": issued_at,
        "exp": until,
        "client": {"id": client, "zh": zh, "en": en, "host": host},
        "desktop": {"region": region, "address": address, "device": device},
        "acr": acr,
        "claims": told,
        "numbers": numbers,
        "must_be_camera": True,
    }
    _require_rebuilt(draft, _REQUEST_TYP, signatory, meant)


def _read(draft: bytes, typ: str, signatory: Signatory, depth: int) -> Mapping[str, object]:
    try:
        jws = jose.parse_compact(as_jws(draft), typ=typ, limit=_LIMIT)
        claims = jose.parse_json(jws.payload, limit=_LIMIT, max_depth=depth)
    except InvalidInput as error:
        raise refused("form", f"no document of a login: {error.code}") from None
    require_header(jws.header, typ, signatory)
    if not isinstance(claims, dict):
        raise refused("form", "the payload is not an object")
    return claims


def _require_issuer(issuer: str, rules: Sequence[SigningRules]) -> None:
    require(any(rule.issuer == issuer for rule in rules), "issuer", "no issuer of that name is served here")


def _require_rebuilt(draft: bytes, typ: str, signatory: Signatory, meant: Mapping[str, object]) -> None:
    header = {"alg": signatory.algorithm.value, "kid": signatory.key_id, "typ": typ}
    require(jose.compact_signing_input(header, meant) == draft, "rebuild", "not the form in which this house writes it")
