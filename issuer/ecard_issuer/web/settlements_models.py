"""What the routes about payments at counters take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, StrictInt, StrictStr

from ecard_issuer.settlements.desk import AskPayment
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Body, RequestId
from ecard_issuer.web.relying_models import Line, Names
from ecard_issuer.web.secret_models import Digits, Unsaid
from ecard_qr.challenge import CURRENCY, MAX_AMOUNT, Transaction

PaymentStates = Literal["asked", "authorized", "redeemed", "voided"]


class NewPayment(Body):
    """What the holder shall agree to have paid."""

    request_id: RequestId
    line: Line
    counter: StrictStr = Field(
        pattern="^[!-~]{1,64}$", description="What the counter is called in codes.", examples=["ctr-07"]
    )
    purpose: StrictStr = Field(pattern="^[a-z][a-z0-9-]{0,31}$", examples=["medical"])
    amount: StrictInt = Field(ge=1, le=MAX_AMOUNT, description="In fen.", examples=[12345])
    currency: Literal["CNY"] = CURRENCY
    payer: StrictStr = Field(
        pattern="^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$",
        description="The relying service that pays: an insurance fund, a bank.",
        examples=["medical-fund"],
    )
    reference: StrictStr = Field(
        pattern="^[A-Za-z0-9._/-]{1,64}$", description="Your own number of it.", examples=["HIS/2026-000017"]
    )

    def to_ask(self) -> AskPayment:
        """The values."""
        paid = Transaction(self.amount, self.payer, self.reference, self.currency)
        return AskPayment(self.request_id, self.line, self.counter, self.purpose, paid)


class PaymentConsent(Unsaid):
    """The code by which the holder's device answered."""

    code: StrictStr = Field(max_length=4096, description="As scanned: `EC1:` or `EC0:`.", examples=["EC1:…"])
    card_pin: Digits | None = Field(None, description="Where the service wants the card's PIN each time.")
    acting: ActingBody | None = None


class Redemption(Body):
    """An authorization to be used up."""

    request_id: RequestId
    authorization: StrictStr = Field(max_length=4096, description="As the merchant handed it over.")


class ScannedPayment(Body):
    """The counter's code, as an app scanned it."""

    challenge: StrictStr = Field(max_length=1024, examples=["ECQ:…"])


class AgreeToPayment(Unsaid):
    """The holder's word."""

    challenge: StrictStr = Field(max_length=1024, examples=["ECQ:…"])
    password: Digits = Field(description="The e-card password, typed for this payment.")


class AskedPayment(BaseModel):
    """What is asked."""

    merchant: str
    counter: str
    purpose: str
    amount: int = Field(description="In fen.")
    currency: str
    payer: str
    reference: str
    until: datetime = Field(description="By when the holder must have agreed.")


class PaymentAnswer(AskedPayment):
    """A payment, for its merchant and its payer."""

    transaction_id: str
    state: PaymentStates
    challenge: str = Field(description="`ECQ:…`: show it as a QR code.")
    way: Literal["device", "password"] | None
    authorized_at: datetime | None
    redeem_by: datetime | None
    authorization: str | None = Field(
        description="The settlement authorization, a compact JWS (docs/formats/settlement.md), while it counts."
    )


class ShownPaymentAnswer(AskedPayment):
    """A payment, for the holder's eyes."""

    state: PaymentStates
    names: Names = Field(description="Of the merchant, as registered.")
