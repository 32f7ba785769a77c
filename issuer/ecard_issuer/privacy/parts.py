"""What is done about people's data put together. Other rooms add sections, records and what they have open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.approvals import Approvals
from ecard_issuer.people import People
from ecard_issuer.policies.book import PolicyBook
from ecard_issuer.ports import Cards
from ecard_issuer.privacy.core_data import core_sections
from ecard_issuer.privacy.core_purges import core_purges
from ecard_issuer.privacy.erasure import Erasing
from ecard_issuer.privacy.export import Exporting
from ecard_issuer.privacy.retention import Purgeable, RetentionJob
from ecard_issuer.privacy.sql import SqlCardPapers, SqlErasures, SqlExports
from ecard_issuer.privacy.values import Erasures, OpenBusiness
from ecard_issuer.subject_data import SubjectData


@dataclass(frozen=True, slots=True)
class Rooms:
    """What other rooms show to a person, what of it they do not keep for ever, and what they may have unfinished."""

    sections: Sequence[SubjectData] = ()
    purges: Sequence[Purgeable] = ()
    business: Sequence[OpenBusiness] = ()


NO_ROOMS: Final = Rooms()


@dataclass(frozen=True, slots=True)
class Privacy:
    """`retention.upkeep` is for whoever does what has to be done again and again."""

    erasing: Erasing
    exporting: Exporting
    retention: RetentionJob
    erasures: Erasures


def open_privacy(
    engine: Engine,
    register: Cards,
    people: People,
    book: PolicyBook,
    approvals: Approvals,
    rules: ActingRules,
    *,
    rooms: Rooms = NO_ROOMS,
) -> Privacy:
    """Over the register of `engine`; `rooms` are all the others that keep something about people."""
    erasures, exports = SqlErasures(engine), SqlExports(engine)
    core = core_sections(people, register, SqlCardPapers(engine), exports)
    return Privacy(
        erasing=Erasing(erasures, register, people, approvals, rooms.business),
        exporting=Exporting(people, exports, rules, (*core, *rooms.sections)),
        retention=RetentionJob(book, (*core_purges(engine), *rooms.purges)),
        erasures=erasures,
    )
