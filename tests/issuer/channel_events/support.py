"""Channels with links, told what happens to cards: a bureau of partners, and links that do as they are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ecard_issuer.channel_events.opening import ChannelEvents, channel_body_of, open_channel_events
from ecard_issuer.channel_events.values import ChannelEventType, LinkNote, ToldLink
from ecard_issuer.partners.opening import open_partners
from tests.issuer.partners.support import Bureau, Receiver
from tests.issuer.service import open_service

BANK, SHOP = "ek_test_" + "a" * 24, "ek_test_" + "b" * 24
HOOKS = {BANK: ("https://bank.example/hook",), SHOP: ("https://shop.example/hook",)}


@dataclass
class FakeLinks:
    """Links by card, and notes that wait."""

    links: dict[str, list[ToldLink]] = field(default_factory=dict)
    waiting: list[LinkNote] = field(default_factory=list)
    settling: bool = True

    def told(self, card_ref: str) -> Sequence[ToldLink]:
        return self.links.get(card_ref, ())

    def end_with_card(self, card_ref: str, now: datetime) -> int:
        return 0

    def notes(self, limit: int) -> Sequence[LinkNote]:
        return self.waiting[:limit]

    def settle(self, notes: Collection[LinkNote]) -> None:
        if self.settling:
            self.waiting = [note for note in self.waiting if note not in notes]

    def claim(self, app_id: str, link_id: str, card_ref: str, now: datetime) -> None:
        self.links.setdefault(card_ref, []).append(ToldLink(app_id, link_id, now))
        self.note(app_id, link_id, ChannelEventType.LINK_CLAIMED, now)

    def note(self, app_id: str, link_id: str, kind: ChannelEventType, now: datetime, **about: object) -> None:
        self.waiting.append(LinkNote(app_id, f"{len(self.waiting):04}{link_id}", link_id, kind, now, "valid", about))


@dataclass
class FakeAddresses:
    hooks: dict[str, Sequence[str] | None] = field(default_factory=lambda: dict(HOOKS))

    def of(self, app_id: str) -> Sequence[str] | None:
        return self.hooks.get(app_id)


@dataclass
class Hall(Bureau):
    """A bureau whose partners are channels."""

    events: ChannelEvents = None  # type: ignore[assignment]
    links: FakeLinks = field(default_factory=FakeLinks)
    addresses: FakeAddresses = field(default_factory=FakeAddresses)

    def tell(self) -> int:
        """Dispatch, tell the channels, send; how many events were new."""
        self.dispatch()
        new = self.events.worker.turn()
        for _ in range(1000):
            if not self.partners.worker.turn():
                return new
        raise AssertionError("the worker finds no end")

    def said(self, app_id: str, after: int = 0) -> list[tuple[str, str, str]]:
        """Link, type and status of each event in a log."""
        return [(one.link_id, one.type.value, one.status) for one in self.events.log.since(app_id, after, 100)]


def open_hall(folder: Path, database_url: str | None = None) -> Hall:
    service = open_service(folder, database_url=database_url)
    issuer, receiver = service.issuer, Receiver()
    return hall_over(service, receiver, issuer)


def hall_over(service: Any, receiver: Receiver, issuer: Any) -> Hall:
    protector = issuer.people._protector
    engine, clock = issuer.engine, service.clock
    told = channel_body_of(engine)
    partners = open_partners(
        engine, protector, issuer.signing, issuer.keys, (), clock, sender=receiver, channel_body=told
    )
    partners.worker._jitter = lambda: 0.5
    links, addresses = FakeLinks(), FakeAddresses()
    references = issuer.people.references
    events = open_channel_events(engine, issuer.register, partners, references, links, addresses, clock)
    return Hall(service, partners, receiver, events=events, links=links, addresses=addresses)
