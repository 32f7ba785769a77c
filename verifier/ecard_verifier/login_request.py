"""The description of a login that an app scanned: judged by the app before its holder sees a word of it.

The format is `docs/formats/login.md`. An app shows what stands in here and nothing that came by another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.trust.trust import Trust
from ecard_verifier.statement import require_in_force, signed_by

TYP: Final = "ecard-login-request+jwt"
LIMIT: Final = 8192


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Which site (`host` is where its holder ends up), which desktop as far as known (else `unknown`), what must be
    proven, which claims the site will be told, and the numbers to choose from. Times are NumericDates."""

    issuer: str
    request_id: str
    app_id: str
    client_id: str
    name_zh: str
    name_en: str
    host: str
    region: str
    address: str
    device: str
    acr: str
    claims: tuple[str, ...]
    numbers: tuple[str, ...]
    must_be_camera: bool
    issued_at: int
    expires_at: int


def verify_login_request(token: str, trust: Trust, now: datetime, *, app_id: str) -> LoginRequest:
    """The request, if an issuer on the trust list signed it for this app and it is not over. Pure.

    Raises `InvalidInput` `bad_login_request`, `bad_jws`, `wrong_type`, `algorithm_not_allowed`; `CheckFailed`
    `trust_expired`, `unknown_key`, `key_wrong_purpose`, `bad_signature`, the key's own reason, `issuer_mismatch`,
    `wrong_audience`, `not_yet_valid`, `expired`.
    """
    seconds = int(now.timestamp())
    jws, key = signed_by(token, trust, seconds, typ=TYP, limit=LIMIT)
    said = _read(jws.payload)
    if said.app_id != app_id:
        raise CheckFailed("wrong_audience", "made for another app")
    require_in_force(key, said.issuer, said.issued_at, said.expires_at, seconds)
    return said


def _read(payload: bytes) -> LoginRequest:
    try:
        claims = jose.parse_json(payload, limit=LIMIT, max_depth=2)
    except InvalidInput as error:
        raise InvalidInput("bad_login_request", error.detail) from None
    match claims:
        case {
            "iss": str(issuer),
            "aud": str(app_id),
            "jti": str(request_id),
            "iat": int(issued_at),
            "exp": int(expires_at),
            "client": {"id": str(client_id), "zh": str(zh), "en": str(en), "host": str(host)},
            "desktop": {"region": str(region), "address": str(address), "device": str(device)},
            "acr": str(acr),
            "claims": list(told),
            "numbers": list(numbers),
            "must_be_camera": bool(must_be_camera),
        } if all(type(text) is str for text in (*told, *numbers)):
            return LoginRequest(
                issuer,
                request_id,
                app_id,
                client_id,
                zh,
                en,
                host,
                region,
                address,
                device,
                acr,
                tuple(map(str, told)),
                tuple(map(str, numbers)),
                must_be_camera,
                issued_at,
                expires_at,
            )
    raise InvalidInput("bad_login_request", "members are missing, or of another type")
