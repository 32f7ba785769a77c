"""The parts of logins put together: one field of the issuer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.channels.values import Registration
from ecard_issuer.keyring import KeyRing
from ecard_issuer.login.attempts import LoginStore
from ecard_issuer.login.clients import LoginClients
from ecard_issuer.login.desk import LoginDesk
from ecard_issuer.login.desktop import RegionOf
from ecard_issuer.login.holder import Holders, LinkedEcards, Passwords
from ecard_issuer.login.regions import NetworkRegions
from ecard_issuer.login.signed import LoginSigner
from ecard_issuer.login.sites import Sites
from ecard_issuer.login.sql import SqlLogins
from ecard_issuer.login.tokens import LoginTokens
from ecard_issuer.oauth.one_time import OneTime
from ecard_issuer.ports import Register
from ecard_issuer.relying.assembly import Relying
from ecard_issuer.relying.own_trust import OwnTrust
from ecard_keys.desk.desk import SigningDesk

#: How long what is over is remembered: clocks of several servers may differ, and a page may still say how it ended.
MARGIN: Final = timedelta(minutes=10)
_BATCH: Final = 5000


@dataclass(frozen=True, slots=True)
class Login:
    """Scan to log in. `region_of` says where a public address is, as far as anybody knows."""

    desk: LoginDesk
    tokens: LoginTokens
    clients: LoginClients
    sites: Sites
    signer: LoginSigner
    store: LoginStore
    region_of: RegionOf

    def upkeep(self, now: datetime) -> None:
        """Forget attempts and logins whose time is over."""
        self.store.purge(now - MARGIN, _BATCH)


def open_login(
    engine: Engine,
    register: Register,
    cards: CardDesk,
    keys: KeyRing,
    signing: SigningDesk,
    relying: Relying,
    acting: ActingRules,
    *,
    links: LinkedEcards,
    passwords: Passwords,
    once: OneTime,
    level_of: Callable[[str, datetime], int],
    app_of: Callable[[str], Registration],
    regions: Path | None,
) -> Login:
    """Over the engine of the register. `level_of` and `app_of` are as for `LoginDesk`,
    `regions` is the table of `ecard_issuer.login.regions`. Raises `InvalidInput` `bad_region_table`."""
    issuer = keys.identity.issuer
    store = SqlLogins(engine)
    sites = Sites(relying.store.find_service)
    signer = LoginSigner(signing, keys, keys.identity)
    holders = Holders(links, register, passwords, OwnTrust(keys))
    return Login(
        desk=LoginDesk(store, sites, holders, signer, acting, issuer, level_of=level_of, app_of=app_of),
        tokens=LoginTokens(store, sites, holders, signer, cards, relying.store),
        clients=LoginClients(sites, once, issuer),
        sites=sites,
        signer=signer,
        store=store,
        region_of=NetworkRegions({}) if regions is None else NetworkRegions.read(regions),
    )
