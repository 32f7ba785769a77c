"""What stands in the way of an erasure, room by room: each an `OpenBusiness` with one word for the operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_issuer.applying.desk import Applying
from ecard_issuer.life.cases import Cases as CaseStore
from ecard_issuer.life.values import UNDER_WAY, CaseKind
from ecard_issuer.mandates.desk import Mandates
from ecard_issuer.partners.filing import Filing
from ecard_issuer.partners.sql_source import SqlNewsSource
from ecard_issuer.partners.store import PartnerStore
from ecard_issuer.partners.streams import StreamStatus
from ecard_issuer.ports import Cards
from ecard_issuer.relying.records import RelyingStore


@dataclass(frozen=True, slots=True)
class OpenApplications:
    """`application`: refuse it, or have it withdrawn or collected."""

    desk: Applying

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        return "application" if self.desk.under_way(holder_ref) else None


@dataclass(frozen=True, slots=True)
class OpenReplacements:
    """`replacement`: a new card is on its way for one of theirs: have it collected, or withdraw it."""

    register: Cards
    cases: CaseStore

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        for card in self.register.cards_of_holder(holder_ref):
            for case in self.cases.cases_of(card.card_ref):
                if case.kind is CaseKind.REPLACEMENT and case.state in UNDER_WAY:
                    return "replacement"
        return None


@dataclass(frozen=True, slots=True)
class LiveMandates:
    """`mandate`: given by them or to them, and neither ended nor revoked."""

    mandates: Mandates

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        standing = (row.state_at(now) in ("live", "waiting") for row in self.mandates.of_person(holder_ref))
        return "mandate" if any(standing) else None


@dataclass(frozen=True, slots=True)
class RelyingPermissions:
    """`relying_permission`: a service may ask about them until a day that is to come."""

    store: RelyingStore

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        standing = (row.until > now for row in self.store.subjects_of(holder_ref))
        return "relying_permission" if any(standing) else None


@dataclass(frozen=True, slots=True)
class UntoldPartners:
    """`partner_news`: a stream that follows a card of theirs has not taken up all that there is for it, which may be
    the card's end. Wait a moment; a stream that its partner has paused or let fill up is disabled by an operator."""

    register: Cards
    store: PartnerStore
    source: SqlNewsSource
    filing: Filing

    def open_business(self, holder_ref: str, now: datetime) -> str | None:
        cards = self.register.cards_of_holder(holder_ref)
        return "partner_news" if any(self._untold(card.card_ref) for card in cards) else None

    def _untold(self, card_ref: str) -> bool:
        streams = [self.store.find_stream(subject.stream_id) for subject in self.store.subjects_of_card(card_ref)]
        live = [stream for stream in streams if stream is not None and stream.status is not StreamStatus.DISABLED]
        if not live:
            return False
        return self.source.on_its_way(card_ref) or any(self.filing.peek(stream, stream.cursor)[1] for stream in live)
