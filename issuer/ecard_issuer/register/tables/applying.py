"""Applications for cards, step by step, with their documents and whoever opened them; and agencies' batches."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String

from ecard_card.acting import Channel, Ground
from ecard_issuer.applying.values import ApplicationKind, ApplicationSource, ApplicationState, DocumentCopy
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

application = table(
    "application",
    key("application_id"),
    *texts("holder_ref", "region"),
    needed("kind", TextCode(ApplicationKind)),
    needed("source", TextCode(ApplicationSource)),
    needed("channel", TextCode(Channel)),
    needed("state", TextCode(ApplicationState)),
    needed("ground", TextCode(Ground)),
    Column("mandate_id", String),
    needed("sealed", LargeBinary),  # what was applied for, under the holder's data key
    *texts("content_mac", "submitted_by"),
    needed("submitted_at", UtcDateTime),
    needed("updated_at", UtcDateTime),
    needed("steps", Integer),  # numbers its steps
    Column("replaces", String),  # the card whose place the new one takes
    Column("card_ref", String),  # the card that was made
    Column("outlet", String),  # where it waits
    Column("closed_at", UtcDateTime),
    one_of("state", ApplicationState),
    spread_by="application_id",
)

Index(None, application.c.holder_ref)

Index(
    "ix_application_work",
    application.c.state,
    application.c.region,
    application.c.submitted_at,
    application.c.application_id,
)

partial_index("ix_application_closed_at", application.c.closed_at, where="closed_at IS NOT NULL")

#: One open application for each person.
open_application = table("open_application", key("holder_ref"), text_column("application_id"), spread_by="holder_ref")

application_step = table(
    "application_step",
    key("application_id", String, ForeignKey("application.application_id")),
    key("ordinal", Integer),
    needed("state", TextCode(ApplicationState)),
    text_column("taken_by"),
    needed("taken_at", UtcDateTime),
    Column("reason", String),  # a code
    Column("sealed_note", LargeBinary),
    spread_by="application_id",
)

application_document = table(
    "application_document",
    key("application_id", String, ForeignKey("application.application_id")),
    key("kind", TextCode(DocumentCopy)),
    *texts("media_type", "added_by"),
    needed("size", Integer),
    needed("sealed", LargeBinary),
    needed("added_at", UtcDateTime),
    spread_by="application_id",
)

application_access = table(
    "application_access",
    key("application_id", String, ForeignKey("application.application_id")),
    key("opened_at", UtcDateTime),
    key("caller"),
    spread_by="application_id",
)

agency_batch_row = table(
    "agency_batch_row",
    key("batch_ref"),
    key("row", Integer),
    *texts("content_mac", "outcome"),
    Column("application_id", String),
    Column("mandate_id", String),
    needed("recorded_at", UtcDateTime),
    spread_by="batch_ref",
)

Index(None, agency_batch_row.c.recorded_at)

Index(None, agency_batch_row.c.application_id)
