"""Everything about links, put together over one register."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.config import IssuerSettings
from ecard_issuer.enrol import Enrolment
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.issue import Issuing
from ecard_issuer.links.claim_store import ClaimStore
from ecard_issuer.links.claiming import Claiming
from ecard_issuer.links.identifying import Identifying
from ecard_issuer.links.identity_statement import IdentityStatements
from ecard_issuer.links.links import Links
from ecard_issuer.links.providers import IdentityProviders
from ecard_issuer.links.relatives import Relatives
from ecard_issuer.links.rights import CardsAndEnrolments, Rights
from ecard_issuer.links.sql import SqlLinks
from ecard_issuer.links.sql_claims import SqlClaims
from ecard_issuer.links.sql_providers import SqlProviders
from ecard_keys.encryption import Unsealing

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Linking:
    """What holders and channels do about links, and what operators keep for it."""

    links: Links
    identifying: Identifying
    claiming: Claiming
    relatives: Relatives
    providers: IdentityProviders
    claims: ClaimStore
    unsealing: Unsealing

    def upkeep(self, now: datetime) -> int:
        """Forget claims and identifications that are over."""
        return self.claims.forget(now, _BATCH)


def open_linking(
    settings: IssuerSettings,
    engine: Engine,
    register: CardsAndEnrolments,
    desk: CardDesk,
    holders: HolderServices,
    enrolment: Enrolment,
    issuing: Issuing,
    rules: ActingRules,
    approvals: Approvals,
    policy_of: PolicyOf,
    issuer: str,
    unsealing: Unsealing,
) -> Linking:
    """`issuer` is the issuer's own URL, which proofs of possession and statements are made out to."""
    store, claims, known = SqlLinks(engine, policy_of=policy_of), SqlClaims(engine), SqlProviders(engine)
    rights = Rights(store, register, desk.people, issuing)
    identifying = Identifying(claims, store, register, desk, policy_of, per_hour=settings.pin_guesses_per_hour_channel)
    claiming = Claiming(
        claims,
        store,
        register,
        identifying,
        rights,
        holders.ecards,
        enrolment,
        issuing,
        holders.pins,
        IdentityStatements(claims, known, desk, issuer),
        rules,
        issuer=issuer,
    )
    suspended = SqlChannels(engine).suspended
    links = Links(store, rights, register, holders.ecards, holders.levels, holders.passwords, desk, suspended=suspended)
    relatives = Relatives(links, holders.family, holders.ecards, desk)
    return Linking(links, identifying, claiming, relatives, IdentityProviders(known, approvals), claims, unsealing)
