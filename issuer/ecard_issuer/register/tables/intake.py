"""Who may report what happened to cards, what of it a person must see, and how far files were read.

Nothing here is in the clear about a person: cards stand by their keyed references.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, LargeBinary, SmallInteger, String

from ecard_card.status import CardChange
from ecard_issuer.intake.states import Delivery, ExceptionState
from ecard_issuer.register.columns import TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

event_source = table(
    "event_source",
    key("name"),
    text_column("issuer"),
    needed("jwks", JSON),
    needed("regions", TextTuple),
    text_column("audience"),
    needed("delivery", TextCode(Delivery)),
    Column("poll_url", String),
    Column("wrapped_key", LargeBinary),
    Column("sealed_token", LargeBinary),
    needed("created_at", UtcDateTime),
    text_column("created_by"),
    Column("ended_at", UtcDateTime),
    one_of("delivery", Delivery),
    spread_by="name",
)

intake_exception = table(
    "intake_exception",
    key("exception_ref"),
    *texts("source", "code", "event_id"),
    Column("card_ref", String),
    Column("number_mac", String),
    Column("region", String),
    Column("change", TextCode(CardChange)),
    Column("sequence", BigInteger),
    Column("successor_ref", String),
    Column("successor_mac", String),
    Column("occurred_at", UtcDateTime),
    needed("first_seen", UtcDateTime),
    needed("last_seen", UtcDateTime),
    needed("count", BigInteger),
    needed("state", TextCode(ExceptionState)),
    Column("next_try_at", UtcDateTime),
    needed("tries", SmallInteger),
    Column("decided_by", String),
    Column("decided_at", UtcDateTime),
    text_column("decision"),
    one_of("state", ExceptionState),
    spread_by="exception_ref",
)

_open = "state = 'open'"
partial_index("ix_intake_exception_open", intake_exception.c.first_seen, intake_exception.c.exception_ref, where=_open)
partial_index("ix_intake_exception_due", intake_exception.c.next_try_at, where=f"{_open} AND next_try_at IS NOT NULL")
for _name, _column in (
    ("card", intake_exception.c.card_ref),
    ("number", intake_exception.c.number_mac),
    ("new_card", intake_exception.c.successor_ref),
    ("new_number", intake_exception.c.successor_mac),
):
    partial_index(f"ix_intake_exception_{_name}", _column, where=_open)

#: Numbers of a source's own sequence that were never seen. The row of `first` stays once it is closed.
intake_gap = table(
    "intake_gap",
    key("card_ref"),
    key("source"),
    key("first", BigInteger),
    needed("last", BigInteger),
    needed("noticed_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    spread_by="card_ref",
)

partial_index("ix_intake_gap_open", intake_gap.c.source, intake_gap.c.noticed_at, where="closed_at IS NULL")

#: How far a file was read: `prefix_digest` is SHA-256 over its first `offset` bytes.
import_run = table(
    "import_run",
    key("run_id"),
    *texts("kind", "source"),
    needed("offset", BigInteger),
    needed("rows", BigInteger),
    text_column("prefix_digest"),
    needed("counts", JSON),
    needed("finished", Boolean),
    needed("started_at", UtcDateTime),
    needed("updated_at", UtcDateTime),
    spread_by="run_id",
)

Index(None, import_run.c.kind, import_run.c.source)

#: Comparisons of the register with a snapshot of a source: sums only, the differences are in the report's file.
reconciliation = table(
    "reconciliation",
    key("report_digest"),
    text_column("region"),
    needed("compared", BigInteger),
    needed("counts", JSON),
    needed("made_at", UtcDateTime),
    Column("repaired_at", UtcDateTime),
    Column("repaired_by", String),
    needed("repairs", JSON),
    spread_by="report_digest",
)

Index(None, reconciliation.c.made_at)
