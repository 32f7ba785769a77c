"""Every room of the issuer that keeps something about people: its sections of the export, its records that go by
policy, and what it may have unfinished when somebody is to be erased."""

from __future__ import annotations

from sqlalchemy import Engine

from ecard_issuer.applying.parts import Applications
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.intake.office import IntakeOffice
from ecard_issuer.intake.subject_data import WaitingEvents
from ecard_issuer.life.build import Life
from ecard_issuer.life.subject import CardBusiness
from ecard_issuer.links.export import LinkData
from ecard_issuer.links.opening import Linking
from ecard_issuer.mandates.desk import Mandates
from ecard_issuer.partners.opening import Partners
from ecard_issuer.partners.subject_section import PartnerSubjects
from ecard_issuer.ports import Cards
from ecard_issuer.privacy.business import (
    LiveMandates,
    OpenApplications,
    OpenReplacements,
    RelyingPermissions,
    UntoldPartners,
)
from ecard_issuer.privacy.parts import Rooms
from ecard_issuer.privacy.room_purges import room_purges
from ecard_issuer.relying.assembly import Relying
from ecard_issuer.settlements.opening import Settling


def every_room(
    engine: Engine,
    register: Cards,
    mandates: Mandates,
    applications: Applications,
    holders: HolderServices,
    relying: Relying,
    life: Life,
    intake: IntakeOffice,
    partners: Partners,
    linking: Linking,
    settling: Settling,
) -> Rooms:
    """All of them, over one register."""
    cases = life.office.cases
    return Rooms(
        sections=(
            *applications.subject_data,
            *holders.subject_data,
            *relying.subject_data,
            CardBusiness(register, cases),
            WaitingEvents(register, intake.store),
            PartnerSubjects(partners.store, register.cards_of_holder),
            LinkData(linking.links.store),
            settling.subject_data,
        ),
        purges=room_purges(engine, applications.desk, mandates, relying.store, partners.store, linking.links.store),
        business=(
            OpenApplications(applications.desk),
            OpenReplacements(register, cases),
            LiveMandates(mandates),
            RelyingPermissions(relying.store),
            UntoldPartners(register, partners.store, partners.source, partners.filing),
        ),
    )
