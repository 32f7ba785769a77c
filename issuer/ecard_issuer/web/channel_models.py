"""What the routes about channels take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictInt, StrictStr

from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.values import MAX_ADDRESSES, MAX_CALLS, MAX_CLAIMS, ChannelKind
from ecard_issuer.web.models import Body, RequestId

Address = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
Addresses = Annotated[list[Address], Field(max_length=MAX_ADDRESSES)]


class ChannelNames(Body):
    """The app's name in both languages."""

    zh: StrictStr = Field(min_length=1, max_length=100, examples=["示例银行"])
    en: StrictStr = Field(min_length=1, max_length=100, examples=["Example Bank"])


class QuotasBody(Body):
    """How much the app may do."""

    calls_per_minute: StrictInt = Field(600, ge=1, le=MAX_CALLS)
    claims_per_day: StrictInt = Field(10_000, ge=1, le=MAX_CLAIMS)


class RegistrationBody(Body):
    """Everything that is registered about an app: the whole of it each time."""

    names: ChannelNames
    legal_entity: StrictStr = Field(min_length=1, max_length=100, description="Who answers for the app.")
    contact: StrictStr = Field(
        min_length=1, max_length=200, description="Reaches the body, not a person.", examples=["ecard@bank.example"]
    )
    kind: ChannelKind
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    quotas: QuotasBody = Field(default_factory=lambda: QuotasBody(calls_per_minute=600, claims_per_day=10_000))
    redirect_uris: Addresses = Field([])
    webhook_urls: Addresses = Field([])
    browser_origins: Addresses = Field([], description="Origins of the pages that show `<ecard-code>`.")
    jwks: dict[str, Any] | None = Field(
        None, description="A JWK Set of 1 to 10 public keys, each with a `kid`: P-256, RSA or Ed25519."
    )
    jwks_uri: Address | None = Field(None, description="Where the JWK Set is fetched instead: https, not redirected.")
    certificates: list[Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{43}$")]] = Field(
        [], max_length=MAX_ADDRESSES, description="SHA-256 of client certificates (DER) in base64url, for mutual TLS."
    )

    def document(self) -> dict[str, Any]:
        """As the office reads it."""
        return self.model_dump(mode="json", exclude={"request_id"})


class ApplicationBody(RegistrationBody):
    """An application of an app."""

    request_id: RequestId


class ReasonBody(Body):
    """Why."""

    reason: StrictStr = Field(min_length=1, max_length=200, description="Kept on record, and told to the app's body.")


class ChannelAnswer(BaseModel):
    """An app as it is registered."""

    app_id: str = Field(examples=["ek_live_abcdefghijklmnopqrstuvwx"])
    state: ChannelState
    mode: Literal["live", "test"]
    applied_at: datetime
    names: ChannelNames
    legal_entity: str
    contact: str
    kind: ChannelKind
    scopes: list[Scope]
    quotas: QuotasBody
    redirect_uris: list[str]
    webhook_urls: list[str]
    browser_origins: list[str]
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    certificates: list[str]


class ChannelsAnswer(BaseModel):
    """Apps in order of their ids."""

    data: list[ChannelAnswer]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


class ChannelChangeAnswer(BaseModel):
    """One decision about an app."""

    number: int
    action: Literal["applied", "approved", "refused", "suspended", "resumed", "changed"]
    state: ChannelState
    changed_by: str
    reason: str
    changed_at: datetime
    registration: dict[str, Any]


class ChannelRecord(BaseModel):
    """Every decision about an app, oldest first."""

    changes: list[ChannelChangeAnswer]


class OwnChannelAnswer(BaseModel):
    """What an app may know of itself."""

    app_id: str
    names: ChannelNames
    mode: Literal["live", "test"]
    scopes: list[Scope] = Field(description="Granted to the app.")
    token_scopes: list[Scope] = Field(description="Of the token that was shown.")
    quotas: QuotasBody
    key_ids: list[str] = Field(description="`kid`s of the keys known now; empty where the key set cannot be fetched.")
    jwks_uri: str | None
    redirect_uris: list[str]
    webhook_urls: list[str]
    browser_origins: list[str]
