"""What the token endpoint and its metadata answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class TokenAnswer(BaseModel):
    """RFC 6749 §5.1."""

    access_token: str = Field(repr=False, description="Told this once.")
    token_type: Literal["DPoP", "Bearer"] = Field(description="`Bearer` where it is bound to a client certificate.")
    expires_in: int = Field(examples=[300])
    scope: str = Field(examples=["ecard:claim ecard:show"])


class ServerMetadata(BaseModel):
    """RFC 8414 §2."""

    issuer: str
    token_endpoint: str
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    dpop_signing_alg_values_supported: list[str]
    tls_client_certificate_bound_access_tokens: bool
