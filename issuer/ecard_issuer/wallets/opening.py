"""What is done for wallets, put together over the register of an engine."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.enrol import Enrolment
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.issue_many import IssuingMany
from ecard_issuer.links.links import Links
from ecard_issuer.oauth.one_time import SqlOneTime
from ecard_issuer.people import People
from ecard_issuer.ports import Register
from ecard_issuer.wallets.authorization import Authorization
from ecard_issuer.wallets.clients import Clients
from ecard_issuer.wallets.credential_endpoint import CredentialEndpoint
from ecard_issuer.wallets.issuing import WalletIssuing
from ecard_issuer.wallets.nonces import Nonces
from ecard_issuer.wallets.offers import Offers
from ecard_issuer.wallets.person import ByPin
from ecard_issuer.wallets.reviews import Reviews
from ecard_issuer.wallets.sender import Sender
from ecard_issuer.wallets.sessions import Sessions
from ecard_issuer.wallets.sql import SqlWallets
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.token_endpoint import TokenEndpoint
from ecard_issuer.wallets.tokens import WalletSecrets
from ecard_keys.pepper import Pepper

#: How long rows stay after they are over, for whoever looks into what happened.
_KEPT: Final = timedelta(days=1)
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Wallets:
    """Every part of it."""

    store: WalletStore
    clients: Clients
    offers: Offers
    tokens: TokenEndpoint
    sessions: Sessions
    nonces: Nonces
    credentials: CredentialEndpoint
    authorization: Authorization
    reviews: Reviews
    sender: Sender

    def upkeep(self, now: datetime) -> None:
        """Delete what is over."""
        self.store.purge(now - _KEPT, _AT_ONCE)


def open_wallets(
    engine: Engine,
    register: Register,
    people: People,
    enrolment: Enrolment,
    issuing: IssuingMany,
    holders: HolderServices,
    links: Links,
    rules: ActingRules,
    pepper: Pepper,
    origin: str,
    *,
    review_all: bool,
    four_eyes: bool,
    random: Callable[[int], bytes] = randomness.token_bytes,
) -> Wallets:
    """`review_all`: a person looks at every request first; `four_eyes`: not the one who made the offer."""
    store = SqlWallets(engine)
    secrets, one_time = WalletSecrets(pepper), SqlOneTime(engine)
    person = ByPin(register, people, holders.ecards, holders.pins, rules, random)
    clients = Clients(store)
    offers = Offers(store, register, links, people.references, secrets, origin, random)
    nonces = Nonces(secrets, random)
    issues = WalletIssuing(store, enrolment, issuing, links)
    return Wallets(
        store=store,
        clients=clients,
        offers=offers,
        tokens=TokenEndpoint(store, secrets, random),
        sessions=Sessions(store),
        nonces=nonces,
        credentials=CredentialEndpoint(store, nonces, issues, origin, review_all=review_all),
        authorization=Authorization(store, clients, offers, person, secrets, origin, random),
        reviews=Reviews(store, register, four_eyes=four_eyes),
        sender=Sender(one_time, origin),
    )
