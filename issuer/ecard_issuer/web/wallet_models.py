"""What the routes about wallets take and give, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from ecard_issuer.web.models import Body, Reason, RequestId


class PushedAnswer(BaseModel):
    """A pushed request."""

    request_uri: str
    expires_in: int


class WalletTokenAnswer(BaseModel):
    """An access token."""

    access_token: str
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    authorization_details: list[dict[str, Any]] | None = Field(
        None, description="With `credential_identifiers`, where the request had `authorization_details`."
    )


class NonceAnswer(BaseModel):
    """For the `nonce` of the proofs."""

    c_nonce: str


class HandedCredential(BaseModel):
    """One credential."""

    credential: str = Field(description="SD-JWT VC with all disclosures: personal data.")


class WalletCredentialsAnswer(BaseModel):
    """Credentials in the order of the proofs."""

    credentials: list[HandedCredential]
    notification_id: str


class DeferredAnswer(BaseModel):
    """A person looks at it first."""

    transaction_id: str
    interval: int = Field(description="Seconds until it is worth asking.")


class OfferBody(Body):
    """How the offer is to be made."""

    review: StrictBool = Field(False, description="A person looks at the wallet's request before anything is issued.")
    request_id: RequestId | None = None


class OfferLinks(BaseModel):
    """One scheme's links."""

    by_reference: str = Field(description="Short, for a QR code; the wallet fetches the rest. A secret.")
    by_value: str = Field(description="Whole. A secret.")


class OfferAnswer(BaseModel):
    """An offer. Links and code go to the person on two different ways."""

    offer_id: str
    credential_offer_uri: str = Field(description="Where the offer is fetched. A secret.")
    links: dict[str, OfferLinks] = Field(description="`openid` (`openid-credential-offer://`), `haip` (`haip-vci://`).")
    tx_code: str = Field(description="Six digits that the person types. Five wrong ones end the offer.")
    expires_at: datetime


class WalletBody(Body):
    """A wallet that may send people to our page."""

    name: StrictStr = Field(min_length=1, max_length=60, description="As people know it; stands on the page.")
    redirect_uris: list[Annotated[StrictStr, Field(max_length=512)]] = Field(
        min_length=1, max_length=8, description="https, an app's own scheme, or http on 127.0.0.1; compared whole."
    )


class WalletAnswer(BaseModel):
    """A registered wallet."""

    client_id: str
    name: str
    redirect_uris: list[str]
    added_by: str
    added_at: datetime
    ended_by: str | None
    ended_at: datetime | None


class WalletsAnswer(BaseModel):
    """A page of the registry."""

    wallets: list[WalletAnswer]
    next_after: str | None = Field(description="For `after` of the next page, where there may be one.")


class RefuseReview(Body):
    """Why."""

    reason: Reason = ""


class ReviewAnswer(BaseModel):
    """A wallet's request that a person reviews. Says nothing about the holder."""

    review_id: str
    card_ref: str | None
    keys: int = Field(description="For how many device keys.")
    state: Literal["waiting", "granted", "refused"]
    asked_at: datetime
    until: datetime
    decided_by: str | None
    decided_at: datetime | None


class ReviewsAnswer(BaseModel):
    """A page of the queue."""

    reviews: list[ReviewAnswer]
    next_after: str | None = Field(description="For `after` of the next page, where there may be one.")
