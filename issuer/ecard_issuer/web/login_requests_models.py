"""What the routes by which apps take part in a login take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_issuer.web.models import Body


class ScanBody(Body):
    """What the app's own camera read, and for whom."""

    link_id: StrictStr = Field(min_length=1, max_length=64, description="The link of the person who holds the phone.")
    scanned: StrictStr = Field(
        min_length=1,
        max_length=512,
        repr=False,
        description="The whole text of the QR code, from the camera: never from the gallery, a link or the clipboard.",
        examples=["https://ecard.example/l/3q2-7wAAAAAAAAAAAAAAAA"],
    )


class ScannedAnswer(BaseModel):
    """A login that waits for its holder."""

    request_id: str
    signed: str = Field(
        description="Compact JWS of type `ecard-login-request+jwt` for this app: which site, which desktop, what it"
        " will be told, the three numbers. Show what it says after verifying it, and nothing else."
    )
    expires_at: datetime


class ConfirmBody(Body):
    """The holder's consent. At least one of `proof` and `password`."""

    number: StrictStr = Field(
        pattern="^[0-9]{2}$", repr=False, description="The number that the holder chose.", examples=["47"]
    )
    proof: StrictStr | None = Field(
        None,
        max_length=2048,
        repr=False,
        description="Compact JWS of type `ecard-login-proof+jwt` by the device key of the link's e-card.",
    )
    password: StrictStr | None = Field(
        None, min_length=1, max_length=16, repr=False, description="The e-card password: six digits, as typed."
    )


class LoginStateAnswer(BaseModel):
    """How the request stands now."""

    request_id: str
    state: Literal["confirmed", "denied"]
