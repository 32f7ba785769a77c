"""The parts of channels put together: one field of the issuer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from ecard_issuer.approvals import Approvals
from ecard_issuer.channels.key_sets import Fetch, HttpFetch, KeySets
from ecard_issuer.channels.office import ChannelOffice
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.channels.tokens import ChannelTokens
from ecard_issuer.config import IssuerSettings
from ecard_issuer.oauth.access_token import AccessTokens, SqlAccessTokens
from ecard_issuer.oauth.client_certificate import CertificateRule
from ecard_issuer.oauth.dpop import DpopNonces, KeyedHash
from ecard_issuer.oauth.one_time import OneTime, SqlOneTime
from ecard_issuer.partners.targets import Targets


@dataclass(frozen=True, slots=True)
class Channels:
    """Who is admitted, their tokens, what counts once, and whose client certificates are believed."""

    office: ChannelOffice
    tokens: ChannelTokens
    access_tokens: AccessTokens
    one_time: OneTime
    certificates: CertificateRule

    def upkeep(self, now: datetime) -> None:
        """Forget tokens and values whose time is over."""
        self.access_tokens.purge(now)
        self.one_time.purge(now)


def open_channels(
    settings: IssuerSettings,
    engine: Engine,
    issuer: str,
    approvals: Approvals,
    keyed_hash: KeyedHash,
    *,
    test: bool = False,
    require_own: Callable[[str], None] = lambda app_id: None,
    fetch: Fetch | None = None,
) -> Channels:
    """Over the engine of the register. `issuer` is the configured public origin, `keyed_hash` makes nonces, `test`
    says whether apps are test apps, `require_own` raises for an app of the other mode, `fetch` gets key sets."""
    store, tokens, one_time = SqlChannels(engine), SqlAccessTokens(engine), SqlOneTime(engine)
    key_sets = KeySets(fetch or HttpFetch(Targets(settings.partner_networks)))
    nonces = DpopNonces(keyed_hash) if settings.dpop_nonce else None
    return Channels(
        ChannelOffice(store, approvals, test=test),
        ChannelTokens(issuer, store, key_sets, tokens, one_time, nonces, require_own),
        tokens,
        one_time,
        CertificateRule(settings.client_cert_header, settings.trusted_proxies),
    )
