"""Links of channels with e-cards (关联): who was identified, what was claimed, which keys show codes, what to tell."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, String

from ecard_card.acting import Ground
from ecard_card.card import HolderProof
from ecard_issuer.links.values import ClaimState, LinkEnd, LinkNews
from ecard_issuer.register.columns import Flag, IntCode, TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

channel_link = table(
    "channel_link",
    key("ecard_id"),
    key("link_id"),
    *texts("app_id", "holder_ref"),
    needed("proof", IntCode(HolderProof)),
    Column("provider", String),
    Column("method", String),
    *texts("consent", "claim_id"),
    needed("claimed_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("end", TextCode(LinkEnd)),
    Column("mandate_id", String),
    spread_by="ecard_id",
)

#: A channel has one live link with an e-card, however many claim it at once.
partial_index(
    "uq_channel_link_live", channel_link.c.ecard_id, channel_link.c.app_id, where="ended_at IS NULL", unique=True
)

Index(None, channel_link.c.holder_ref)

partial_index("ix_channel_link_ended", channel_link.c.ended_at, channel_link.c.link_id, where="ended_at IS NOT NULL")

#: From a channel to its links: what it asks by, and in which order it lists them.
channel_link_directory = table(
    "channel_link_directory",
    key("app_id"),
    key("link_id"),
    *texts("ecard_id", "holder_ref"),
    spread_by="app_id",
)

Index(None, channel_link_directory.c.holder_ref)

#: One right to one credential, under a key of the holder's device or one that is kept here (`sealed_key`).
channel_link_right = table(
    "channel_link_right",
    key("link_id"),
    key("enrolment_id"),
    *texts("ecard_id", "holder_ref"),
    Column("family_link_id", String),
    needed("device_thumbprint", LargeBinary),
    Column("sealed_key", LargeBinary),
    needed("made_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("proof", IntCode(HolderProof)),
    spread_by="link_id",
)

Index(None, channel_link_right.c.holder_ref)

channel_link_news = table(
    "channel_link_news",
    key("app_id"),
    key("news_id"),
    text_column("link_id"),
    needed("kind", TextCode(LinkNews)),
    needed("about", JSON),
    needed("at", UtcDateTime),
    Column("waiting", Flag),
    one_of("kind", LinkNews),
    spread_by="app_id",
)

partial_index(
    "ix_channel_link_news_waiting",
    channel_link_news.c.at,
    channel_link_news.c.app_id,
    channel_link_news.c.news_id,
    where="waiting IS NOT NULL",
)

Index(None, channel_link_news.c.at, channel_link_news.c.app_id, channel_link_news.c.news_id)

identification = table(
    "identification",
    key("identification_id"),
    *texts("app_id", "holder_ref"),
    needed("made_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    spread_by="identification_id",
)

Index(None, identification.c.holder_ref)

Index(None, identification.c.expires_at, identification.c.identification_id)

#: Tries at a person's name, also for a number that nobody has.
identification_try = table(
    "identification_try",
    key("person"),
    needed("tries", Integer),
    needed("since", UtcDateTime),
    spread_by="person",
)

Index(None, identification_try.c.since, identification_try.c.person)

claim = table(
    "claim",
    key("claim_id"),
    *texts("app_id", "holder_ref", "card_ref", "link_id", "enrolment_id", "nonce", "consent"),
    needed("proof", IntCode(HolderProof)),
    Column("device_point", LargeBinary),
    needed("state", TextCode(ClaimState)),
    Column("provider", String),
    Column("method", String),
    Column("linked_id", String),
    needed("ground", TextCode(Ground)),
    Column("mandate_id", String),
    needed("made_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    one_of("state", ClaimState),
    spread_by="claim_id",
)

Index(None, claim.c.holder_ref)

Index(None, claim.c.expires_at, claim.c.claim_id)

identity_provider = table(
    "identity_provider",
    key("provider_id"),
    text_column("name"),
    needed("methods", TextTuple),
    needed("keys", JSON),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
    spread_by="provider_id",
)

#: A statement about an identity is good for one claim.
identity_statement = table(
    "identity_statement",
    key("statement"),
    text_column("claim_id"),
    needed("expires_at", UtcDateTime),
    spread_by="statement",
)

Index(None, identity_statement.c.expires_at, identity_statement.c.statement)

#: How often a channel did something in an hour or a day.
channel_count = table(
    "channel_count",
    key("app_id"),
    key("what"),
    needed("period", BigInteger),
    needed("count", Integer),
    spread_by="app_id",
)
