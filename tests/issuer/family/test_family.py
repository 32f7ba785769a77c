"""Who may show whose e-card, with whose consent, and until when."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from ecard_card.acting import Act, Acting, Ground
from ecard_card.china import CHINA
from ecard_card.errors import CheckFailed, Conflict, EcardError, InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_card.region_policy import FamilyRules, RegionPolicy
from ecard_card.status import CardChange
from ecard_issuer.family.family import Consent, Family
from ecard_issuer.family.link import FamilyEnd, LinkRow, Proof, Relation, Side
from ecard_issuer.holder_services import HolderServices, holder_services
from ecard_verifier.callers import Caller
from tests.contracts.register_world import refused
from tests.issuer.holding import APP, DESK, Held, PlainPepper, card_of, change, ecard_of, number_of
from tests.issuer.pins.typed import FIRST, WRONG
from tests.issuer.service import Service

GUARDIAN = Acting(Ground.GUARDIAN, "g-1")
TEXT = "family-1"


class Guardians:
    """`ActingRules` that know one guardianship, which can end."""

    ended = False

    def require(self, acting: Acting, holder_ref: str, act: Act, now: datetime) -> None:
        if acting == GUARDIAN and self.ended:
            raise RuleViolation("mandate_ended", "over")
        if acting not in (GUARDIAN, Acting(Ground.OWN)):
            raise RuleViolation("mandate_unknown", "no such mandate")


class Household:
    """A service whose region permits three relatives, and short ways to speak to it."""

    def __init__(self, service: Service) -> None:
        self.service, self.rules = service, Guardians()
        self.own: HolderServices = holder_services(
            service.issuer.settings,
            service.issuer.engine,
            service.issuer.register,
            service.issuer.people,
            PlainPepper(),
            rules=self.rules,
            policy_of=lambda region, now: RegionPolicy(family=FamilyRules(relatives=3)),
        )

    @property
    def family(self) -> Family:
        return self.own.family

    @property
    def now(self) -> datetime:
        return self.service.clock()

    def ref(self, held: Held) -> str:
        return self.service.issuer.people.references.holder(held.id_number)

    def link(
        self,
        viewer: Held,
        relative: Held,
        consent: Consent | None = None,
        caller: Caller = DESK,
        relation: Relation = Relation.PARENT,
        now: datetime | None = None,
    ) -> LinkRow:
        given = consent or Consent(TEXT, document=relative.id_number)
        return self.family.link(viewer.id_number, relative.id_number, relation, given, caller, now or self.now)

    def may_show(self, viewer: Held, relative: Held, now: datetime | None = None) -> LinkRow:
        return self.family.may_show(self.ref(viewer), self.ref(relative), now or self.now)

    def child(self, born: date) -> Held:
        return ecard_of(self.service, person=number_of(born, next(_children)))


_children = iter(range(100, 999))


@pytest.fixture
def home(service: Service) -> Household:
    return Household(service)


def test_a_relative_consents_before_a_clerk_or_by_their_own_password(service: Service, home: Household) -> None:
    viewer, mother, wife = ecard_of(service), ecard_of(service), ecard_of(service)
    link = home.link(viewer, mother)
    assert (link.proof, link.place, link.ecard_id, link.ends_at) == (Proof.IN_PERSON, 0, mother.ecard_id, None)
    assert home.link(viewer, mother) == link  # again: the same
    home.own.passwords.set(wife.ecard_id, FIRST, APP, home.now)
    with refused(CheckFailed, "ecard_password_wrong"):
        home.link(viewer, wife, Consent(TEXT, password=WRONG), APP)
    link = home.link(viewer, wife, Consent(TEXT, password=FIRST), APP, Relation.SPOUSE)
    assert (link.proof, link.place) == (Proof.PASSWORD, 1)
    assert home.may_show(viewer, wife) == link
    with refused(NotAllowed, "family_not_permitted"):
        home.may_show(wife, viewer)  # one way only


@pytest.mark.parametrize("caller", [APP, DESK])
def test_without_a_proven_consent_there_is_no_link(service: Service, home: Household, caller: Caller) -> None:
    viewer, mother = ecard_of(service), ecard_of(service)
    with refused(RuleViolation, "family_consent_needed"):
        home.link(viewer, mother, Consent(TEXT), caller)
    with refused(RuleViolation, "family_consent_needed"):
        home.link(viewer, mother, Consent(TEXT, acting=Acting(Ground.MANDATE, "g-1")), caller)
    if caller is APP:  # an app sees no document
        with refused(RuleViolation, "family_consent_needed"):
            home.link(viewer, mother, Consent(TEXT, document=mother.id_number), caller)
    else:
        with refused(NotAllowed, "document_of_other_person"):
            home.link(viewer, mother, Consent(TEXT, document=viewer.id_number), caller)
    for text, until in (("", None), (TEXT, home.now.replace(tzinfo=None))):
        with refused(InvalidInput, "bad_consent"):
            Consent(text, until=until)
    with refused(InvalidInput, "bad_consent"):
        home.link(viewer, mother, Consent(TEXT, document=mother.id_number, until=home.now))


def test_a_child_is_shown_by_consent_of_the_guardian_until_it_comes_of_age(service: Service, home: Household) -> None:
    viewer, child = ecard_of(service), home.child(date(2012, 2, 29))
    with refused(RuleViolation, "guardian_needed"):
        home.link(viewer, child)
    by_guardian = Consent(TEXT, acting=GUARDIAN)
    link = home.link(viewer, child, by_guardian, APP, Relation.CHILD)
    birthday = datetime(2028, 2, 29, tzinfo=CHINA)
    assert (link.proof, link.mandate_id, link.ends_at) == (Proof.GUARDIAN, "g-1", birthday)
    assert home.may_show(viewer, child, birthday - timedelta(seconds=1)) == link
    with refused(NotAllowed, "family_not_permitted"):
        home.may_show(viewer, child, birthday)
    assert [state.over for state in home.family.of(child.id_number, birthday)] == [FamilyEnd.OF_AGE]
    own_consent = home.link(viewer, child, now=birthday)
    assert (own_consent.ends_at, own_consent.place) == (None, link.place)
    assert home.may_show(viewer, child, birthday) == own_consent


def test_a_consent_of_ones_own_takes_the_place_of_a_guardians(service: Service, home: Household) -> None:
    viewer, adult = ecard_of(service), ecard_of(service)
    first = home.link(viewer, adult, Consent(TEXT, acting=GUARDIAN))  # without full civil capacity, then with it
    second = home.link(viewer, adult)
    assert (second.place, second.proof) == (first.place, Proof.IN_PERSON)
    ended = {state.link.link_id: state.over for state in home.family.of(viewer.id_number, home.now)}
    assert ended == {first.link_id: FamilyEnd.RENEWED, second.link_id: None}


def test_a_guardianship_that_ends_takes_the_link_with_it(service: Service, home: Household) -> None:
    viewer, adult = ecard_of(service), ecard_of(service)
    home.link(viewer, adult, Consent(TEXT, acting=GUARDIAN))
    home.may_show(viewer, adult)
    home.rules.ended = True
    with refused(NotAllowed, "family_not_permitted"):
        home.may_show(viewer, adult)
    with refused(RuleViolation, "mandate_unknown"):
        home.link(viewer, adult, Consent(TEXT, acting=Acting(Ground.GUARDIAN, "g-2")))


def test_either_side_ends_it_at_once(service: Service, home: Household) -> None:
    viewer, mother, father = ecard_of(service), ecard_of(service), ecard_of(service)
    first, second = home.link(viewer, mother), home.link(viewer, father)
    with refused(NotFound, "family_link_unknown"):
        home.family.end(father.id_number, first.link_id, home.now)
    assert home.family.end(mother.id_number, first.link_id, home.now).over is FamilyEnd.RELATIVE
    assert home.family.end(viewer.id_number, first.link_id, home.now).over is FamilyEnd.RELATIVE  # as it was
    assert home.family.end(viewer.id_number, second.link_id, home.now).side is Side.VIEWER
    for relative in (mother, father):
        with refused(NotAllowed, "family_not_permitted"):
            home.may_show(viewer, relative)
    assert home.link(viewer, mother).link_id != first.link_id


def test_no_more_relatives_than_the_region_permits_and_places_come_free_by_themselves(
    service: Service, home: Household
) -> None:
    viewer = ecard_of(service)
    relatives = [ecard_of(service) for _ in range(3)]
    for number, relative in enumerate(relatives):
        assert home.link(viewer, relative).place == number
    fourth = ecard_of(service)
    with refused(RuleViolation, "family_full"):
        home.link(viewer, fourth)
    change(service, relatives[1], CardChange.CANCEL)  # and nobody ends the link
    assert home.link(viewer, fourth).place == 1
    over = {state.link.relative_ref: state.over for state in home.family.of(viewer.id_number, home.now)}
    assert over[home.ref(relatives[1])] is FamilyEnd.ECARD_ENDED


def test_a_term_is_kept(service: Service, home: Household) -> None:
    viewer, mother, until = ecard_of(service), ecard_of(service), home.now + timedelta(days=7)
    home.link(viewer, mother, Consent(TEXT, document=mother.id_number, until=until))
    home.may_show(viewer, mother, until - timedelta(seconds=1))
    with refused(NotAllowed, "family_not_permitted"):
        home.may_show(viewer, mother, until)
    assert [state.over for state in home.family.of(mother.id_number, until)] == [FamilyEnd.TERM]


def test_a_lost_card_is_not_shown_and_a_new_one_is(service: Service, home: Household) -> None:
    viewer, mother = ecard_of(service), ecard_of(service)
    link = home.link(viewer, mother)
    change(service, mother, CardChange.REPORT_TEMPORARY_LOSS)
    with refused(RuleViolation, "ecard_not_usable"):
        home.may_show(viewer, mother)
    change(service, mother, CardChange.RELEASE)
    assert home.may_show(viewer, mother) == link
    change(service, viewer, CardChange.CANCEL)
    with refused(RuleViolation, "family_viewer_without_ecard"):
        home.may_show(viewer, mother)


def test_people_without_ecards_are_told(service: Service, home: Household) -> None:
    viewer, none = ecard_of(service), card_of(service)
    with refused(RuleViolation, "family_self"):
        home.link(viewer, viewer)
    with refused(RuleViolation, "family_relative_without_ecard"):
        home.link(viewer, none)
    with refused(RuleViolation, "family_viewer_without_ecard"):
        home.link(none, viewer)
    unknown = Held("", number_of(date(1950, 1, 1), 99))
    with refused(RuleViolation, "family_relative_without_ecard"):
        home.link(viewer, unknown)


def test_every_showing_is_recorded_for_both_and_once(service: Service, home: Household) -> None:
    viewer, mother = ecard_of(service), ecard_of(service)
    link, other = home.link(viewer, mother), home.link(viewer, ecard_of(service))
    assert home.family.record_shown(link, "s-1", APP, home.now)
    assert not home.family.record_shown(link, "s-1", APP, home.now)
    assert home.family.record_shown(link, "s-2", DESK, home.now)
    with refused(Conflict, "family_showing_differs"):
        home.family.record_shown(other, "s-1", APP, home.now)
    with refused(InvalidInput, "bad_event_id"):
        home.family.record_shown(link, "", APP, home.now)
    for held, side in ((viewer, "viewer"), (mother, "relative")):
        row = service.issuer.people.find(held.id_number)
        assert row is not None
        exported = home.own.subject_data[2].of_holder(row, service.issuer.people.seal_of(row))
        mine = next(one for one in exported if one["link_id"] == link.link_id)
        assert mine["side"] == side
        assert sorted(shown["by"] for shown in mine["shown"]) == ["app 1", "outlet 1"]  # type: ignore[attr-defined]
    home.family.end(mother.id_number, link.link_id, home.now)
    with pytest.raises(EcardError, match="family_not_permitted"):
        home.family.record_shown(link, "s-3", APP, home.now)
