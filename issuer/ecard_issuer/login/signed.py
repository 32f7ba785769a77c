"""The two signed documents of a login, drafted here and judged by the signing desk: `docs/formats/login.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import Unavailable
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.login.attempts import LoginRow
from ecard_issuer.login.rules import ID_TOKEN_LIFE
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState

REQUEST_TYP: Final = "ecard-login-request+jwt"
#: States of keys that a site may meet in a token of the last minutes, or of the next.
_SHOWN: Final = (KeyState.NEXT, KeyState.ACTIVE, KeyState.VERIFY_ONLY)


class StatementKeys(Protocol):
    """Which key signs statements, and all of them."""

    def active(self, purpose: KeyPurpose) -> KeyRecord: ...

    def records(self) -> tuple[KeyRecord, ...]: ...


@dataclass(frozen=True, slots=True)
class Described:
    """What an app is told of a login before its holder agrees."""

    app_id: str
    request_id: str
    client_id: str
    name_zh: str
    name_en: str
    host: str
    region: str
    address: str
    device: str
    acr: str
    claims: Sequence[str]
    numbers: Sequence[str]


class LoginSigner:
    """Has them signed by the statement key in use."""

    def __init__(self, signing: SigningDesk, keys: StatementKeys, identity: IssuerIdentity) -> None:
        self._signing = signing
        self._keys = keys
        self._identity = identity

    def id_token(self, login: LoginRow, subject: str, now: datetime) -> str:
        """The ID token (OpenID Connect Core 1.0 §2). Raises `Unavailable` `login_key_unsuitable` where statements are
        signed by SM2, and what signing raises."""
        issued_at = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": self._identity.issuer,
            "sub": subject,
            "aud": login.client_id,
            "exp": issued_at + int(ID_TOKEN_LIFE.total_seconds()),
            "iat": issued_at,
            "auth_time": min(int(login.at.timestamp()), issued_at),
            "jti": login.login_id,
            "acr": login.acr,
            "amr": list(login.amr),
        }
        if login.nonce is not None:
            claims["nonce"] = login.nonce
        key = self._keys.active(KeyPurpose.STATEMENT)
        if key.algorithm != Algorithm.ES256:
            raise Unavailable("login_key_unsuitable", "sites read ES256; the statement key in use is for SM2")
        return self._signed(SigningProfile.LOGIN_TOKEN, key, "JWT", claims, now)

    def request(self, said: Described, until: datetime, now: datetime) -> str:
        """The description of a request, for one app. Raises what signing raises."""
        claims: dict[str, object] = {
            "iss": self._identity.issuer,
            "aud": said.app_id,
            "jti": said.request_id,
            "iat": int(now.timestamp()),
            "exp": int(until.timestamp()),
            "client": {"id": said.client_id, "zh": said.name_zh, "en": said.name_en, "host": said.host},
            "desktop": {"region": said.region, "address": said.address, "device": said.device},
            "acr": said.acr,
            "claims": list(said.claims),
            "numbers": list(said.numbers),
            "must_be_camera": True,
        }
        key = self._keys.active(KeyPurpose.STATEMENT)
        return self._signed(SigningProfile.LOGIN_REQUEST, key, REQUEST_TYP, claims, now)

    def jwks(self) -> dict[str, Any]:
        """The public keys that sites judge ID tokens by (RFC 7517)."""
        shown = [
            record
            for record in self._keys.records()
            if record.purpose is KeyPurpose.STATEMENT and record.state in _SHOWN and record.algorithm == Algorithm.ES256
        ]
        return {
            "keys": [
                {**jose.jwk_of(record.public), "kid": record.kid, "use": "sig", "alg": Algorithm.ES256.value}
                for record in shown
            ]
        }

    def _signed(
        self, profile: SigningProfile, key: KeyRecord, typ: str, claims: dict[str, object], now: datetime
    ) -> str:
        header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
        draft = jose.UnsignedJws(jose.compact_signing_input(header, claims))
        (signature,) = self._signing.sign(profile, key.kid, [draft.signing_input], now)
        return draft.complete(signature)
