"""What pages and mini-programs that show an e-card send and get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from ecard_card import jose
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.tickets.shown import Standing
from ecard_issuer.tickets.values import MOST_AHEAD, OpenedSession, Ticket
from ecard_issuer.web.models import DeviceJwk


class Strict(BaseModel):
    """Members that are not listed are refused, and nothing of it is shown in an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class TicketBody(Strict):
    """For which page the ticket is. Without an origin: for a mini-program."""

    origin: StrictStr | None = Field(
        None,
        max_length=1024,
        description="The page's origin, one of the channel's registered ones; a mini-program has none.",
        examples=["https://card.bank.example"],
    )


class TicketAnswer(BaseModel):
    """Hand it to the page in its content or its fragment, never in a query string."""

    ticket: str
    expires_at: datetime

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls(ticket=ticket.secret, expires_at=ticket.expires_at)


class SessionBody(Strict):
    """The ticket that the page was given."""

    ticket: StrictStr = Field(min_length=1, max_length=128, examples=["et_" + "A" * 43])


class StandingAnswer(BaseModel):
    """Whether the e-card may be shown now. `reason` of one that may not: `suspended` (lost, locked), `ended`,
    `released`. `version` is what `after` takes."""

    usable: bool
    reason: Literal["", "suspended", "ended", "released"]
    version: str

    @classmethod
    def of(cls, standing: Standing) -> Self:
        return cls.model_validate({"usable": standing.usable, "reason": standing.reason, "version": standing.version})


class SessionAnswer(StandingAnswer):
    """A session. `token` speaks for it and stays in the page's memory."""

    session_id: str
    token: str
    expires_at: datetime = Field(description="Another ticket, before this time, goes on.")
    offline_until: datetime = Field(description="Until when a page without a network goes on by its own key.")
    link_id: str = Field(description="Under which name the page keeps its key.")
    issuer: str = Field(description="`aud` of the device proof.")
    device_challenge: str = Field(description="`nonce` of the device proof.")
    prefetch: int = Field(description="How many codes to ask for at once.")
    numbers: bool = Field(True, description="Whether a code may be given a number.")
    test: bool = Field(description="A test card: the page says so in red.")

    @classmethod
    def opened(cls, opened: OpenedSession, standing: Standing, issuer: str, *, test: bool) -> Self:
        session = opened.session
        begun, until = session.opened_at or session.issued_at, session.expires_at or session.issued_at
        return cls.model_validate(
            {
                "usable": standing.usable,
                "reason": standing.reason,
                "version": standing.version,
                "session_id": session.session_id,
                "token": opened.token,
                "expires_at": until,
                "offline_until": standing.offline_until(begun, until),
                "link_id": session.link_id,
                "issuer": issuer,
                "device_challenge": session.session_id,
                "prefetch": min(standing.ahead, MOST_AHEAD),
                "test": test,
            }
        )


class DeviceBody(Strict):
    """The browser's own key, and that it has it."""

    device_key: DeviceJwk
    proof: StrictStr = Field(
        min_length=1, max_length=4096, description="A JWS of `device_key` over `issuer`, `device_challenge`, time."
    )

    def point(self) -> bytes:
        """The public key, 65 bytes. Raises `InvalidInput` `bad_jwk`."""
        return jose.parse_public_jwk(self.device_key.model_dump(exclude_none=True))


class DeviceAnswer(BaseModel):
    """The compact credential of the e-card for this key; it names nobody."""

    credential: str = Field(description="COSE_Sign1 in base64url.")
    credential_id: str
    expires_at: datetime

    @classmethod
    def of(cls, issued: IssuedCredential) -> Self:
        return cls(
            credential=jose.b64url_encode(issued.cwt),
            credential_id=issued.credential_id.hex(),
            expires_at=issued.expires_at,
        )


class CodesBody(Strict):
    """How many codes are wanted."""

    count: Annotated[
        StrictInt, Field(ge=1, le=60, description="More than the region permits give as many as it does.")
    ] = 1


class NumberBody(Strict):
    """A short code (`EC0:`) that the page shows now."""

    code: StrictStr = Field(min_length=1, max_length=4096)


class NumberAnswer(BaseModel):
    """Ten digits to be read out, typed, or drawn as Code 128; counters take them in place of the code."""

    number: str


class FindNumberBody(Strict):
    """What somebody read out at `counter`."""

    number: StrictStr = Field(pattern="^[0-9]{10}$")
    counter: StrictStr = Field("", max_length=256)


class FoundNumberAnswer(BaseModel):
    """The code that the number stands for; whether it is good is still to be judged."""

    code: str
