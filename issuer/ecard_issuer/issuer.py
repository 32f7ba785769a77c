"""The issuer as one object: every part of it, `start` and `stop`. No state at module level."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Engine

from ecard_issuer.applying.parts import Applications
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.channel_events.opening import ChannelEvents
from ecard_issuer.channels.opening import Channels
from ecard_issuer.collect import Collecting
from ecard_issuer.config import IssuerSettings
from ecard_issuer.conventions import Conventions
from ecard_issuer.counting import CountingDesk
from ecard_issuer.data_dir import DataDir
from ecard_issuer.dispatch import Dispatcher, Wake
from ecard_issuer.enrol import Enrolment
from ecard_issuer.feed_hub import FeedHub, LocalFeed
from ecard_issuer.holder_services import HolderServices
from ecard_issuer.intake.office import IntakeOffice
from ecard_issuer.issue import Issuing
from ecard_issuer.key_office import KeyOffice
from ecard_issuer.keyring import IssuerIdentity, KeyRing
from ecard_issuer.life.build import Life
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.links.links import Links
from ecard_issuer.links.opening import Linking
from ecard_issuer.login.parts import Login
from ecard_issuer.mandates.desk import Mandates
from ecard_issuer.operators import Desk
from ecard_issuer.partners.opening import Partners
from ecard_issuer.people import People
from ecard_issuer.policies.parts import Policies
from ecard_issuer.ports import Register
from ecard_issuer.privacy.parts import Privacy
from ecard_issuer.programme.office import ProgrammeOffice
from ecard_issuer.publishing.assemble import Publishing
from ecard_issuer.publishing.publisher import Publisher
from ecard_issuer.quota_office import QuotaOffice
from ecard_issuer.reissue import Reissue
from ecard_issuer.relying.assembly import Relying
from ecard_issuer.service_points.office import ServicePoints
from ecard_issuer.settlements.opening import Settling
from ecard_issuer.testmode.opening import TestMode
from ecard_issuer.tickets.opening import Showing
from ecard_issuer.wallets.opening import Wallets
from ecard_keys.certified_keys import CertifiedKeys
from ecard_keys.signer import KeyHome

_log: Final = logging.getLogger(__name__)


class Worker(Protocol):
    """A thread of its own, beside the dispatcher."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """Every part of a running issuer. `start` settles what a crash left and begins to dispatch."""

    settings: IssuerSettings
    identity: IssuerIdentity
    register: Register
    people: People
    policies: Policies
    privacy: Privacy
    cards: CardDesk
    holders: HolderServices
    keys: KeyRing
    key_office: KeyOffice
    approvals: Approvals
    quotas: QuotaOffice
    signer: KeyHome
    request_keys: CertifiedKeys
    signing: CountingDesk
    enrolment: Enrolment
    issuing: Issuing
    reissue: Reissue
    collecting: Collecting
    lifecycle: LifeCycle
    life: Life
    acting: Mandates
    applications: Applications
    relying: Relying
    settling: Settling
    linking: Linking
    login: Login
    service_points: ServicePoints
    programme: ProgrammeOffice
    intake: IntakeOffice
    publishing: Publishing
    operators: Desk
    hub: FeedHub
    feed: LocalFeed
    dispatcher: Dispatcher
    wake: Wake
    partners: Partners
    channel_events: ChannelEvents
    test_mode: TestMode
    conventions: Conventions
    channels: Channels
    showing: Showing
    wallets: Wallets
    clock: Callable[[], datetime]
    engine: Engine
    place: DataDir

    def start(self) -> None:
        """Void the plans of this directory's last server, and start the dispatcher and the other workers.

        Raises `Unavailable` `data_dir_in_use` where another server holds the directory.
        """
        self.place.serve()
        if self.approvals.needed == 0 and not self.test_mode.mode.test:
            _log.warning("four eyes are off: one operator alone can change keys, trust lists and operators")
        settled = self.issuing.settle(self.clock(), everything=True)
        if settled:
            _log.warning("settled %d issuances that a stop had cut short", settled)
        self.test_mode.seed(self.clock())
        self.dispatcher.start()
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the workers, the dispatcher and every follower's stream, and give the database back."""
        for worker in reversed(self._workers):
            worker.stop()
        self.dispatcher.stop()
        self.close()

    @property
    def _workers(self) -> tuple[Worker, ...]:
        told = self.channel_events.worker, self.partners.worker
        return self.publishing.worker, self.publishing.snapshot_worker, *told, self.intake, self.privacy.retention

    @property
    def publisher(self) -> Publisher:
        """Status lists, trust list and bundle, as `publishing` has it."""
        return self.publishing.publisher

    @property
    def links(self) -> Links:
        """Channels' links with e-cards, as `linking` has them."""
        return self.linking.links

    def close(self) -> None:
        """Give the database back, where nothing was started."""
        self.engine.dispose()
        self.place.release()
