"""What the presentation routes take and give, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from ecard_card.card import ChipAssurance
from ecard_verifier.openid4vp.query import MAX_TRANSACTIONS
from ecard_verifier.openid4vp.request import BROWSER_PROTOCOL
from ecard_verifier.openid4vp.wish import Opened, Wish
from ecard_verifier.verdict import rfc3339
from ecard_verifier.web.models import Assurance, CheckStep, Shown

_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True)
_Name = Annotated[Shown, Field(min_length=1, max_length=64)]
#: What a wallet shows its holder of a transaction: texts, numbers, yes or no.
_Scalar = Annotated[StrictStr, Field(max_length=1024)] | StrictBool | StrictInt | StrictFloat


class PresentationRequest(BaseModel):
    """What a wallet is to be asked for: an e-card, or in its place a credential of one of `other_issuers`."""

    model_config = _STRICT

    purpose: _Name | None = Field(
        None,
        description="What it is shown for, by a system of a group of merchants, which needs it: then `facts` has what"
        " that permits.",
    )
    claims: list[_Name] = Field(
        [],
        description="Of the e-card, by name; by default none. Only these are told.",
        max_length=16,
        examples=[["name", "card_number"]],
    )
    transaction_data: list[dict[_Name, _Scalar]] = Field(
        [],
        description="What the holder confirms with the device key; each has a `type`. A wallet that does not know the"
        " type shows nothing.",
        max_length=MAX_TRANSACTIONS,
    )
    other_issuers: list[_Name] = Field(
        [], description="By the names in the operator's file: a credential of one of these will do.", max_length=16
    )
    minimum_assurance: Assurance | None = Field(None, description="How well the chip must have been proven.")
    return_url: StrictStr | None = Field(
        None,
        description="For a wallet on the same device: the https page it leads back to, with `response_code`. Without"
        " that code the verdict is not told.",
        max_length=1024,
    )

    origins: list[StrictStr] = Field(
        [],
        description="Of your pages that ask through the browser (W3C Digital Credentials API): then the answer has"
        " `digital`, and what the browser gives back goes to `answer`.",
        max_length=4,
    )

    def wish(self) -> Wish:
        """The same for the room."""
        return Wish(
            purpose=self.purpose,
            claims=tuple(self.claims),
            others=tuple(self.other_issuers),
            transaction=tuple(dict(item) for item in self.transaction_data),
            minimum_assurance=None
            if self.minimum_assurance is None
            else ChipAssurance.from_label(self.minimum_assurance),
            return_url=self.return_url,
            origins=tuple(self.origins),
        )


class WalletLink(BaseModel):
    """Links that open a wallet with the request."""

    openid4vp: str
    https: str


class PresentationOpened(BaseModel):
    """A request for a wallet. All of it but the id is for the holder's eyes; the id is for yours."""

    presentation_id: str = Field(description="Keep it in your own session; it reads the verdict.")
    request_uri: str | None = Field(None, description="Gives the signed request, once.")
    wallet_link: WalletLink | None = None
    qr: str | None = Field(None, description="The text of a QR code for a wallet on another device.")
    digital: dict[str, object] | None = Field(
        None, description="With `origins`: the `digital` member of what `navigator.credentials.get` takes."
    )
    expires_at: datetime = Field(description="Until then the wallet must have fetched it, or have answered.")


class Presentation(BaseModel):
    """How far it is and, once it is `decided`, the verdict. Never `valid` where something could not be known."""

    presentation_id: str
    state: Literal["waiting", "fetched", "answered", "decided", "declined"] = Field(
        description="`answered` while it is judged; `declined` where the wallet shows nothing."
    )
    purpose: str | None = None
    wallet_error: str | None = Field(None, description="Of a wallet that declined.")
    credential: str | None = Field(
        None, description="`ecard`, or the name of another issuer: only an `ecard` says anything of a card."
    )
    decided_at: datetime | None = None
    outcome: Literal["valid", "check", "invalid", "undecided"] | None = None
    reason: str | None = Field(None, description="A stable code, `ok` when valid.")
    checks: list[CheckStep] = []
    status_as_of: datetime | None = None
    chip_assurance: Assurance | None = None
    holder_proof: Literal["chip", "pin", "identity"] | None = None
    test_card: bool = False
    issuer: str | None = None
    facts: dict[str, str] = Field({}, description="For a group: what its purpose lets it see, masked.")
    claims: dict[str, object] = Field({}, description="What was asked for and disclosed; empty unless valid or check.")


class ResponseCode(BaseModel):
    """What the browser brought back in its address."""

    model_config = _STRICT

    response_code: StrictStr = Field(min_length=1, max_length=128)


class CarriedAnswer(BaseModel):
    """What the browser gave back: `response` of its `data`."""

    model_config = _STRICT

    response: StrictStr = Field(min_length=1, max_length=60000)


class WalletAnswered(BaseModel):
    """What a wallet is told: where to lead its browser, where one waits. Nothing of the verdict."""

    redirect_uri: str | None = Field(None, description="Absent where no browser waits on this device.")


def opened_json(opened: Opened) -> dict[str, object]:
    """The members of a `PresentationOpened`."""
    named = {"presentation_id": opened.presentation_id, "expires_at": rfc3339(opened.expires_at)}
    if opened.request is not None:
        asked = {"protocol": BROWSER_PROTOCOL, "data": {"request": opened.request}}
        return {**named, "digital": {"requests": [asked]}}
    return {
        **named,
        "request_uri": opened.request_uri,
        "wallet_link": {"openid4vp": opened.openid_link, "https": opened.https_link},
        "qr": opened.openid_link,
    }
