"""An issuing office whose keys turn within minutes of virtual time, and the people who hold its e-cards.

Register, key file, roots, trust board, four eyes, rules, signing desk, dispatcher and publisher are the product's own;
only the durations are short, so that a whole life of a key fits into a test.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from ecard_card.credential import card_type
from ecard_card.errors import ApprovalNeeded
from ecard_card.status import CardChange
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority, SimulatedChip
from ecard_issuer.dispatch import Dispatcher, Wake
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.enrol import Enrolment
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub
from ecard_issuer.foresight import Foresight
from ecard_issuer.issue import IssuedCredential, Issuing
from ecard_issuer.key_lives import KeyLives
from ecard_issuer.key_office import KeyOffice
from ecard_issuer.keyring import IssuerIdentity, KeyRing
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.people import People
from ecard_issuer.publishing.publisher import Publisher
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.chip_key import LocalChipKeyHolder
from ecard_keys.desk.desk import LocalDesk, SigningRules
from ecard_keys.desk.journal import Journal
from ecard_keys.desk.quotas import Quotas
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.protect import FileProtector
from ecard_keys.rotation import RotationRules
from ecard_keys.trust.root_home import RootHome
from ecard_sdk.device import DeviceKey
from tests.issuer.office import ISSUER, PASSPHRASE, Office
from tests.issuer.service import START, Clock
from tests.issuer.template import place_register

ASKER, SECOND = "first admin", "second admin"
_Done = TypeVar("_Done")


def pace(longest_cache: int) -> RotationRules:
    """Rules under which nothing outlives the longest cache by much: it decides all other durations. In seconds."""
    cache = timedelta(seconds=longest_cache)
    return RotationRules(cache, 2 * cache, cache, 2 * cache + timedelta(seconds=120))


@dataclass
class Holder:
    """A person with a card, a phone, every credential it was given, and what happened to the card since."""

    card_ref: str
    chip: SimulatedChip
    device: DeviceKey = field(default_factory=DeviceKey.generate)
    credentials: list[IssuedCredential] = field(default_factory=list)
    changes: list[tuple[datetime, CardChange]] = field(default_factory=list)


@dataclass
class TurningOffice:
    """Open it on a folder. Nothing runs by itself: `turn` is one round of the dispatcher, with its upkeep."""

    clock: Clock
    rules: RotationRules
    counter: Office
    keys: KeyOffice
    approvals: Approvals
    publisher: Publisher
    hub: FeedHub
    journal: Journal
    lifecycle: LifeCycle
    dispatcher: Dispatcher

    @classmethod
    def open(cls, folder: Path, rules: RotationRules) -> TurningOffice:
        clock = Clock()
        engine = make_engine(place_register(folder))
        register = SqlRegister(engine)
        home = FileKeyHome(folder / "keys.json", PASSPHRASE)
        roots = RootKeys(RootHome(folder / "roots.json", PASSPHRASE, create=True))
        roots.open(clock())
        identity = IssuerIdentity(ISSUER, ("000000",))
        board = TrustBoard([register], roots, roots.root(), life=rules.list_life)
        ring = KeyRing(register, home, board, identity)
        ring.open(clock())
        lives, approvals = KeyLives(register, ring, rules), Approvals(register, needed=1)
        keys = KeyOffice(ring, register, home, approvals, lives, Foresight(ring, home, lives, approvals.needed))
        journal = Journal(folder / "signing-journal")
        signing = LocalDesk(
            home, [SigningRules(ISSUER, identity.status_uri, identity.regions)], journal, Quotas(), clock
        )
        desk, authority = CardDesk(register, People(register, FileProtector(home.file))), ChipAuthority.create(START)
        profile = Profile(ISSUER, card_type(ISSUER), identity.status_uri, rules.credential_life)
        anchors = Anchors((Anchor("test: chip CA", authority.der),), allow_test=True)
        nobody = LocalChipKeyHolder("test: no key", secrets.token_bytes(16), kid="00000000", sign=lambda message: b"")
        counter = Office(
            register=register,
            ring=ring,
            home=home,
            desk=desk,
            enrolment=Enrolment(register, desk, anchors, nobody),
            issuing=Issuing(register, desk, ring, signing, Drafter(profile, desk), owner="office"),
            authority=authority,
            chip_master=b"",
            signing=signing,
        )
        hub = FeedHub(0, tail=2)  # old beats need not be heard again

        def upkeep(now: datetime) -> None:
            ring.refresh(now)
            keys.upkeep(now)

        return cls(
            clock=clock,
            rules=rules,
            counter=counter,
            keys=keys,
            approvals=approvals,
            publisher=Publisher(register, ring, signing, ttl=10, life=int(rules.status_life.total_seconds())),
            hub=hub,
            journal=journal,
            lifecycle=LifeCycle(register, lambda: None),
            dispatcher=Dispatcher(register, EventDesk(signing, ring, identity), hub, Wake(), clock, upkeep=upkeep),
        )

    @property
    def ring(self) -> KeyRing:
        return self.counter.ring

    @property
    def lead(self) -> int:
        """In whole virtual seconds, so many that it is over."""
        return -int(-self.rules.lead.total_seconds() // 1)

    def turn(self) -> None:
        self.dispatcher.turn()

    def holder(self, serial: int) -> Holder:
        """A person with a proven card and the first credential."""
        chip = self.counter.signature_chip(serial)
        holder = Holder(self.counter.add_card(serial, chip), chip)
        self.renew(holder)
        return holder

    def renew(self, holder: Holder) -> None:
        """One more credential of the same e-card, signed by the key that is active now."""
        now = self.clock()
        proven = self.counter.prove(holder.chip, now)
        ecard_id = holder.credentials[0].ecard_id if holder.credentials else None
        holder.credentials.append(self.counter.issue(proven, holder.device, now, ecard_id=ecard_id))

    def change(self, holder: Holder, change: CardChange) -> None:
        self.lifecycle.change(holder.card_ref, change, self.clock())
        holder.changes.append((self.clock(), change))

    def agreed(self, change: Callable[[], _Done]) -> _Done:
        """Ask as one admin, agree as another, ask again."""
        try:
            return change()
        except ApprovalNeeded as asked:
            self.approvals.decide(asked.request_id, SECOND, approve=True, now=self.clock())
        return change()

    def announce(self, purpose: KeyPurpose) -> str:
        """Make and publish the next key."""
        return self.keys.create(purpose, self.clock()).kid

    def promote(self, kid: str, *, despite_lead: bool = False) -> None:
        self.agreed(lambda: self.keys.promote(kid, ASKER, self.clock(), despite_lead=despite_lead))

    def stolen(self, kid: str, cut_off: datetime | None) -> None:
        self.agreed(lambda: self.keys.compromise(kid, cut_off, ASKER, self.clock()))

    def retire_what_may_go(self) -> list[str]:
        """Retire every key that the rules let go, and only those; returns their ids."""
        gone = []
        for row in self.ring.rows():
            if row.state == KeyState.VERIFY_ONLY and self.keys.foresight.retire(row.kid, self.clock()).refused is None:
                self.agreed(partial(self.keys.retire, row.kid, ASKER, self.clock()))
                gone.append(row.kid)
        return gone
