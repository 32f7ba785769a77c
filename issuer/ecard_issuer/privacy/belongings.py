"""What hangs on a person, as an erasure finds it: by the person, by their cards and e-cards, or through something else
of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, tuple_, union, update

from ecard_issuer.family.link import FamilyEnd
from ecard_issuer.register import tables
from ecard_issuer.register.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecard_issuer.privacy.inventory import Kept

_card, _link, _relative = tables.card, tables.family_link, tables.family_relative


@dataclass(frozen=True, slots=True)
class Belongings:
    """A person's references: their own, those of their cards with the keyed hashes of the card numbers, e-cards."""

    holder_ref: str
    cards: tuple[str, ...]
    numbers: tuple[str, ...]
    ecards: tuple[str, ...]

    def rows(self, table: Table, kept: Kept) -> ColumnElement[bool] | None:
        """Which rows of a table of the inventory are the person's; None where it has none of anybody."""
        if "holder_ref" in table.c:
            return table.c.holder_ref == self.holder_ref
        if kept.through is not None:
            parent, name = metadata.tables[kept.through], f"{kept.through}_id"
            return table.c[name].in_(select(parent.c[name]).where(parent.c.holder_ref == self.holder_ref))
        if table is tables.intake_exception:
            of_card = (table.c[name].in_(self.cards) for name in ("card_ref", "successor_ref"))
            of_number = (table.c[name].in_(self.numbers) for name in ("number_mac", "successor_mac"))
            return or_(*of_card, *of_number)
        if table in (tables.secret, tables.secret_event):
            return table.c.subject.in_([*self.cards, *self.ecards])
        return table.c.card_ref.in_(self.cards) if "card_ref" in table.c else None


def belongings_of(connection: Connection, holder_ref: str, cards: Sequence[str]) -> Belongings:
    """Of a person whose cards are locked."""
    numbers = select(_card.c.number_mac).where(_card.c.card_ref.in_(cards))
    bound = (tables.binding, tables.binding_history, tables.credential)
    ecards = union(*(select(table.c.ecard_id).where(table.c.card_ref.in_(cards)) for table in bound))
    return Belongings(holder_ref, tuple(cards), tuple(connection.scalars(numbers)), tuple(connection.scalars(ecards)))


def end_links(connection: Connection, holder_ref: str, now: datetime) -> None:
    """End the family links of the person: nobody shows anybody any more. The other one keeps the record of them."""
    shown_by = select(_relative.c.viewer_ref, _relative.c.link_id).where(_relative.c.relative_ref == holder_ref)
    for mine, end in (
        (_link.c.viewer_ref == holder_ref, FamilyEnd.VIEWER),
        (tuple_(_link.c.viewer_ref, _link.c.link_id).in_(shown_by), FamilyEnd.ECARD_ENDED),
    ):
        live = and_(mine, _link.c.ended_at.is_(None))
        connection.execute(update(_link).where(live).values(ended_at=now, end=end))
