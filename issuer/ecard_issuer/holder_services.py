"""What holders have besides their cards, put together: PIN, e-card password, levels, family, cards in two places."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.config import IssuerSettings
from ecard_issuer.ecards import Ecards
from ecard_issuer.family.export import FamilyData
from ecard_issuer.family.family import Family
from ecard_issuer.family.sql import SqlLinks
from ecard_issuer.holder_cards import HolderCards
from ecard_issuer.levels.export import LevelData
from ecard_issuer.levels.levels import Levels
from ecard_issuer.levels.sql import SqlOpenings
from ecard_issuer.people import People
from ecard_issuer.pins.comparing import Comparing, GuessLimits
from ecard_issuer.pins.export import PinData
from ecard_issuer.pins.hashing import HashCost, SecretHash
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.pins.pins import Pins
from ecard_issuer.pins.sql import SqlGuesses, SqlSecrets
from ecard_issuer.ports import Cards
from ecard_issuer.subject_data import SubjectData
from ecard_keys.pepper import Pepper


@dataclass(frozen=True, slots=True)
class HolderServices:
    """`subject_data` are the sections of a data-subject export."""

    pins: Pins
    passwords: Passwords
    levels: Levels
    family: Family
    cards: HolderCards
    ecards: Ecards
    subject_data: tuple[SubjectData, ...]


def holder_services(
    settings: IssuerSettings,
    engine: Engine,
    register: Cards,
    people: People,
    pepper: Pepper,
    rules: ActingRules,
    policy_of: PolicyOf,
) -> HolderServices:
    """All of them over one register."""
    ecards = Ecards(register, policy_of)
    store, openings, links = SqlSecrets(engine), SqlOpenings(engine), SqlLinks(engine)
    hashing = SecretHash(pepper, HashCost(settings.pin_hash_kib, settings.pin_hash_rounds))
    limits = GuessLimits(settings.pin_guesses_per_hour, settings.pin_guesses_per_hour_channel)
    comparing = Comparing(store, SqlGuesses(engine), hashing, limits)
    passwords = Passwords(ecards, people, store, comparing, rules)
    return HolderServices(
        pins=Pins(register, people, store, comparing, rules, policy_of),
        passwords=passwords,
        levels=Levels(ecards, openings, passwords, rules),
        family=Family(people, ecards, links, passwords, rules),
        cards=HolderCards(register, people.references, policy_of),
        ecards=ecards,
        subject_data=(PinData(register, ecards, store), LevelData(ecards, openings), FamilyData(links)),
    )
