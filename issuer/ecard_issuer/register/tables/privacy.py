"""Erasures of people, and the exports that were made for them.

`erasure` says that and why, and names nobody. `erased_person` names nobody's cards: it is there so that an erasure can
be repeated on an old backup, and so that a destroyed data key cannot come back.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, String

from ecard_card.acting import Ground
from ecard_issuer.privacy.values import ErasureGround
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column

erasure = table(
    "erasure",
    key("erasure_id"),
    needed("ground", TextCode(ErasureGround)),
    text_column("proof"),
    text_column("asked_by"),
    needed("erased_at", UtcDateTime),
    one_of("ground", ErasureGround),
    spread_by="erasure_id",
)

erased_person = table(
    "erased_person",
    key("former_ref"),
    key("key_mark"),
    needed("erased_at", UtcDateTime),
    spread_by="former_ref",
)

Index(None, erased_person.c.erased_at, erased_person.c.former_ref, erased_person.c.key_mark)

subject_export = table(
    "subject_export",
    key("holder_ref"),
    key("export_id"),
    text_column("caller"),
    needed("ground", TextCode(Ground)),
    Column("mandate_id", String),
    needed("made_at", UtcDateTime),
    one_of("ground", Ground),
    spread_by="holder_ref",
)

Index(None, subject_export.c.made_at, subject_export.c.holder_ref, subject_export.c.export_id)
