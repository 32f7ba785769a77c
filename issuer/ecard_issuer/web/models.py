"""What the issuer's routes take and give, as OpenAPI shows it. Bodies are strict: unknown members are refused."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from ecard_card import jose
from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.status import ECARD_CHANGES, CardChange
from ecard_issuer.chosen_ids import CHOSEN_ID

Assurance = Literal["declared", "read", "challenge", "signature"]
Reference = Annotated[StrictStr, Field(pattern="^[0-9a-f]{1,64}$")]
Coordinate = Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{43}$")]
Sequence = Annotated[
    StrictInt,
    Field(ge=1, le=2**53 - 1, description="The sender's own per-card number. It counts among those of this caller."),
]
RequestId = Annotated[
    StrictStr,
    Field(pattern=f"^{CHOSEN_ID.pattern}$", description="Chosen by the caller: asked again, it is done once."),
]
EventId = RequestId
OccurredAt = Annotated[
    datetime, Field(description="RFC 3339 with its zone, e.g. `2026-01-31T12:00:00Z`. Default: now.")
]
Reason = Annotated[StrictStr, Field(max_length=200, description="For the record. Nothing about the person.")]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class HolderBody(Body):
    """The person a card was issued to."""

    id_number: StrictStr = Field(
        min_length=18,
        max_length=18,
        repr=False,
        description="ID number (社会保障号码), 18 characters with its check character.",
        examples=["000000199001050714"],
    )
    name: StrictStr = Field(
        min_length=1, max_length=100, repr=False, description="As on the card.", examples=["测试4071"]
    )


class NewCard(Body):
    """A physical card, as the card register knows it."""

    identification_code: StrictStr = Field(
        min_length=32,
        max_length=32,
        repr=False,
        description="The chip's identification code (卡识别码), upper-case hex; its first six digits are the region.",
        examples=["000000D15600000500000FE700000000"],
    )
    card_number: StrictStr = Field(
        min_length=9, max_length=9, repr=False, description="The number printed on the card.", examples=["TEST40714"]
    )
    profile: StrictStr = Field(
        pattern="^[a-z0-9:._-]{1,64}$",
        description="The chip profile, e.g. `ssse-3`; it must be the one that a reading finds.",
        examples=["test:ssse-1"],
    )
    holder: HolderBody
    issued_on: date = Field(examples=["2024-01-02"])
    expires_on: date = Field(description="After `issued_on`.", examples=["2034-01-02"])
    status: Literal[0, 1, 2, 3, 4, 9] = Field(1, description="Code table AAZ502.")
    chip_public_key: StrictStr | None = Field(
        None, max_length=2048, description="DER SubjectPublicKeyInfo of an on-chip key, base64url."
    )
    atr_historical: StrictStr | None = Field(
        None, pattern="^[0-9A-Fa-f]{26}$", description="The 13 historical bytes of the answer to reset, hex."
    )

    def to_card(self) -> Card:
        """The card as a noun. Raises the `InvalidInput` of whichever part is not one."""
        public_key = None if self.chip_public_key is None else jose.b64url_decode(self.chip_public_key)
        historical = None if self.atr_historical is None else bytes.fromhex(self.atr_historical)
        return Card(
            chip=Chip(IdentificationCode(self.identification_code), self.profile, public_key, historical),
            number=CardNumber(self.card_number),
            holder=Holder(IdNumber(self.holder.id_number), self.holder.name),
            issued_on=self.issued_on,
            expires_on=self.expires_on,
        )


class FindCards(Body):
    """What is looked for: exactly one of the three."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"card_number": "TEST40714"}]})

    identification_code: StrictStr | None = Field(None, max_length=32, repr=False, description="Finds one card.")
    id_number: StrictStr | None = Field(None, max_length=18, repr=False, description="Finds a person's cards.")
    card_number: StrictStr | None = Field(None, max_length=9, repr=False, description="The number on the card.")


def _of_the_status(change: CardChange) -> CardChange:
    if change in ECARD_CHANGES:
        raise ValueError("not a change of the card's status")
    return change


class ChangeBody(Body):
    """Something that happened to a card."""

    change: Annotated[CardChange, AfterValidator(_of_the_status)] = Field(
        description="What happened; `replace` has a route of its own, and so have the words of the holder.",
        examples=[CardChange.REPORT_LOSS],
    )
    sequence: Sequence | None = None
    event_id: EventId | None = None
    occurred_at: OccurredAt | None = None
    reason: Reason = ""


class ReplacementBody(Body):
    """The card that takes the place of this one."""

    new_card_ref: Reference = Field(
        description="The new card's `card_ref`, registered before.", examples=["0123456789abcdef0123456789abcdef"]
    )
    enrolment_id: Reference | None = Field(None, description="A proven enrolment of the new card, if there is one.")
    sequence: Sequence | None = None
    event_id: EventId | None = None
    occurred_at: OccurredAt | None = None
    reason: Reason = ""


class CardCredential(BaseModel):
    """One credential of a card. Says nothing about its holder."""

    credential_id: str
    state: Literal["live", "ended"] = Field(description="Ended: no verifier accepts it any more.")
    key_id: str
    status_list: int
    status_index: int
    issued_at: datetime
    expires_at: datetime


class CardAnswer(BaseModel):
    """A card without anything about its holder."""

    card_ref: str = Field(description="How every other route names this card; made from its identification code.")
    region: str = Field(description="Six digits (GB/T 2260).")
    chip_profile: str
    status: int = Field(description="Code table AAZ502.")
    ecard_status: Literal["valid", "invalid", "suspended"] = Field(
        description="What the card's status, its last day, the holder's own word and the region's policy make of it."
    )
    holder_locked: bool = Field(description="The holder shut the e-card.")
    consented: bool = Field(description="The holder permits its use in this status, where the policy asks them.")
    sequence: int = Field(description="Of the last change; 0 before the first.")
    issued_on: date
    expires_on: date
    ecard_id: str | None = Field(description="The e-card that is bound to this card, if there is one.")
    binding: Literal["reserved", "awaiting", "live"] | None
    chip_assurance: Assurance | None = Field(description="How well the chip was proven when it was bound.")
    credentials: list[CardCredential]


class RegisteredCard(CardAnswer):
    """A card just registered."""

    warnings: list[Literal["card_number_check"]] = Field(
        description="What is odd and no error: `card_number_check`, the check character does not fit the card number."
    )


class ChipCheckAnswer(CardAnswer):
    """The card whose chip answered, beside its e-card."""

    outcome: Literal["valid", "check", "invalid"] = Field(description="For the clerk, as at a counter.")
    finding: Literal["same", "no_ecard", "ecard_awaits_chip", "chip_not_proven", "card_stopped"] = Field(
        description="`same`: chip, card and e-card belong together and may be used; `no_ecard`: none is bound to this"
        " chip; `ecard_awaits_chip`: one was moved to this card, whose chip has not been proven;"
        " `chip_not_proven`: it was only read, so a copy would pass; `card_stopped`: the card's status stops both."
    )
    proven_now: Assurance = Field(description="The level of this evidence; `chip_assurance` is that of the binding.")


class CardsAnswer(BaseModel):
    """The cards that were found, maybe none."""

    cards: list[CardAnswer]


class ChangeAnswer(BaseModel):
    """A change as recorded; `applied` is false for a repetition."""

    applied: bool
    card_ref: str
    change: CardChange
    previous: int
    status: int
    ecard_status: Literal["valid", "invalid", "suspended"] = Field(description="What the e-card is now.")
    sequence: int = Field(description="The register's own count of this card's events.")
    source: str = Field(description="The sender whose numbers count among themselves; empty: a desk of ours.")
    source_sequence: int | None = Field(description="The sender's number.")
    event_id: str
    missed: int = Field(description="The sender's numbers before this one that were never seen.")
    occurred_at: datetime
    recorded_at: datetime


class EnrolmentBody(Body):
    """Where the chip is."""

    terminal_id: StrictStr = Field(
        min_length=1, max_length=128, description="The desk's own name for the reader, printable.", examples=["desk 1"]
    )


class EnrolmentAnswer(BaseModel):
    """The challenge for the chip."""

    enrolment_id: str = Field(description="For the two routes that follow, and the `nonce` of the device's proof.")
    challenge: str = Field(description="32 bytes, lower-case hex (evidence names it in upper case).")
    expires_at: datetime = Field(description="The evidence must have come by then.")


class ProvenAnswer(BaseModel):
    """What the evidence proved."""

    enrolment_id: str
    card_ref: str
    chip_assurance: Assurance = Field(description="The level that follows from the evidence.")
    usable_until: datetime = Field(description="The credential must have been asked for by then.")


class DeviceJwk(BaseModel):
    """A P-256 public key (RFC 7518). Private members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate = Field(description="32 bytes, base64url.", examples=["…"])
    y: Coordinate = Field(description="32 bytes, base64url.", examples=["…"])
    kid: StrictStr | None = Field(None, max_length=256, description="Says nothing here.")
    use: Literal["sig"] | None = None
    alg: Literal["ES256"] | None = None


class CredentialBody(Body):
    """The holder's device key and the proof that the device has it."""

    device_key: DeviceJwk
    proof: StrictStr = Field(
        min_length=1,
        max_length=4096,
        description="Compact JWS by the device key. Header: `alg` ES256, `typ` `ecard-device-proof+jwt`. Claims: `aud`,"
        " the issuer's URL (the `issuer` of `/.well-known/jwt-vc-issuer`); `nonce`, the `enrolment_id`; `iat`, whole"
        " seconds since 1970, at most 60 from the issuer's clock.",
        examples=["…"],
    )
    ecard_id: Reference | None = Field(None, description="For one more credential of an e-card bound to this chip.")


class SuccessorBody(Body):
    """The proof that the device holds the key of the credential to be replaced."""

    proof: StrictStr = Field(
        min_length=1,
        max_length=4096,
        description="As for a new credential, with the `credential_id` of the old one as its `nonce`.",
        examples=["…"],
    )


class StatusAnswer(BaseModel):
    """Where the credential's status is published."""

    uri: str
    list_id: int
    index: int


class CredentialAnswer(BaseModel):
    """One credential in two formats; for the holder's device only."""

    ecard_id: str
    credential_id: str
    sd_jwt: str = Field(description="SD-JWT VC with all disclosures: personal data.")
    cwt: str = Field(description="The compact twin, base64url.")
    status: StatusAnswer
    chip_assurance: Assurance
    expires_at: datetime
