"""Payments at counters, put together over one register."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from ecard_issuer.card_desk import CardDesk
from ecard_issuer.keyring import KeyRing
from ecard_issuer.links.links import Links
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.ports import Cards
from ecard_issuer.relying.assembly import Relying
from ecard_issuer.settlements.desk import Settlements
from ecard_issuer.settlements.export import SettlementData
from ecard_issuer.settlements.sql import SqlPayments
from ecard_issuer.subject_data import SubjectData
from ecard_keys.desk.desk import SigningDesk


@dataclass(frozen=True, slots=True)
class Settling:
    """The use case, and its section of an export."""

    desk: Settlements
    subject_data: SubjectData


def open_settling(
    engine: Engine,
    cards: CardDesk,
    keys: KeyRing,
    signing: SigningDesk,
    relying: Relying,
    links: Links,
    passwords: Passwords,
    register: Cards,
) -> Settling:
    """Over the engine of the register."""
    store = SqlPayments(engine)
    desk = Settlements(
        store,
        relying.services,
        relying.desk,
        links,
        passwords,
        cards.people,
        signing,
        keys,
        keys.identity,
        credential_of=register.find_credential,
    )
    return Settling(desk, SettlementData(store))
