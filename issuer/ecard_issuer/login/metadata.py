"""What the provider says of itself (OpenID Connect Discovery 1.0 §3, RFC 8414, RFC 9207)."""

from __future__ import annotations

from typing import Any

from ecard_issuer.login.assurance import Acr
from ecard_issuer.login.registration import ClientAuth
from ecard_issuer.login.scopes import LOGIN_CLAIMS, LoginScope


def provider_metadata(issuer: str) -> dict[str, Any]:
    """Of the provider at `issuer`, the configured origin."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/login/authorize",
        "token_endpoint": f"{issuer}/login/token",
        "userinfo_endpoint": f"{issuer}/login/userinfo",
        "jwks_uri": f"{issuer}/login/jwks",
        "scopes_supported": [scope.value for scope in LoginScope],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": [acr.value for acr in Acr],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": [method.value for method in ClientAuth],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "jti", "nonce", "acr", "amr"),
            *(claim.value for claim in LOGIN_CLAIMS),
        ],
        "ui_locales_supported": ["zh", "en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
