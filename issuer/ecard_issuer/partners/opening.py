"""The partners' part of an issuer, put together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from ecard_issuer.keyring import KeyRing
from ecard_issuer.partners.filing import Filing
from ecard_issuer.partners.keeping import Keeper
from ecard_issuer.partners.messages import ChannelBody, Messages
from ecard_issuer.partners.office import PartnerOffice
from ecard_issuer.partners.sending import HttpSender, Sender
from ecard_issuer.partners.sql import SqlPartners
from ecard_issuer.partners.sql_source import SqlNewsSource
from ecard_issuer.partners.store import PartnerStore
from ecard_issuer.partners.streams import Backlog
from ecard_issuer.partners.targets import Targets
from ecard_issuer.partners.worker import PartnerWorker
from ecard_issuer.people import References
from ecard_keys.desk.desk import SigningDesk
from ecard_keys.protect import Protector


class Bell:
    """Tells whoever listens that events may have become ready. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` at each ring, from the ringing thread. Returns how to stop that."""
        with self._lock:
            self._listeners.add(callback)

        def stop() -> None:
            with self._lock:
                self._listeners.discard(callback)

        return stop

    def ring(self) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for callback in listeners:
            callback()


@dataclass(frozen=True, slots=True)
class Partners:
    """Everything about partners. `overview` is for metrics and operators."""

    store: PartnerStore
    office: PartnerOffice
    worker: PartnerWorker
    bell: Bell
    source: SqlNewsSource
    filing: Filing

    def overview(self) -> tuple[Backlog, ...]:
        return self.store.overview(self.source.head())


def open_partners(
    engine: Engine,
    protector: Protector,
    signing: SigningDesk,
    keys: KeyRing,
    networks: tuple[str, ...],
    clock: Callable[[], datetime],
    *,
    sender: Sender | None = None,
    channel_body: ChannelBody = lambda stream, delivery: None,
) -> Partners:
    """`networks` may be sent to although they are not public; `sender` stands in for HTTP; `channel_body` makes what
    channels' webhooks say."""
    store, source = SqlPartners(engine), SqlNewsSource(engine)
    references, keeper, bell = References(protector), Keeper(protector), Bell()
    targets = Targets(networks)
    messages = Messages(source, references, signing, keys, keeper, channel_body)
    filing = Filing(store, source, references)
    worker = PartnerWorker(
        store, source, filing, messages, sender or HttpSender(targets, clock), clock, filed=bell.ring
    )

    def rang() -> None:
        worker.ring()
        bell.ring()

    office = PartnerOffice(store, source, messages, keeper, targets, references, rang=rang)
    return Partners(store, office, worker, bell, source, filing)
