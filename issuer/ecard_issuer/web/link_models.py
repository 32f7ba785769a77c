"""What the routes of claims and links take and give."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from ecard_card.acting import Channel
from ecard_card.region_policy import LossEnd
from ecard_issuer.family.link import Relation
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.links.links import Code
from ecard_issuer.links.values import LinkEnd
from ecard_issuer.web.enrolments import EVIDENCE
from ecard_issuer.web.models import DeviceJwk, RequestId
from ecard_issuer.web.secret_models import Digits, ForHolder, Unsaid

Proof = Literal["chip", "pin", "identity"]
Status = Literal["valid", "suspended", "invalid"]
Opaque = Annotated[StrictStr, Field(pattern="^[0-9a-f]{32}$")]
Consent = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=64,
        description="The name of the text that the holder agreed to.",
        examples=["ecard-claim-2026-1"],
    ),
]
Ways = Literal[
    Channel.APP, Channel.WEBSITE, Channel.WECHAT, Channel.ALIPAY, Channel.GOVERNMENT, Channel.BANK, Channel.KIOSK
]


class NewIdentification(Unsaid):
    """Who it is: `id_number` and `name`, or both inside `sealed`."""

    id_number: StrictStr | None = Field(
        None, min_length=18, max_length=18, description="社会保障号码, 18 characters.", examples=["000000199001050714"]
    )
    name: StrictStr | None = Field(None, min_length=1, max_length=100, examples=["测试4071"])
    sealed: StrictStr | None = Field(
        None,
        max_length=8192,
        description='Instead of both: a compact JWE (RFC 7516) of `{"id_number": …, "name": …}`, ECDH-ES and A256GCM,'
        " to the first key of `/.well-known/ecard-encryption-keys`.",
    )


class OfferedCardAnswer(BaseModel):
    """One of the holder's cards."""

    card: str = Field(description="What the card is called in a claim, for as long as the identification is good.")
    region: str
    card_number: str = Field(description="Masked but for its last four characters.")
    claimable: bool
    proofs: list[Proof] = Field(description="What a claim may rest on now.")
    has_ecard: bool
    linked: bool = Field(description="This app has a link with its e-card. Its `link_id` is told after a claim only.")


class IdentificationAnswer(BaseModel):
    """The holder was named rightly; good for a few minutes, for this app."""

    identification_id: str
    expires_at: datetime
    cards: list[OfferedCardAnswer]


class ClaimDevice(Unsaid):
    """A device key that shall have a credential of its own."""

    key: DeviceJwk
    proof: StrictStr = Field(
        max_length=4096, description="A JWS of type `ecard-device-proof+jwt`; its nonce is the `identification_id`."
    )


class NewClaim(ForHolder):
    """Which card, how the holder will be proven, and what they agreed to."""

    identification_id: Opaque
    card: Opaque
    proof: Proof
    consent: Consent
    device: ClaimDevice | None = None


class ClaimAnswer(BaseModel):
    """A claim that waits for its evidence."""

    claim_id: str
    proof: Proof
    challenge: str | None = Field(description="Of a `chip` claim: 32 bytes in hex for the chip.")
    nonce: str | None = Field(description="Of an `identity` claim: what the statement's `nonce` has to be.")
    expires_at: datetime


class ClaimEvidence(Unsaid):
    """Exactly one, of the kind that the claim was opened for."""

    chip: Annotated[dict[str, Any], WithJsonSchema(EVIDENCE)] | None = None
    pin: Digits | None = None
    identity: StrictStr | None = Field(
        None, max_length=4096, description="The statement of a registered service: `ecard-identity-proof+jwt`."
    )


class LinkCredential(BaseModel):
    """For the holder's own device: the one answer with the holder's data in it."""

    credential_id: str
    sd_jwt: str
    cwt: str = Field(description="The compact form, base64url: what offline codes are made of.")
    chip_assurance: Literal["declared", "read", "challenge", "signature"]
    expires_at: datetime


class NewLinkCredential(Unsaid):
    """A device key that shall have a credential under this link."""

    device_key: DeviceJwk
    proof: StrictStr = Field(
        min_length=1,
        max_length=4096,
        description="A JWS of type `ecard-device-proof+jwt` by `device_key`; its nonce is the `link_id`.",
    )


class LinkSuccessor(Unsaid):
    """The proof that the device holds the key of the credential that was replaced."""

    proof: StrictStr = Field(
        min_length=1,
        max_length=4096,
        description="A JWS of type `ecard-device-proof+jwt` by the device's key; its nonce is the `credential_id`.",
    )


class ClaimedAnswer(BaseModel):
    """The link; the same for a repetition."""

    link_id: str
    level: Literal[1, 2]
    holder_proof: Proof
    claimed_at: datetime
    credential: LinkCredential | None = Field(description="Where a device key was given.")


class LinkAnswer(BaseModel):
    """A link as it is now."""

    link_id: str
    level: Literal[1, 2] = Field(description="1 一级签发: identity; 2 二级签发: payment too.")
    status: Status = Field(
        description="Of the e-card: `suspended` while its card is lost, locked or being replaced; `invalid` once the"
        " link has ended, whatever becomes of the e-card elsewhere."
    )
    usable: bool
    holder_proof: Proof
    region: str
    name: str = Field(description="Masked.")
    card_number: str = Field(description="Masked but for its last four characters.")
    password_set: bool
    codes_ahead: int = Field(description="The most codes that may be fetched at once.")
    claimed_at: datetime
    ended_at: datetime | None
    end: LinkEnd | None


class LinksPage(BaseModel):
    """A page of links."""

    data: list[LinkAnswer]
    next_cursor: str | None


class ReleaseLink(Unsaid):
    """解除关联. With `everywhere` the holder releases their e-card in all apps, by their e-card password."""

    everywhere: StrictBool = False
    password: Digits | None = None


class ReleasedAnswer(BaseModel):
    """A link that has ended; the same for a repetition."""

    link_id: str
    ended_at: datetime
    end: LinkEnd
    others: int = Field(description="Links of other apps that ended with it.")


class LinkPassword(ForHolder):
    """The first e-card password, or with `old_password` another one; one for all apps."""

    password: Digits
    old_password: Digits | None = None
    card_pin: Digits | None = Field(None, description="Where the holder typed it too: the password must differ.")
    event_id: RequestId | None = None


class PasswordSet(BaseModel):
    """The password is set."""

    link_id: str
    at: datetime


class OpenLinkPayment(ForHolder):
    """开通缴费结算."""

    password: Digits
    consent: Consent


class CloseLinkPayment(ForHolder):
    """Close it again."""


class LevelOfLink(BaseModel):
    """The e-card's level after it."""

    link_id: str
    level: Literal[1, 2]


class NewCodes(Unsaid):
    """How many, and for what."""

    count: StrictInt = Field(1, ge=1, le=60)
    business_type: BusinessType = Field(
        BusinessType.OTHER, description="02 payment and 04 medical care elsewhere want level 2 and the password."
    )
    password: Digits | None = None


class CodeAnswer(BaseModel):
    """One code, good once."""

    code: str
    good_from: datetime
    good_until: datetime


class CodesAnswer(BaseModel):
    """Codes that follow each other, a minute each."""

    codes: list[CodeAnswer]

    @classmethod
    def of(cls, codes: Sequence[Code]) -> Self:
        return cls(
            codes=[CodeAnswer(code=one.text, good_from=one.good_from, good_until=one.good_until) for one in codes]
        )


class LinkLoss(ForHolder):
    """挂失 by the holder in this app: temporary."""

    request_id: RequestId
    way: Ways = Field(Channel.APP, description="What kind of channel the app is.")


class LossOfLink(BaseModel):
    """What came of it; the same for a repetition."""

    link_id: str
    case_id: str
    applied: bool = Field(description="False where the card was so already.")
    status: Status = Field(description="Of the e-card, after it.")
    opened_at: datetime
    ends_at: datetime | None = Field(description="When a temporary loss ends by itself, where the region says so.")
    ends_by: LossEnd | None


class RelativeAnswer(BaseModel):
    """One whose e-card may be shown now."""

    relative_id: str
    relation: Relation
    name: str = Field(description="Masked.")
    region: str
    by_guardian: bool
    until: datetime | None


class RelativesAnswer(BaseModel):
    """All of them."""

    data: list[RelativeAnswer]


class NewRelativeCode(Unsaid):
    """One code of a relative's e-card."""


class FindHolderLinks(Unsaid):
    """Whose links, by the number on their document."""

    id_number: StrictStr = Field(min_length=18, max_length=18)


class EndHolderLinks(FindHolderLinks, ForHolder):
    """Which of them: one, or all."""

    link_id: Opaque | None = None


class HeldLink(BaseModel):
    """A link of one app."""

    link_id: str
    app_id: str
    holder_proof: Proof
    claimed_at: datetime
    ended_at: datetime | None
    end: LinkEnd | None


class HolderLinksAnswer(BaseModel):
    """A person's links."""

    links: list[HeldLink]


class EncryptionKeys(BaseModel):
    """A JWK Set (RFC 7517): first the key to encrypt to, then the one before it."""

    keys: list[dict[str, str]]


class IdentityProviderBody(Unsaid):
    """A service whose statements about people are believed."""

    provider_id: StrictStr = Field(max_length=500, examples=["https://face.example"])
    name: StrictStr = Field(min_length=1, max_length=100)
    methods: list[Annotated[StrictStr, Field(max_length=32)]] = Field(min_length=1, max_length=16, examples=[["face"]])
    keys: list[dict[str, StrictStr]] = Field(min_length=1, max_length=8, description="Public P-256 JWKs with a `kid`.")


class RemoveIdentityProvider(Unsaid):
    """Which one is believed no longer."""

    provider_id: StrictStr = Field(max_length=500)


class IdentityProviderAnswer(BaseModel):
    """A service as registered."""

    provider_id: str
    name: str
    methods: list[str]
    keys: list[dict[str, str]]
    changed_by: str
    changed_at: datetime
    removed_at: datetime | None


class IdentityProvidersAnswer(BaseModel):
    """All of them, removed ones too."""

    providers: list[IdentityProviderAnswer]
