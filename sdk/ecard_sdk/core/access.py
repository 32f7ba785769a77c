"""Access tokens: asked for by a client assertion (RFC 7523), bound to a key of this process (DPoP, RFC 9449) or to the
client's certificate (RFC 8705), renewed before they end, by one thread for all.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.client_signer import ClientSigner, client_assertion, dpop_proof
from ecard_sdk.core.call import Reply, Send, Work
from ecard_sdk.core.clock import ServerClock
from ecard_sdk.core.reading import MAX_ANSWER, fault, unreadable
from ecard_sdk.errors import AuthenticationError, ECardError, PermissionDeniedError

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - where tokens are asked for
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: A token is renewed so long before its end, or at half of a life that is shorter than twice that.
_EARLY: Final = timedelta(seconds=30)
#: How often one request may be sent anew for what an answer taught: a nonce, the time, that its token is over.
MAX_LESSONS: Final = 3


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and when it is to be renewed."""

    value: str = field(repr=False)
    renew_at: datetime


class Access:
    """The right of one app to ask one authority. Its state is replaced, never changed, so threads may share it."""

    def __init__(
        self, base_url: str, app_id: str, signer: ClientSigner | None, clock: ServerClock, *, mutual_tls: bool = False
    ) -> None:
        self.base_url, self.app_id, self.signer, self.clock = base_url, app_id, signer, clock
        self._proof_key = None if mutual_tls else ClientSigner.generate()
        self._token: Token | None = None
        self._nonces: dict[bool, str] = {}
        own = secrets.token_bytes(32) if signer is None else _private_bytes(signer)
        self._secret = HKDF(hashes.SHA256(), 32, None, b"ecard-sdk sealed members").derive(own)

    @property
    def secret(self) -> bytes:
        """32 bytes of this app's own, the same for every process that has its private key."""
        return self._secret

    @property
    def token(self) -> Token | None:
        """The token, while it is good for some time yet."""
        token = self._token
        return token if token is not None and self.clock.now() < token.renew_at else None

    def forget(self, token: Token | None) -> None:
        """The service does not know this token any more. Another that has taken its place meanwhile stays."""
        if self._token is token:
            self._token = None

    def renewed(self) -> Work[Token]:
        """The token, asked for where there is none; the caller has seen to it that nobody else does the same."""
        token = self.token
        if token is not None:
            return token
        for _ in range(MAX_LESSONS + 1):
            reply: Reply = yield self._request()
            if reply.status == 200:
                self.learn(reply, of_tokens=True)
                self._token = self._read(reply)
                return self._token
            if not self.learn(reply, of_tokens=True):
                break
        raise _refusal(reply, self.base_url)

    def authorization(self, token: Token, method: str, url: str) -> dict[str, str]:
        """The headers that carry the token, with a proof of their own for each request."""
        if self._proof_key is None:
            return {"Authorization": f"Bearer {token.value}"}
        proof = dpop_proof(
            self._proof_key,
            method,
            url,
            self.clock.now(),
            access_token=token.value,
            nonce=self._nonces.get(False),
        )
        return {"Authorization": f"DPoP {token.value}", "DPoP": proof}

    def learn(self, reply: Reply, *, of_tokens: bool = False) -> bool:
        """Take time and nonce from an answer. Whether the same request, made anew, may now be accepted."""
        moved = self.clock.learn(reply.headers.get("date"))
        nonce = reply.headers.get("dpop-nonce")
        fresh = nonce is not None and nonce.isascii() and nonce != self._nonces.get(of_tokens)
        if fresh and nonce is not None:
            self._nonces[of_tokens] = nonce
        return moved or (fresh and _asks_for_nonce(reply))

    def _request(self) -> Send:
        url, now = self.base_url + TOKEN_PATH, self.clock.now()
        form = {"grant_type": "client_credentials", "client_id": self.app_id}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self.signer is not None:
            form["client_assertion_type"] = _ASSERTION_TYPE
            form["client_assertion"] = client_assertion(self.signer, self.app_id, self.base_url, now)
        if self._proof_key is not None:
            headers["DPoP"] = dpop_proof(self._proof_key, "POST", url, now, nonce=self._nonces.get(True))
        return Send("POST", url, headers, urlencode(form).encode())

    def _read(self, reply: Reply) -> Token:
        wanted = "Bearer" if self._proof_key is None else "DPoP"
        match _json(reply):
            case {"access_token": str(value), "token_type": str(kind), "expires_in": int(seconds)} if (
                kind.lower() == wanted.lower() and value.isascii() and value.isprintable() and 0 < seconds <= 86_400
            ):
                life = timedelta(seconds=seconds)
                return Token(value, self.clock.now() + life - min(_EARLY, life / 2))
        raise unreadable(reply, "no access token bound as it was asked for")


def _private_bytes(signer: ClientSigner) -> bytes:
    return signer.private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _refusal(reply: Reply, base_url: str) -> ECardError:
    """RFC 6749 §5.2 answers most refusals with 400; whose turn it is does not follow from that."""
    if reply.status not in (400, 401):
        return fault(reply, base_url)
    said = (_json(reply) or {}).get("error")
    kind = PermissionDeniedError if said in ("unauthorized_client", "invalid_scope") else AuthenticationError
    error = fault(reply, base_url)
    return kind(error.code, error.detail, http_status=reply.status, request_id=error.request_id)


def _asks_for_nonce(reply: Reply) -> bool:
    """RFC 9449 §8 at the token endpoint, §9 elsewhere."""
    if reply.status == 401 and "use_dpop_nonce" in reply.headers.get("www-authenticate", ""):
        return True
    match _json(reply):
        case {"error": "use_dpop_nonce"} | {"code": "use_dpop_nonce"}:
            return True
    return False


def _json(reply: Reply) -> Mapping[str, object] | None:
    try:
        document = jose.parse_json(reply.content, limit=MAX_ANSWER)
    except InvalidInput:
        return None
    return document if isinstance(document, dict) else None
