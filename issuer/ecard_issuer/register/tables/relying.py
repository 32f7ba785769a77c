"""Relying services, what they asked about whom, codes that were shown, and confirmations."""

from __future__ import annotations

from sqlalchemy import JSON, Index, Integer, LargeBinary

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, text_column, texts

relying_service = table(
    "relying_service",
    key("service_id"),
    text_column("owner"),
    needed("document", JSON),
    needed("number", Integer),  # of its last change
    spread_by="service_id",
)

#: What was ever decided about a service, for the record.
relying_change = table(
    "relying_change",
    key("service_id"),
    key("number", Integer),
    text_column("action"),
    needed("document", JSON),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    spread_by="service_id",
)

#: Who asked about a person, for what, which claims, and the outcome: sealed under the person's data key.
relying_access = table(
    "relying_access",
    key("holder_ref"),
    key("access_id"),
    text_column("request_hash"),
    needed("sealed", LargeBinary),
    needed("at", UtcDateTime),
    spread_by="holder_ref",
)

Index(None, relying_access.c.at)

#: Whom a service may ask about later, by the reference that it knows.
relying_subject = table(
    "relying_subject",
    key("subject"),
    *texts("service_id", "holder_ref"),
    needed("until", UtcDateTime),
    spread_by="subject",
)

Index(None, relying_subject.c.holder_ref)

Index(None, relying_subject.c.until)

#: Codes and readings that were used up, and by which request.
shown_code = table(
    "shown_code",
    key("code_key"),
    text_column("request_hash"),
    needed("until", UtcDateTime),
    spread_by="code_key",
)

Index(None, shown_code.c.until)

confirmation = table(
    "confirmation",
    key("holder_ref"),
    key("confirmation_id"),
    needed("sealed", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="holder_ref",
)

confirmation_directory = table(
    "confirmation_directory",
    key("confirmation_id"),
    *texts("service_id", "holder_ref"),
    spread_by="confirmation_id",
)

Index(None, confirmation_directory.c.holder_ref)
