"""Applying and acting for another, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from ecard_card.region import covers
from ecard_issuer.applying.batches import AgencyBatches
from ecard_issuer.applying.desk import Applying
from ecard_issuer.applying.sql import SqlApplications
from ecard_issuer.applying.sql_batches import SqlBatches
from ecard_issuer.applying.subject import ApplicationData
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.mandates.desk import Lives, Mandates
from ecard_issuer.mandates.sql import SqlMandates
from ecard_issuer.mandates.subject import MandateData
from ecard_issuer.ports import Register
from ecard_issuer.subject_data import SubjectData


@dataclass(frozen=True, slots=True)
class Applications:
    """Everything that applying needs beside the register of cards."""

    desk: Applying
    batches: AgencyBatches
    lives: Lives
    subject_data: tuple[SubjectData, ...]


def open_applications(
    engine: Engine,
    register: Register,
    cards: CardDesk,
    lifecycle: LifeCycle,
    *,
    regions: Sequence[str],
    policy_of: PolicyOf,
) -> tuple[Mandates, Applications]:
    """The register's acting rules, and applications that ask them. `regions` are those that this issuer serves."""
    people = cards.people
    store, applications = SqlMandates(engine), SqlApplications(engine)
    lives = Lives(store, people)
    mandates = Mandates(store, people, lives, policy_of)
    applying = Applying(
        applications,
        people,
        lives,
        mandates,
        cards,
        lifecycle,
        cards_of=register.cards_of_holder,
        serves=lambda region: any(covers(code, region) for code in regions),
        policy_of=policy_of,
    )
    batches = AgencyBatches(SqlBatches(engine), people, applying, mandates, policy_of)
    data = (ApplicationData(applications), MandateData(store, store))
    return mandates, Applications(applying, batches, lives, data)
