"""What the OpenID provider answers to the servers of sites, and to the script of its page."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LoginVersion(BaseModel):
    """What the page of a login shows now, as a word that changes with it."""

    version: str = Field(description="`unknown` for every other browser.")


class LoginTokens(BaseModel):
    """OpenID Connect Core 1.0 §3.1.3.3."""

    access_token: str = Field(description="For `/login/userinfo`, for five minutes.")
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds.")
    scope: str = Field(examples=["openid profile"])
    id_token: str = Field(description="A JWT (§2), by one of the keys at `/login/jwks`.")


class UserInfo(BaseModel):
    """OpenID Connect Core 1.0 §5.3.2: `sub`, and the claims of the scopes."""

    model_config = ConfigDict(extra="allow")

    sub: str = Field(description="This service's own reference of the person.")


class LoginKeys(BaseModel):
    """A JWK set (RFC 7517 §5)."""

    keys: list[dict[str, str]] = Field(description="Public keys, each with its `kid`.")


class ProviderMetadata(BaseModel):
    """OpenID Connect Discovery 1.0 §3, with further members of RFC 8414 and RFC 9207."""

    model_config = ConfigDict(extra="allow")

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
