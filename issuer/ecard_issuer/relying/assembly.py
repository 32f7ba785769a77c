"""The parts of relying services put together: one field of the issuer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.accounts.office import AccountData, Accounts
from ecard_issuer.accounts.sql import SqlAccounts
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.keyring import KeyRing
from ecard_issuer.links.sql import SqlLinks
from ecard_issuer.login.attempts import LoginRow
from ecard_issuer.login.sql import SqlLogins
from ecard_issuer.ports import Register
from ecard_issuer.relying.accesses import AccessData, Looks
from ecard_issuer.relying.desk import CardPins, RelyingDesk
from ecard_issuer.relying.office import ServiceOffice
from ecard_issuer.relying.own_trust import OwnTrust
from ecard_issuer.relying.presence import Presence
from ecard_issuer.relying.qualification import ConfirmationData, Qualification
from ecard_issuer.relying.records import RelyingStore
from ecard_issuer.relying.sql import SqlRelying
from ecard_issuer.subject_data import SubjectData
from ecard_keys.desk.desk import SigningDesk

#: How long what was used up is remembered after its own end: clocks of several servers may differ.
MARGIN: Final = timedelta(minutes=10)
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Relying:
    """Services, what they ask, confirmations and bank accounts. `subject_data` are its sections of an export."""

    services: ServiceOffice
    desk: RelyingDesk
    qualification: Qualification
    accounts: Accounts
    store: RelyingStore
    presence: Presence
    looks: Looks
    subject_data: Sequence[SubjectData]

    def upkeep(self, now: datetime) -> None:
        """Forget codes and permissions whose time is over."""
        self.store.purge_used(now - MARGIN, _BATCH)


def assemble_relying(
    engine: Engine,
    register: Register,
    cards: CardDesk,
    keys: KeyRing,
    signing: SigningDesk,
    approvals: Approvals,
    rules: ActingRules,
    *,
    level_of: Callable[[str, datetime], int],
    pins: CardPins,
    policy_of: PolicyOf,
) -> Relying:
    """Over the engine of the register; `level_of` and `pins` are other rooms' answers about levels and PINs."""
    store, account_store = SqlRelying(engine), SqlAccounts(engine)
    services = ServiceOffice(store, approvals)
    accounts = Accounts(account_store, register, cards, rules, approvals)
    presence = Presence(register, keys.identity, OwnTrust(keys), policy_of, _standing_logins(engine))
    desk = RelyingDesk(services, store, cards, presence, accounts, rules, level_of=level_of, pins=pins)
    qualification = Qualification(desk, services, store, cards.people, signing, keys, keys.identity)
    sections = (AccessData(store), ConfirmationData(store), AccountData(account_store, register))
    return Relying(services, desk, qualification, accounts, store, presence, Looks(store, cards.people), sections)


def _standing_logins(engine: Engine) -> Callable[[str], LoginRow | None]:
    """Finds a login by its id, while the link that it was confirmed under stands and its app is not suspended."""
    logins, links, channels = SqlLogins(engine), SqlLinks(engine), SqlChannels(engine)

    def standing(login_id: str) -> LoginRow | None:
        login = logins.find_login(login_id)
        link = None if login is None else links.find_link(login.app_id, login.link_id)
        over = login is None or link is None or link.ended_at is not None or channels.suspended(login.app_id)
        return None if over else login

    return standing
