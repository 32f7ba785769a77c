"""A crowd that shows its e-cards at every checkpoint, second by second, and an oracle that knows what each must say.

A checkpoint's knowledge is from a known second, so for every verdict there is one right answer: what was true then.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ecard_card import cwt
from ecard_card.status import CardChange
from ecard_issuer.issue import IssuedCredential
from ecard_sdk.device import DeviceKey
from ecard_verifier.verdict import Outcome, Verdict
from tests.journeys.checkpoints import AUDIENCE, NONCE, Checkpoint, Host, Shape, every_habit
from tests.journeys.turning_office import Holder, TurningOffice

LOSE_EVERY, FOUND_AFTER, CANCEL_EVERY = 20, 35, 45  # seconds
_SKEW = 55  # an e-card is still shown so long after its end: clocks may differ by 60 s
_TAKEN = (Outcome.VALID, Outcome.CHECK)


@dataclass(frozen=True, slots=True)
class Shown:
    """One presentation: a code or token, and what is in it. `forged`: a thief's."""

    shape: Shape
    text: str = field(repr=False)
    kid: str
    issued_at: int
    holder: Holder | None
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Theft:
    """A key stolen: told at `at`, void for what it signed after `cut_off` (None: ever)."""

    at: datetime
    cut_off: datetime | None

    def voids(self, issued_at: int) -> bool:
        return self.cut_off is None or issued_at > self.cut_off.timestamp()


@dataclass
class Tally:
    """What came out. The lists name each verdict that should not have been."""

    verified: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    signers: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)  # good, and not valid
    accepted: list[str] = field(default_factory=list)  # known as bad there, and taken all the same
    late: list[str] = field(default_factory=list)  # a lost card taken beyond the checkpoint's bound
    unlearned: Counter[str] = field(default_factory=Counter)  # reasons where the list was older than the signing key
    forged: Counter[str] = field(default_factory=Counter)  # verdicts on a thief's that no rule forbids to take
    least_per_second: int = 1 << 30


class Crowd:
    """`people` holders, twenty-four checkpoints and one office, from the same second on."""

    def __init__(self, office: TurningOffice, people: int = 54) -> None:
        self.office, self.clock = office, office.clock
        self.tally = Tally()
        self.thefts: dict[str, Theft] = {}
        self.thief_shows: Callable[[], Sequence[Shown]] = tuple  # asked once a second
        self._random = random.Random(20)  # noqa: S311 - repeatable on purpose
        self._life = int(office.rules.credential_life.total_seconds())
        self.people = [office.holder(serial) for serial in range(1, people + 1)]
        self._renewal = {
            id(holder): self.clock() + timedelta(seconds=self._random.randint(self._life // 5, self._life * 5 // 6))
            for holder in self.people
        }
        self._about: dict[bytes, tuple[str, int, int]] = {}
        self._published: dict[str, datetime] = {}
        self._second = 0
        office.turn()
        longest, margin = office.rules.longest_cache, office.rules.margin
        self.clock.advance(int(margin.total_seconds()))  # for the place that hears everything so much later
        self.host = Host(office)
        self.places = every_habit(self.host, int(longest.total_seconds()), int(margin.total_seconds()))
        self.pass_seconds(1)  # every place has fetched what it needs

    def pass_seconds(self, count: int) -> None:
        """Let time pass: phones renew, cards are lost and found, places fetch, and everybody shows a card."""
        for _ in range(count):
            self._second += 1
            self.clock.advance(1)
            self._live()
            self.office.turn()
            self.host.note()
            for place in self.places:
                place.tick()
            self._scan()

    @property
    def trouble(self) -> list[str]:
        """What places refused that the issuer itself gave them."""
        return [line for place in self.places for line in place.trouble]

    def stolen(self, kid: str, cut_off: datetime | None) -> None:
        self.office.stolen(kid, cut_off)
        self.thefts[kid] = Theft(self.clock(), cut_off)

    def renew_all(self) -> None:
        """Everybody whose card is good gets a new credential, as after a theft."""
        for holder in self.people:
            if self._good(holder, self.clock()):
                self.office.renew(holder)

    def _live(self) -> None:
        now = self.clock()
        untouched = [holder for holder in self.people if not holder.changes]
        if self._second % LOSE_EVERY == 0 and untouched:
            self.office.change(self._random.choice(untouched), CardChange.REPORT_LOSS)
        elif self._second % CANCEL_EVERY == 0 and untouched:
            self.office.change(self._random.choice(untouched), CardChange.CANCEL)
        for holder in self.people:
            if holder.changes and holder.changes[-1][1] is CardChange.REPORT_LOSS:
                if now - holder.changes[-1][0] >= timedelta(seconds=FOUND_AFTER):
                    self.office.change(holder, CardChange.RELEASE)
            elif now >= self._renewal[id(holder)] and self._good(holder, now):
                self.office.renew(holder)
                self._renewal[id(holder)] = now + timedelta(seconds=self._life * 5 // 6)

    def _scan(self) -> None:
        shown = {shape: self._fresh(shape) for shape in Shape}
        forged, before = self.thief_shows(), self.tally.verified
        for number, place in enumerate(self.places):
            for turn, shape in enumerate(place.shapes):
                one = shown[shape][(number + turn) % len(shown[shape])]
                if shape is Shape.SHORT and one.issued_at > place.status_as_of.timestamp():
                    continue  # a place that is away cannot have heard of it, whatever the keys do
                self._judge(place, one)
            for one in forged:
                if one.shape in place.shapes:
                    self._judge(place, one)
        self.tally.least_per_second = min(self.tally.least_per_second, self.tally.verified - before)

    def _fresh(self, shape: Shape) -> list[Shown]:
        """Codes of four people, each with the newest credential or one that has not ended either."""
        now, made = self.clock(), list[Shown]()
        for holder in self._random.sample(self.people, len(self.people)):
            usable = [one for one in holder.credentials if self.about(one.cwt)[2] + _SKEW > now.timestamp()]
            if usable:
                one = usable[-1] if self._random.random() < 0.6 else self._random.choice(usable)
                made.append(self.show(shape, holder.device, one, holder))
            if len(made) == 4:
                break
        return made

    def show(
        self, shape: Shape, device: DeviceKey, one: IssuedCredential, holder: Holder | None, *, forged: bool = False
    ) -> Shown:
        """`one` as its holder shows it now."""
        now = self.clock()
        match shape:
            case Shape.WHOLE:
                text = device.offline_code(one.cwt, now)
            case Shape.SHORT:
                text = device.online_code(one.cwt, now)
            case Shape.SELECTIVE:
                text = device.present(one.sd_jwt, ["name"], audience=AUDIENCE, nonce=NONCE, now=now)
        kid, issued_at, _ = self.about(one.cwt)
        return Shown(shape, text, kid, issued_at, holder, forged)

    def about(self, compact: bytes) -> tuple[str, int, int]:
        """Who signed a credential, when, and until when it is good."""
        if compact not in self._about:
            read = cwt.parse(compact)
            self._about[compact] = (read.kid.hex(), read.issued_at, read.expires_at)
        return self._about[compact]

    def _judge(self, place: Checkpoint, one: Shown) -> None:
        trust_as_of, tally = place.trust_as_of, self.tally
        verdict = place.judge(one.shape, one.text)
        tally.verified += 1
        tally.outcomes[f"{verdict.outcome.value} {verdict.reason}"] += 1
        line = f"second {self._second}, {place.name}, {one.shape}, key {one.kid}: {verdict.outcome} {verdict.reason}"
        theft = self.thefts.get(one.kid)
        if theft is not None and trust_as_of > theft.at and theft.voids(one.issued_at):
            unknown = one.forged and one.shape is Shape.SHORT  # a reference that the mirror has never heard of
            if verdict.reason != ("mirror_behind" if unknown else "key_compromised"):
                tally.accepted.append(line)
        elif one.forged:
            told = theft is not None and trust_as_of > theft.at
            tally.forged[f"{one.shape} {'told' if told else 'untold'} {verdict.reason}"] += 1
        elif self._publication(one.kid) >= trust_as_of:
            tally.unlearned[verdict.reason] += 1
        else:
            self._judge_card(place, one, verdict, line)

    def _judge_card(self, place: Checkpoint, one: Shown, verdict: Verdict, line: str) -> None:
        """An honest card under a key that is believed there: its status decides, as that place knows it."""
        assert one.holder is not None
        good_there, good_now = (self._good(one.holder, at, one.issued_at) for at in (place.status_as_of, self.clock()))
        if good_there and verdict.outcome is not Outcome.VALID:
            self.tally.refused.append(line)
        elif good_there:
            self.tally.signers[one.kid] += 1
            if not good_now and self.clock() - one.holder.changes[-1][0] > timedelta(seconds=place.stale):
                self.tally.late.append(line)
        elif verdict.outcome in _TAKEN or verdict.reason not in ("suspended", "ended"):
            self.tally.accepted.append(line)

    def _publication(self, kid: str) -> datetime:
        if kid not in self._published:
            published = self.office.ring.row(kid).published_at
            assert published is not None
            self._published[kid] = published
        return self._published[kid]

    @staticmethod
    def _good(holder: Holder, as_of: datetime, issued_at: int = 0) -> bool:
        """Whether a credential of `issued_at` was good for whoever heard of everything up to `as_of`; what happened to
        the card before says nothing of its newer credentials."""
        heard = [change for at, change in holder.changes if issued_at <= at.timestamp() and at <= as_of]
        return not heard or heard[-1] is CardChange.RELEASE


__all__ = ["Crowd", "Shown", "Tally", "Theft"]
