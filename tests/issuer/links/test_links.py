"""A channel's links: codes that verifiers accept, credentials for devices, release, and what a card's life makes of
them. Each test has people of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from ecard_card.acting import IN_PERSON, Channel
from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.levels.opening import OpeningRow
from ecard_issuer.life.values import Asked, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.links.links import Code
from ecard_issuer.links.rights import MOST_DEVICES
from ecard_issuer.links.values import Link, LinkEnd, LinkNews
from ecard_issuer.states import CredentialState
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from tests.contracts.register_world import refused
from tests.issuer.links_kit import claim, claimed, evidence, judged, person
from tests.issuer.service import Service

BANK, TOWN = "ek_live_" + "b" * 24, "ek_live_" + "t" * 24


def link_of(service: Service, app: str, serial: int) -> Link:
    return service.issuer.links.get(app, claimed(service, app, serial))


def code(service: Service, link: Link) -> Code:
    (only,) = service.issuer.links.codes(link, 1, service.clock())
    return only


def test_a_code_made_by_the_authority_is_an_ordinary_one(service: Service) -> None:
    link = link_of(service, BANK, 1)
    first, second = code(service, link), code(service, link)
    assert first.text.startswith("EC0:")
    assert first.text != second.text
    assert first.good_until - first.good_from == timedelta(seconds=60)
    assert judged(service, first.text).reason == "ok"
    rights = service.issuer.links.store.rights_of(link.link_id)
    assert len(rights) == 1, "one key is kept, and used again"
    service.clock.advance(125)
    assert judged(service, first.text).reason == "code_expired"


def test_an_app_has_one_link_with_an_ecard_and_sees_no_other_apps(service: Service) -> None:
    first = link_of(service, BANK, 2)
    assert link_of(service, BANK, 2) == first
    other = link_of(service, TOWN, 2)
    assert other.ecard_id == first.ecard_id
    assert other.link_id != first.link_id
    with refused(NotFound, "link_unknown"):
        service.issuer.links.get(TOWN, first.link_id)
    with refused(NotFound, "link_unknown"):
        service.issuer.links.get(BANK, "0" * 32)
    assert {link.app_id for link in service.issuer.links.links_of_ecard(first.ecard_id)} == {BANK, TOWN}


def test_a_device_gets_one_credential_and_the_oldest_of_many_gives_way(service: Service) -> None:
    links, now = service.issuer.links, service.clock()
    link = link_of(service, BANK, 3)
    phone = DeviceKey.generate()
    issued = links.issue_to(link, phone.point, now)
    assert links.issue_to(link, phone.point, now).credential_id == issued.credential_id
    shown = phone.offline_code(issued.cwt, now)
    assert judged(service, shown).reason == "ok"
    for _ in range(MOST_DEVICES):
        links.issue_to(link, DeviceKey.generate().point, service.clock.advance(1))
    assert judged(service, shown).reason == "ended"
    assert judged(service, code(service, link).text).reason == "ok", "the kept key is no device"


def test_a_release_ends_this_apps_credentials_and_nobody_elses(service: Service) -> None:
    links, now = service.issuer.links, service.clock()
    phone = DeviceKey.generate()
    made = claim(service, BANK, 4, device=phone)
    assert made.issued is not None
    other = link_of(service, TOWN, 4)
    kept, others = code(service, made.link), code(service, other)
    ended = links.release(made.link, now)
    assert (ended.end, ended.ended_at) == (LinkEnd.RELEASED, now)
    assert links.release(made.link, service.clock.advance(1)) == ended
    assert judged(service, kept.text).reason == "ended"
    assert judged(service, phone.offline_code(made.issued.cwt, service.clock())).reason == "ended"
    assert judged(service, others.text).reason == "ok"
    for use in (lambda: links.codes(ended, 1, now), lambda: links.issue_to(ended, phone.point, now)):
        with refused(RuleViolation, "link_released"):
            use()
    with refused(RuleViolation, "link_released"):  # whoever read the link before
        links.rights.kept(made.link, links.ecard(other, now), now, now)
    state = links.state(links.get(BANK, ended.link_id), now)
    assert (state.usable, state.status) == (False, EcardStatus.INVALID)  # no word of what became of the e-card
    again = link_of(service, BANK, 4)
    assert again.link_id != ended.link_id
    assert judged(service, code(service, again).text).reason == "ok"


def test_a_released_link_keeps_no_key(service: Service) -> None:
    link = link_of(service, BANK, 5)
    code(service, link)
    (right,) = service.issuer.links.store.rights_of(link.link_id)
    assert right.sealed_key is not None
    service.issuer.links.release(link, service.clock())
    assert service.issuer.links.store.rights_of(link.link_id) == ()


def test_a_lost_card_keeps_its_links_and_shows_nothing(service: Service) -> None:
    links, link = service.issuer.links, link_of(service, BANK, 6)
    service.issuer.lifecycle.change(person(service, 6).card_ref, CardChange.REPORT_LOSS, service.clock())
    with refused(RuleViolation, "ecard_not_usable"):
        code(service, link)
    state = links.state(link, service.clock())
    assert (state.status, state.usable, state.link.ended_at) == (EcardStatus.SUSPENDED, False, None)
    assert [held.app_id for held in links.links_of_ecard(link.ecard_id)] == [BANK]


def test_a_cancelled_card_ends_its_links(service: Service) -> None:
    links, link = service.issuer.links, link_of(service, BANK, 7)
    code(service, link)
    service.issuer.lifecycle.change(person(service, 7).card_ref, CardChange.CANCEL, service.clock())
    with refused(RuleViolation, "ecard_ended"):
        code(service, link)
    ended = links.get(BANK, link.link_id)
    assert ended.end is LinkEnd.CARD_ENDED
    assert links.state(ended, service.clock()).status is EcardStatus.INVALID
    assert links.store.rights_of(link.link_id) == ()


def test_codes_ahead_only_where_the_region_permits_them(service: Service) -> None:
    link, now = link_of(service, BANK, 8), service.clock()
    for count in (0, 61, -1):
        with refused(InvalidInput, "bad_code_count"):
            service.issuer.links.codes(link, count, now)
    with refused(RuleViolation, "codes_ahead_not_permitted"):
        service.issuer.links.codes(link, 2, now)


def test_news_is_written_once_and_taken_up(service: Service) -> None:
    links, store = service.issuer.links, service.issuer.links.store
    link = link_of(service, BANK, 9)
    opening = OpeningRow(link.ecard_id, 1, service.clock(), "desk", "in_person", None, "payment-1")
    for _ in range(2):
        links.level_changed(opening, service.clock.advance(1))
    links.release(link, service.clock())
    own = [row for row in store.waiting_news(1000) if row.link_id == link.link_id]
    assert [row.kind for row in own] == [LinkNews.CLAIMED, LinkNews.LEVEL, LinkNews.RELEASED]
    assert "ecard" not in str([row.about for row in own])
    store.taken_up(own)
    assert not {row.news_id for row in own} & {row.news_id for row in store.waiting_news(1000)}


def test_twenty_releases_and_codes_at_once_leave_nothing_live(service: Service) -> None:
    links, link, now = service.issuer.links, link_of(service, BANK, 10), service.clock()

    def act(number: int) -> str:
        try:
            if number == 10:
                links.release(link, now)
                return ""
            return links.codes(link, 1, now)[0].text
        except RuleViolation as refusal:
            return "" if refusal.code == "link_released" else refusal.code

    with ThreadPoolExecutor(8) as pool:
        texts = [text for text in pool.map(act, range(20)) if text]
    assert all(judged(service, text).reason == "ended" for text in texts)
    assert replace(links.get(BANK, link.link_id), ended_at=None, end=None) == link


def test_a_link_follows_its_holder_to_another_number(service: Service) -> None:
    links, issuer, now = service.issuer.links, service.issuer, service.clock()
    link = link_of(service, BANK, 11)
    before = code(service, link)
    other = person(service, 12)
    opened = issuer.enrolment.begin("desk-1", now)
    issuer.enrolment.complete(opened.enrolment_id, evidence(service, 12, opened.challenge.digest()), now)
    desk, wish = Caller("desk", Role.DESK), Who(card_ref=person(service, 11).card_ref)
    asked = Asked("r-1", desk, Channel.DESK, IN_PERSON)
    replacements = issuer.life.replacements
    number = other.id_number.text
    case = replacements.order(ReplacementReason.CHANGED_DATA, wish, asked, now, new_id_number=number).case
    replacements.made(case.case_id, other.card_ref, desk, now)
    replacements.collect(case.case_id, opened.enrolment_id, asked, now)
    after = code(service, link)
    assert (judged(service, before.text).reason, judged(service, after.text).reason) == ("ended", "ok")
    held = links.get(BANK, link.link_id)
    assert held.holder_ref == issuer.people.references.holder(other.id_number) != link.holder_ref
    (right,) = links.store.rights_of(link.link_id)
    assert right.holder_ref == held.holder_ref


def test_twenty_devices_at_once_are_no_more_than_one_link_may_have(service: Service) -> None:
    links, now = service.issuer.links, service.clock()
    link = link_of(service, BANK, 40)
    points = [DeviceKey.generate().point for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        issued = list(pool.map(lambda point: links.issue_to(link, point, now), points))
    live = [service.issuer.register.find_credential(one.credential_id) for one in issued]
    assert sum(row is not None and row.state is CredentialState.LIVE for row in live) == MOST_DEVICES
