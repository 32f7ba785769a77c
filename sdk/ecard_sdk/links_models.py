"""Identifications, claims, links and codes, as a channel is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from ecard_card import jose
from ecard_sdk.channel_models import CardWord, Proof, Told, maybe, moment, text


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedCard(Told):
    """A card of the person named. `card` is what this identification calls it; `proofs` is what a claim may rest on
    now; `card_number` is masked."""

    card: str
    region: str
    card_number: str = field(repr=False)
    claimable: bool
    proofs: tuple[Proof, ...]
    has_ecard: bool
    linked: bool

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            card=text(data["card"]),
            region=text(data["region"]),
            card_number=text(data["card_number"]),
            claimable=bool(data["claimable"]),
            proofs=tuple(map(Proof, data["proofs"])),
            has_ecard=bool(data["has_ecard"]),
            linked=bool(data["linked"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification(Told):
    """A person that the authority knows by this number and name, and the cards that may be claimed, newest first."""

    identification_id: str
    expires_at: datetime
    cards: tuple[OfferedCard, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            identification_id=text(data["identification_id"]),
            expires_at=moment(data["expires_at"]),
            cards=tuple(OfferedCard.part(card) for card in data["cards"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Told):
    """A claim that waits for its evidence: the chip's answer to `challenge` (32 bytes), the PIN, or a statement of an
    identity-proofing service with this `nonce`, as `proof` says."""

    claim_id: str
    proof: Proof
    expires_at: datetime
    challenge: bytes | None = None
    nonce: str | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            claim_id=text(data["claim_id"]),
            proof=Proof(data["proof"]),
            expires_at=moment(data["expires_at"]),
            challenge=maybe(bytes.fromhex, data.get("challenge")),
            nonce=maybe(text, data.get("nonce")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Told):
    """The right to show one person's e-card, as it is now.

    `level` 1 is identity (一级签发), 2 payment too; `usable`: it may be shown; `codes_ahead`: how many codes at once;
    `name` and `card_number` are masked; `end` says why it ended.
    """

    link_id: str
    level: int
    status: CardWord
    usable: bool
    holder_proof: Proof
    region: str
    name: str = field(repr=False)
    card_number: str = field(repr=False)
    password_set: bool
    codes_ahead: int
    claimed_at: datetime
    ended_at: datetime | None = None
    end: str | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            link_id=text(data["link_id"]),
            level=int(data["level"]),
            status=CardWord(data["status"]),
            usable=bool(data["usable"]),
            holder_proof=Proof(data["holder_proof"]),
            region=text(data["region"]),
            name=text(data["name"]),
            card_number=text(data["card_number"]),
            password_set=bool(data["password_set"]),
            codes_ahead=int(data["codes_ahead"]),
            claimed_at=moment(data["claimed_at"]),
            ended_at=maybe(moment, data.get("ended_at")),
            end=maybe(text, data.get("end")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCredential(Told):
    """The credential of a device: hand `cwt` to `Device.keep`. `sd_jwt` has the holder's
    data in it."""

    credential_id: str
    chip_assurance: str
    expires_at: datetime
    cwt: bytes = field(repr=False)
    sd_jwt: str = field(repr=False)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            credential_id=text(data["credential_id"]),
            chip_assurance=text(data["chip_assurance"]),
            expires_at=moment(data["expires_at"]),
            cwt=jose.b64url_decode(data["cwt"]),
            sd_jwt=text(data["sd_jwt"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(Told):
    """The link that a claim gave, and the credential of the device, if one was named."""

    link_id: str
    level: int
    holder_proof: Proof
    claimed_at: datetime
    credential: LinkedCredential | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            link_id=text(data["link_id"]),
            level=int(data["level"]),
            holder_proof=Proof(data["holder_proof"]),
            claimed_at=moment(data["claimed_at"]),
            credential=maybe(LinkedCredential.part, data.get("credential")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Told):
    """A link that has ended. `others`: links of other apps that ended with it."""

    link_id: str
    ended_at: datetime
    end: str
    others: int

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            link_id=text(data["link_id"]),
            ended_at=moment(data["ended_at"]),
            end=text(data["end"]),
            others=int(data["others"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet(Told):
    """The e-card password is set: one for all apps."""

    link_id: str
    at: datetime

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(link_id=text(data["link_id"]), at=moment(data["at"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLevel(Told):
    """The e-card's level: 1 一级签发 identity, 2 二级签发 payment too."""

    link_id: str
    level: int

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(link_id=text(data["link_id"]), level=int(data["level"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss(Told):
    """A report of a loss, or of its end. `status` is what the e-card is after it; a temporary loss ends by itself at
    `ends_at`, by what `ends_by` says."""

    link_id: str
    case_id: str
    applied: bool
    status: CardWord
    opened_at: datetime
    ends_at: datetime | None = None
    ends_by: str | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            link_id=text(data["link_id"]),
            case_id=text(data["case_id"]),
            applied=bool(data["applied"]),
            status=CardWord(data["status"]),
            opened_at=moment(data["opened_at"]),
            ends_at=maybe(moment, data.get("ends_at")),
            ends_by=maybe(text, data.get("ends_by")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative(Told):
    """Somebody whose e-card the holder of a link may show now. `name` is masked."""

    relative_id: str
    relation: str
    name: str = field(repr=False)
    region: str
    by_guardian: bool
    until: datetime | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            relative_id=text(data["relative_id"]),
            relation=text(data["relation"]),
            name=text(data["name"]),
            region=text(data["region"]),
            by_guardian=bool(data["by_guardian"]),
            until=maybe(moment, data.get("until")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Code(Told):
    """One code, to be shown between these times, once. `str(code)` is what the picture holds."""

    code: str = field(repr=False)
    good_from: datetime
    good_until: datetime

    def __str__(self) -> str:
        return self.code

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(code=text(data["code"]), good_from=moment(data["good_from"]), good_until=moment(data["good_until"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket(Told):
    """What a page opens its session with, once, before `expires_at`."""

    ticket: str = field(repr=False)
    expires_at: datetime

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(ticket=text(data["ticket"]), expires_at=moment(data["expires_at"]))
