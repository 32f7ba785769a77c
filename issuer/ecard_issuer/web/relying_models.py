"""What the routes about relying services take and give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, StrictBool, StrictInt, StrictStr

from ecard_card.acting import Acting, Ground
from ecard_card.card import ChipAssurance
from ecard_issuer.login.assurance import Acr
from ecard_issuer.login.registration import ClientAuth, LoginRegistration
from ecard_issuer.login.scopes import LoginScope
from ecard_issuer.relying.claims import Claim
from ecard_issuer.relying.rules import Ask
from ecard_issuer.relying.services import Period, RelyingService
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Assurance, Body, Reference, RequestId

BusinessType = Literal["01", "02", "03", "04"]
Line = Annotated[StrictInt, Field(ge=1, le=104, description="A line of the catalogue: what it is for.")]
AccountClaim = Literal["bank_account", "bank_account_token"]


class Names(Body):
    """A name in both languages."""

    zh: StrictStr = Field(min_length=1, max_length=100, examples=["失业登记"])
    en: StrictStr = Field(min_length=1, max_length=100, examples=["Unemployment registration"])


class LoginBody(Body):
    """A service as a site that people log in to by scanning."""

    redirect_uris: list[StrictStr] = Field(
        min_length=1,
        max_length=10,
        description="Compared character by character; https, all of one host, which people are shown.",
        examples=[["https://jobs.example/callback"]],
    )
    auth: ClientAuth = Field(description="How the site shows at the token endpoint that it is the site.")
    scopes: list[LoginScope] = Field(min_length=1, max_length=4, description="All that it may ask for; `openid` too.")
    acr: Acr = Field(Acr.DEVICE, description="The least that a login must prove; see docs/login.md.")
    keys: list[dict[StrictStr, StrictStr]] = Field(
        default_factory=list, max_length=4, description="Public JWKs (P-256), for `private_key_jwt`."
    )
    secret_sha256: StrictStr | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="For `client_secret_basic`: SHA-256 of a secret of 43 characters or more. `ecard service secret`"
        " makes one.",
    )

    def to_registration(self) -> LoginRegistration:
        """Raises `InvalidInput` `bad_login_registration`."""
        return LoginRegistration(
            redirect_uris=tuple(self.redirect_uris),
            auth=self.auth,
            scopes=tuple(scope.value for scope in self.scopes),
            acr=self.acr,
            keys=tuple(self.keys),
            secret_sha256=self.secret_sha256,
        )


class ServiceBody(Body):
    """All that a relying service is and may ask for."""

    names: Names
    owner: StrictStr = Field(max_length=64, description="The caller of role `relying` that asks.", examples=["jobs"])
    region: StrictStr = Field(
        pattern="^[0-9]{6}$",
        description="Cards of which region, GB/T 2260; `410000` is a province.",
        examples=["410000"],
    )
    lines: list[Line] = Field(min_length=1, max_length=64, examples=[[82]])
    claims: list[Claim] = Field(max_length=32, description="All that it may ever be told.", examples=[["name_masked"]])
    proof: Assurance = Field(description="The least proof of the chip.", examples=["read"])
    level: Literal[1, 2] = Field(1, description="The least issue level of the e-card; 2: opened for payment.")
    business_types: list[BusinessType] = Field(
        min_length=1, max_length=4, description="01 query, 02 payment, 03 other, 04 medical care elsewhere."
    )
    pin: StrictBool = Field(False, description="Whether the card's PIN is wanted each time.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    standing_days: StrictInt = Field(
        0, ge=0, le=800, description="For how many days after a check it may still ask for that person's bank account."
    )
    period: Period = Field(Period.YEAR, description="How often a qualification is confirmed.")
    login: LoginBody | None = Field(None, description="For a site that people log in to by scanning.")

    def to_service(self, service_id: str) -> RelyingService:
        """Raises `InvalidInput` `bad_relying_service`, `bad_login_registration`, `catalogue_line_unknown`."""
        ends = self.ends_at
        return RelyingService(
            service_id=service_id,
            name_zh=self.names.zh,
            name_en=self.names.en,
            owner=self.owner,
            region=self.region,
            lines=tuple(self.lines),
            claims=tuple(self.claims),
            proof=ChipAssurance.from_label(self.proof),
            level=self.level,
            business_types=tuple(self.business_types),
            pin=self.pin,
            starts_at=_to_milliseconds(self.starts_at),
            ends_at=None if ends is None else _to_milliseconds(ends),
            standing_days=self.standing_days,
            period=self.period,
            login=None if self.login is None else self.login.to_registration(),
        )


class CheckBody(Body):
    """What is shown, and what is asked. Exactly one of `code`, `reading_id` and `login_id`."""

    request_id: RequestId
    line: Line
    business_type: BusinessType
    claims: list[Claim] = Field(default_factory=list, max_length=32)
    code: StrictStr | None = Field(
        None, max_length=4096, repr=False, description="What the e-card shows: `EC1:…` or `EC0:…`.", examples=["EC0:…"]
    )
    reading_id: Reference | None = Field(None, description="A reading of the chip that proved it.")
    login_id: Reference | None = Field(
        None, description="The `jti` of an ID token that this service got for the person within ten minutes."
    )
    pin: StrictStr | None = Field(
        None, min_length=1, max_length=16, repr=False, description="The card's PIN: six digits, as typed."
    )
    acting: ActingBody | None = None

    def to_ask(self) -> Ask:
        """Raises `InvalidInput` `bad_relying_request`, `bad_acting`."""
        acting = Acting(Ground.OWN) if self.acting is None else self.acting.to_acting()
        return Ask(
            request_id=self.request_id,
            line=self.line,
            business_type=self.business_type,
            claims=tuple(self.claims),
            code=self.code,
            reading_id=self.reading_id,
            login_id=self.login_id,
            pin=self.pin,
            acting=acting,
        )


class QualificationBody(CheckBody):
    """A check, and the benefit that the person qualifies for."""

    benefit: StrictStr = Field(
        pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="Your own name for it.", examples=["pension"]
    )


class AccountQuery(Body):
    """The bank account of a person whom an earlier check named."""

    request_id: RequestId
    subject: Reference = Field(description="As the earlier check gave it.")
    line: Line
    business_type: BusinessType
    claim: AccountClaim


class ServiceAnswer(BaseModel):
    """A relying service as registered."""

    service_id: str
    names: dict[str, str]
    owner: str
    region: str
    lines: list[int]
    claims: list[str]
    proof: Assurance
    level: int
    business_types: list[str]
    pin: bool
    starts_at: datetime
    ends_at: datetime | None
    standing_days: int
    period: str
    login: dict[str, Any] | None = Field(description="As registered, if it is a site that people log in to.")


class ServicesAnswer(BaseModel):
    """Services in order of their ids; `next` is where the next page begins."""

    services: list[ServiceAnswer]
    next: str | None


class ServiceChangeAnswer(BaseModel):
    """One decision about a service."""

    number: int
    action: Literal["added", "changed", "ended"]
    service: ServiceAnswer
    changed_by: str
    changed_at: datetime


class ServiceRecord(BaseModel):
    """Every decision about a service, oldest first."""

    changes: list[ServiceChangeAnswer]


class PermissionAnswer(BaseModel):
    """What the service may know, as of `at`."""

    access_id: str = Field(description="Where this stands on the person's own record.")
    service: str
    subject: str = Field(description="This service's own reference of the person; no other service has it.")
    way: Literal["code", "chip", "login", "standing"] = Field(description="How the card was shown.")
    chip_assurance: Assurance | None = Field(description="How well the chip was proven.")
    level: int = Field(description="Issue level of the e-card.")
    status: Literal["valid"] | None = Field(
        description="Of the card, from the register itself; null where none was shown."
    )
    at: datetime
    claims: dict[str, Any] = Field(description="Those asked for.")
    missing: dict[str, str] = Field(description="Claims without a value, each with the code that says why.")


class ConfirmationAnswer(BaseModel):
    """A signed confirmation and what it says."""

    signed: str = Field(description="Compact JWS of type `ecard-confirmation+jwt`; anybody verifies it.")
    confirmation: dict[str, Any]


class CatalogueAnswer(BaseModel):
    """The programme's services, with what a service of each line should ask for."""

    categories: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    business_types: list[dict[str, Any]]


def _to_milliseconds(moment: datetime) -> datetime:
    """As finely as documents write it."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
