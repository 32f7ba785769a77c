"""Any order of events: what the register, the feed and the lists say of a card is what the model says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.journeys.card_life.model import APPLIED, LEADS, REPEATED, WORDS, ModelCard, Report
from tests.journeys.card_life.stage import Stage

LEAST_STEPS = 10_000
#: A card is seldom cancelled: what comes after is soon told.
CHANGES = st.sampled_from([*sorted({*LEADS, *WORDS} - {"replace", "cancel"}) * 3, "cancel"])
SIDES = st.sampled_from([0, 1])
#: How long ago it happened, in minutes; negative: in the future.
AGES = st.one_of(st.just(0), st.integers(-7, 120))
SENDERS = st.sampled_from(["card system", "bank"])


class CardLife(RuleBasedStateMachine):
    """Two cards of one person; own desks and two senders report whatever they like, twice, late, or never."""

    stage: ClassVar[Stage]
    steps: ClassVar[int] = 0
    issued: ClassVar[dict[bytes, ModelCard]] = {}

    @initialize()
    def register(self) -> None:
        self.refs = self.stage.two_cards()
        self.cards = (ModelCard(), ModelCard())
        self.told: list[tuple[int, Report]] = []
        self.credentials: dict[bytes, ModelCard] = {}
        self.issue(0)

    def tell(self, side: int, said: Report) -> None:
        expected = self.cards[side].report(said, self.stage.now)
        assert self.stage.report(self.refs[side], said) == expected, said
        self.told.append((side, said))

    @rule(side=SIDES, change=CHANGES, age=AGES)
    def own_desk(self, side: int, change: str, age: int) -> None:
        at = self.stage.now - timedelta(minutes=age)
        self.tell(side, Report(change, f"own-{len(self.told)}", at))

    @rule(side=SIDES, change=CHANGES, age=AGES, origin=SENDERS, skipped=st.sampled_from([0, 0, 0, 1, 5]))
    def next_of_sender(self, side: int, change: str, age: int, origin: str, skipped: int) -> None:
        numbers = [said.number for seen, said in self.told if seen == side and said.origin == origin and said.number]
        number = max(numbers, default=0) + 1 + skipped
        at = self.stage.now - timedelta(minutes=age)
        self.tell(side, Report(change, f"sent-{len(self.told)}", at, origin, number))

    @rule(side=SIDES, change=CHANGES, origin=SENDERS, number=st.integers(1, 8))
    def any_number_of_sender(self, side: int, change: str, origin: str, number: int) -> None:
        """Late, repeated, or the number of something else."""
        self.tell(side, Report(change, f"any-{len(self.told)}", self.stage.now, origin, number))

    @rule(data=st.data(), twist=st.sampled_from([False, False, True]), change=CHANGES)
    def again(self, data: st.DataObject, twist: bool, change: str) -> None:
        """A report word by word, or another change under the same name and number."""
        if self.told:
            side, said = data.draw(st.sampled_from(self.told))
            if twist:
                self.tell(side, replace(said, change=change))
            elif said.change == "replace":
                assert self.stage.replace(self.refs[side], self.refs[1 - side], said) == REPEATED
            else:
                self.tell(side, said)

    @rule(side=SIDES)
    def issue(self, side: int) -> None:
        card = self.cards[side]
        answer, issued = self.stage.issue(self.refs[side], card.ecard)
        assert answer == (APPLIED if card.usable else "card_not_issuable")
        if issued is not None:
            card.ecard = issued.ecard_id
            card.ended[issued.credential_id] = False
            self.credentials[issued.credential_id] = card
            self.issued[issued.credential_id] = card

    @rule(side=SIDES, seldom=st.integers(0, 3))
    def replacement(self, side: int, seldom: int) -> None:
        if seldom:
            return
        old, new = self.cards[side], self.cards[1 - side]
        said = Report("replace", f"own-{len(self.told)}", self.stage.now)
        ecard, refusal = old.ecard, self._replacement_refusal(old, new)
        expected = refusal or old.report(said, self.stage.now)
        assert self.stage.replace(self.refs[side], self.refs[1 - side], said) == expected
        if expected == APPLIED:
            new.ecard = ecard or new.ecard
            new.locked = new.locked or (ecard is not None and old.locked)
            self.told.append((side, said))

    @staticmethod
    def _replacement_refusal(old: ModelCard, new: ModelCard) -> str | None:
        if old.status not in LEADS["replace"][0]:
            return "card_change_impossible"
        if new.status not in {*LEADS["replace"][0], 0}:
            return "replacement_by_cancelled_card"
        return "chip_already_bound" if old.ecard and new.ecard else None

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.stage.service.clock.advance(60 * minutes)

    @rule()
    def verifiers_hear(self) -> None:
        self.stage.fold()
        for credential, card in self.credentials.items():
            assert self.stage.heard(credential) == card.value(credential)

    @invariant()
    def the_register_says_what_the_model_says(self) -> None:
        type(self).steps += 1
        for card, row in zip(self.cards, self.stage.stored(self.refs), strict=True):
            assert row == (card.status, card.locked, card.consented, len(card.known), card.ecard)
        credentials = list(self.credentials)
        assert self.stage.entries(credentials) == [self.credentials[item].value(item) for item in credentials]


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    opened = Stage.open(tmp_path_factory.mktemp("lives"))
    yield opened
    opened.service.issuer.close()


def test_any_order_of_events_ends_as_the_model_says(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    CardLife.stage, CardLife.steps, CardLife.issued = stage, 0, {}
    lives = 0
    while LEAST_STEPS > CardLife.steps:
        run_state_machine_as_test(
            CardLife,
            settings=settings(
                max_examples=50,
                stateful_step_count=60,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                phases=[Phase.generate],  # lives share one register and one clock: a shorter life would be another one
                suppress_health_check=list(HealthCheck),
            ),
        )
        lives += 50
    stage.fold()
    issued = list(CardLife.issued)
    wanted = [CardLife.issued[item].value(item) for item in issued]
    assert [stage.heard(item) for item in issued] == wanted
    assert stage.published(issued) == wanted
    assert {0, 1, 2} <= set(wanted)
    report = stage.service.issuer.publishing.rebuild.run(stage.service.clock, repair=False)
    assert report.equal, report.named
    record_property(
        "counts",
        f"{CardLife.steps} steps in the lives of {2 * lives} cards, {len(issued)} credentials: register, feed and lists"
        " as the model says",
    )
