"""The signed request object (OpenID4VP 1.0 §5, RFC 9101), fetched by reference. Pure: signing is for the caller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.certified_keys import CertifiedKey
from ecard_keys.response_key import ENCRYPTIONS, ResponseKey

TYP: Final = "oauth-authz-req+jwt"
MEDIA_TYPE: Final = f"application/{TYP}"
#: Of a wallet that is not known beforehand (§5.8).
AUDIENCE: Final = "https://self-issued.me/v2"
WALLET_SCHEME: Final = "openid4vp://"
#: Of a signed request in the Digital Credentials API (appendix A.1).
BROWSER_PROTOCOL: Final = "openid4vp-v1-signed"
_MAX_WALLET_NONCE: Final = 256


def client_id(key: CertifiedKey) -> str:
    """What this verifier is called by wallets, and what they sign as `aud` (§5.9.3, `x509_hash`)."""
    return f"x509_hash:{jose.b64url_encode(hashlib.sha256(key.chain[0]).digest())}"


def wallet_link(scheme: str, client: str, request_uri: str) -> str:
    """The link that opens a wallet, or whose text is in a QR code. A wallet that does not know `request_uri_method`
    gets the request by GET."""
    query = urlencode({"client_id": client, "request_uri": request_uri, "request_uri_method": "post"})
    return f"{scheme}?{query}"


@dataclass(frozen=True, slots=True)
class ByPost:
    """The wallet posts its answer to `response_uri` and gives back `state` (§8.2)."""

    response_uri: str
    state: str


@dataclass(frozen=True, slots=True)
class ByBrowser:
    """The browser carries request and answer, for pages of these origins only (appendix A)."""

    origins: tuple[str, ...]


def request_object(
    key: CertifiedKey,
    way: ByPost | ByBrowser,
    *,
    nonce: str,
    query: Mapping[str, object],
    transaction_data: Sequence[str],
    response_key: ResponseKey,
    issued_at: int,
    expires_at: int,
    wallet_nonce: str | None = None,
) -> jose.UnsignedJws:
    """The unsigned request. Times are NumericDates; `wallet_nonce` is what the wallet sent when it fetched (§5.10).

    Raises `InvalidInput` `bad_wallet_nonce`.
    """
    if wallet_nonce is not None and not (len(wallet_nonce) <= _MAX_WALLET_NONCE and wallet_nonce.isprintable()):
        raise InvalidInput("bad_wallet_nonce", "a wallet's nonce has at most 256 printable characters")
    algorithms = {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}
    payload: dict[str, object] = {
        "response_type": "vp_token",
        "client_id": client_id(key),
        **_answered(way),
        "nonce": nonce,
        "aud": AUDIENCE,
        "iat": issued_at,
        "exp": expires_at,
        "dcql_query": query,
        "client_metadata": {
            "jwks": {"keys": [response_key.jwk]},
            "encrypted_response_enc_values_supported": list(ENCRYPTIONS),
            "vp_formats_supported": {"dc+sd-jwt": algorithms},
        },
    }
    if transaction_data:
        payload["transaction_data"] = list(transaction_data)
    if wallet_nonce is not None:
        payload["wallet_nonce"] = wallet_nonce
    return jose.UnsignedJws(jose.compact_signing_input({"alg": "ES256", "typ": TYP, "x5c": key.x5c}, payload))


def _answered(way: ByPost | ByBrowser) -> dict[str, object]:
    if isinstance(way, ByBrowser):
        return {"response_mode": "dc_api.jwt", "expected_origins": list(way.origins)}
    return {"response_mode": "direct_post.jwt", "response_uri": way.response_uri, "state": way.state}
