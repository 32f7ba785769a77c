"""What the routes about partner banks and bank accounts take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_issuer.states import AccountState
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Body, EventId
from ecard_issuer.web.relying_models import Names

BankCode = Annotated[StrictStr, Field(pattern="^[A-Z0-9]{3,14}$", examples=["ICBC"])]
Number = Annotated[
    StrictStr, Field(pattern="^[0-9]{8,32}$", repr=False, description="Sealed at rest.", examples=["6222000000000000"])
]


class BankBody(Body):
    """A partner bank."""

    names: Names
    caller: StrictStr = Field(max_length=64, description="The caller of role `partner` that it calls by.")


class BankAnswer(BaseModel):
    """A partner bank as registered."""

    bank_code: str
    caller: str
    names: dict[str, str]


class BanksAnswer(BaseModel):
    """In order of their codes."""

    banks: list[BankAnswer]


class LoadBody(Body):
    """An account that the bank has loaded on a customer's card."""

    event_id: EventId
    bank_code: BankCode
    account_number: Number
    card_number: StrictStr = Field(min_length=9, max_length=9, repr=False, examples=["TEST40714"])
    id_number: StrictStr = Field(min_length=18, max_length=18, repr=False, examples=["000000199001050714"])


class AccountChangeBody(Body):
    """What became of an account."""

    event_id: EventId
    bank_code: BankCode
    account_number: Number
    state: Literal[AccountState.ACTIVE, AccountState.LOST, AccountState.CLOSED]


class ActivationBody(Body):
    """Activation in person."""

    event_id: EventId
    acting: ActingBody | None = Field(None, description="A guardian; an agent may not. None: the holder.")


class AccountAnswer(BaseModel):
    """An account without its number."""

    card_ref: str
    bank_code: str
    state: AccountState
    changed_at: datetime


class AccountChangeAnswer(AccountAnswer):
    """The account after a change; `applied` is false for a repetition."""

    applied: bool
