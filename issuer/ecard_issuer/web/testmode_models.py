"""Bodies and answers of the routes that only a test issuer has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

_STRICT = ConfigDict(extra="forbid", frozen=True)


class TriggerBody(BaseModel):
    """What is to happen, and to which link."""

    __test__ = False

    model_config = _STRICT

    event: Literal["card.lost", "card.found", "card.replaced", "card.cancelled"]
    link_id: StrictStr | None = Field(
        default=None, pattern="^[0-9a-f]{32}$", description="Without one: the link that was claimed last."
    )


class TriggerAnswer(BaseModel):
    """The link whose card changed. Its event follows by webhook and by `GET /v1/events`."""

    link_id: str
    event: str


class ResetAnswer(BaseModel):
    """What was undone."""

    released: int = Field(description="Links that were released.")
    restored: int = Field(description="Magic people whose card is again as the table says.")


class ChipChallenge(BaseModel):
    """The challenge that a simulated chip is to answer."""

    model_config = _STRICT

    challenge: StrictStr = Field(pattern="^[0-9a-fA-F]{64}$", description="The challenge, as it was given, in hex.")


class ClaimNonce(BaseModel):
    """The claim that the identity is proven for."""

    model_config = _STRICT

    nonce: StrictStr = Field(pattern="^[A-Za-z0-9_-]{16,64}$", description="The `nonce` of the claim.")


class IdentityStatementAnswer(BaseModel):
    """A signed statement, good once and for five minutes."""

    identity: str


class MagicPersonAnswer(BaseModel):
    """One magic person."""

    number: StrictInt
    name: str
    id_number: str = Field(description="Valid in form, and nobody's.")
    pin: str | None = Field(description="The PIN of their card; null where it cannot be used.")
    outcome: str
    slow_seconds: float = Field(description="How long a lookup by number takes.")


class MagicPeopleAnswer(BaseModel):
    """The table of docs/test-mode.md."""

    data: list[MagicPersonAnswer]
