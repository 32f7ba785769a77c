"""What the shared-signals routes take and give (OpenID SSF 1.0 §8.1, RFC 8936 §2.4)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from ecard_issuer.web.models import Body

StreamId = Annotated[StrictStr, Field(pattern="^[0-9a-f]{32}$", description="As given when the stream was made.")]
Identifier = Annotated[StrictStr, Field(pattern="^[0-9a-f]{32}$")]
Jti = Annotated[StrictStr, Field(min_length=1, max_length=64)]
EventName = Annotated[StrictStr, Field(min_length=1, max_length=512)]


class DeliveryBody(Body):
    """How news shall come."""

    method: Literal["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"] = Field(description="Push or poll.")
    endpoint_url: StrictStr | None = Field(
        None, max_length=1024, description="Where to push to, over https. For polling the answer says where."
    )
    authorization_header: StrictStr | None = Field(
        None, max_length=1024, repr=False, description="Sent with each push as `Authorization`; sealed, never shown."
    )


class StreamBody(Body):
    """A new stream. Members that the transmitter decides are refused."""

    delivery: DeliveryBody = Field(
        DeliveryBody(method="urn:ietf:rfc:8936", endpoint_url=None, authorization_header=None),
        description="Without it: poll.",
    )
    events_requested: list[EventName] | None = Field(
        None, max_length=32, description="Names of events; unknown ones are left out. None: all that are supported."
    )
    description: StrictStr = Field("", max_length=200)
    stream_id: StreamId | None = Field(None, description="Of your choice, so that this request can be repeated.")


class StreamPatch(Body):
    """What shall be otherwise; what is missing stays."""

    stream_id: StreamId
    delivery: DeliveryBody | None = None
    events_requested: list[EventName] | None = Field(None, max_length=32)
    description: StrictStr | None = Field(None, max_length=200)


class StreamReplacement(Body):
    """The whole stream as it shall be."""

    stream_id: StreamId
    delivery: DeliveryBody
    events_requested: list[EventName] | None = Field(None, max_length=32)
    description: StrictStr = Field("", max_length=200)


class StatusBody(Body):
    """What the stream shall do."""

    stream_id: StreamId
    status: Literal["enabled", "paused", "disabled"]
    reason: StrictStr | None = Field(None, max_length=256, description="Left unread.")


class CredentialSubject(Body):
    """A card by a credential of it: whoever names its id was shown it."""

    format: Literal["ecard_credential"]
    credential_id: StrictStr = Field(pattern="^[0-9a-f]{32}$", repr=False)


class OpaqueSubject(Body):
    """A card by what this partner calls it (RFC 9493 §3.2.6)."""

    format: Literal["opaque"]
    id: Identifier


Subject = Annotated[CredentialSubject | OpaqueSubject, Field(discriminator="format")]


class AddSubject(Body):
    """Whose news are wanted."""

    stream_id: StreamId
    subject: Subject
    verified: StrictBool = Field(True, description="Left unread.")


class RemoveSubject(Body):
    """Whose news are wanted no more."""

    stream_id: StreamId
    subject: OpaqueSubject


class VerifyBody(Body):
    """What the verification event shall carry."""

    stream_id: StreamId
    state: StrictStr | None = Field(None, min_length=1, max_length=1024)


class SetError(Body):
    """Why a token cannot be used (RFC 8935 §2.4)."""

    err: StrictStr = Field(pattern="^[A-Za-z0-9_]{1,64}$")
    description: StrictStr = Field("", max_length=1024)


class PollBody(Body):
    """RFC 8936 §2.4: acknowledges earlier tokens and asks for more."""

    maxEvents: StrictInt | None = Field(None, ge=0, le=2**31, description="At most 100 are given; 0: none, only `ack`.")
    returnImmediately: StrictBool = Field(False, description="Do not wait up to 20 s for something to come.")
    ack: list[Jti] = Field(default_factory=list, max_length=1000)
    setErrs: dict[Jti, SetError] = Field(default_factory=dict, max_length=1000)


class DeliveryAnswer(BaseModel):
    """How news come."""

    method: str
    endpoint_url: str


class StreamAnswer(BaseModel):
    """A stream (SSF 1.0 §8.1.1)."""

    stream_id: str
    iss: str
    aud: str = Field(description="The `aud` of every token: the partner's name.")
    delivery: DeliveryAnswer
    events_supported: list[str]
    events_requested: list[str]
    events_delivered: list[str]
    min_verification_interval: int = Field(description="Seconds.")
    description: str = ""


class StreamStatusAnswer(BaseModel):
    """What the stream does."""

    stream_id: str
    status: Literal["enabled", "paused", "disabled"]
    reason: str = Field("", description="Why, where it was not asked for.")


class SubjectAnswer(BaseModel):
    """What this partner calls the card, in all that follows."""

    subject: OpaqueSubject


class PollAnswer(BaseModel):
    """Signed tokens by `jti`."""

    sets: dict[str, str]
    moreAvailable: bool


class TransmitterAnswer(BaseModel):
    """The transmitter's metadata (SSF 1.0 §7.1)."""

    spec_version: str
    issuer: str
    jwks_uri: str
    delivery_methods_supported: list[str]
    configuration_endpoint: str
    status_endpoint: str
    add_subject_endpoint: str
    remove_subject_endpoint: str
    verification_endpoint: str
    critical_subject_members: list[str]
    default_subjects: Literal["NONE"]
    authorization_schemes: list[dict[str, str]]
