"""A holder's phone and a counter's page, both in Chromium, with the whole service between them: real codes, judged,
masked, used once, refused when lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from ecard_card.status import CardChange
from ecard_issuer.links.values import Link
from ecard_verifier.callers import Role
from ecard_verifier.counters.office import Who
from ecard_verifier.purposes.purposes import Level
from tests.journeys.channels.screen import Screen, Stage, stage
from tests.journeys.counter.desk import PICTURES, Desk, Desks, chromium
from tests.require import needs_component
from tests.verifier.counter_page.fake import Fake

ROOT = Who("root", None)


@dataclass
class Town:
    """A merchant with two windows, and holders."""

    theatre: Stage
    desks: Desks
    group_id: str
    windows: tuple[str, str]

    def open(self, window: int = 0) -> Desk:
        """A fresh browser at a window, admitted by a link of its manager."""
        administration = self.theatre.verifier.counters.administration
        admission = administration.entrance.offer(self.windows[window], None, self.theatre.clock())
        desk = self.desks.new(admitted=False)
        return desk.open(f"?lang=zh#admit={admission.code}").choose()

    def phone(self, link: Link) -> Screen:
        """The holder's e-card on a phone."""
        return self.theatre.screen().opened(self.theatre.ticket(link), "lang=zh")

    def scan(self, desk: Desk, phone: Screen) -> tuple[str, str]:
        """A picture of the phone's screen, taken at the counter."""
        self.theatre.caught_up()
        desk.upload("screen.png", phone.element.screenshot(animations="disabled"))
        return desk.result()

    def system(self, path: str) -> Any:
        """What a system of the merchant's fetches."""
        administration = self.theatre.verifier.counters.administration
        _, token = administration.office.add_token(ROOT, self.group_id, path[-12:], Role.COUNTER, self.theatre.clock())
        answer = httpx2.get(self.theatre.service + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    needs_component()
    folder: Path = tmp_path_factory.mktemp("town")
    flags = ("--disable-features=LocalNetworkAccessChecks",)
    with chromium(*flags) as browser, stage(folder, browser) as theatre:
        office, now = theatre.verifier.counters.administration.office, theatre.clock()
        group = office.add_group("仁爱医院", Level.DESIGNATED, ["medical", "query", "large-payment"], 1000, now)
        branch = office.add_branch(ROOT, group.group_id, "东院", now)
        windows = [office.add_counter(ROOT, branch.branch_id, name, now, devices=4) for name in ("1号窗口", "2号窗口")]
        desks = Desks(Fake(), theatre.service, browser)
        yield Town(theatre, desks, group.group_id, (windows[0].counter_id, windows[1].counter_id))
        desks.close()


def test_a_code_off_a_phone_is_good_once_here_and_nowhere_else(town: Town) -> None:
    link = town.theatre.link()
    here, there, phone = town.open(), town.open(1), town.phone(link)
    assert town.scan(here, phone)[0] in ("valid", "check")
    word, reason, step = here.said()
    fields = dict(
        zip(
            here.page.locator("#outcome-fields dt").all_inner_texts(),
            here.page.locator("#outcome-fields dd").all_inner_texts(),
            strict=True,
        )
    )
    assert "*" in fields["姓名"], "the service masks"
    PICTURES.mkdir(parents=True, exist_ok=True)
    here.page.screenshot(path=PICTURES / "counter-real-zh.png")
    assert town.scan(here, phone) == ("check", "shown_again")
    expect(here.page.locator("#outcome-seen")).to_contain_text("本窗口已于")
    assert town.scan(there, phone) == ("invalid", "replayed")
    expect(there.page.locator("#outcome-seen")).to_contain_text("在其他窗口使用")
    assert there.page.locator("#outcome-fields dd").count() == 0
    assert (word, bool(reason), bool(step)) in (("有效", True, True), ("需核对", True, True))


def test_a_number_read_out_and_a_text_typed_by_a_scanner_are_codes_too(town: Town) -> None:
    desk, phone = town.open(), town.phone(town.theatre.link())
    phone.part("bars").locator("svg").wait_for()
    number = phone.scan(kind="Code128")
    assert number is not None
    town.theatre.caught_up()
    desk.page.locator("#digits-open").click()
    for digit in number:
        desk.page.locator(f"#digits-pad [data-key='{digit}']").click()
    desk.await_next()
    desk.page.locator("#digits-go").click()
    assert desk.result()[0] in ("valid", "check")
    online = town.theatre.screen().opened(town.theatre.ticket(town.theatre.link()), "lang=zh form=online")
    code = online.scan()
    assert code is not None
    assert code.startswith("EC0:")
    town.theatre.caught_up()
    desk.type(code.lower())
    assert desk.result()[0] in ("valid", "check")


def shown_first(desk: Desk) -> str:
    """What a holder's scanner reads off the counter's screen."""
    expect(desk.page.locator("#challenge-left")).to_contain_text("秒后更换")
    picture = Image.open(io.BytesIO(desk.page.locator("#challenge-code").screenshot()))
    return str(zxingcpp.read_barcodes(picture)[0].text)


def test_where_the_counter_asks_first_each_screen_is_read_by_the_other(town: Town) -> None:
    desk, phone, other = town.open(), town.phone(town.theatre.link()), town.phone(town.theatre.link())
    desk.choose("large-payment")
    assert shown_first(desk).startswith("ECQ:")
    assert town.scan(desk, phone) == ("invalid", "challenge_unanswered")
    desk.leave()
    asked = shown_first(desk)
    for screen in (phone, other):
        screen.element.evaluate("(element, text) => element.answer(text)", asked)
        assert "1号窗口" in screen.part("asked-facts").inner_text()
        screen.part("agree").click()
        screen.page.wait_for_function("() => events.some(e => e[0] === 'agreed')")
    assert town.scan(desk, phone) == ("valid", "ok")
    PICTURES.mkdir(parents=True, exist_ok=True)
    desk.page.screenshot(path=PICTURES / "counter-real-challenge-zh.png")
    desk.leave()
    assert shown_first(desk) != asked
    assert town.scan(desk, other) == ("invalid", "wrong_nonce"), "a relayed question is over when it is answered"


def test_a_lost_card_is_refused(town: Town) -> None:
    link = town.theatre.link()
    desk, phone = town.open(), town.phone(link)
    picture = phone.element.screenshot(animations="disabled")
    town.theatre.change(link, CardChange.REPORT_LOSS)
    town.theatre.caught_up()
    desk.upload("screen.png", picture)
    assert desk.result() == ("invalid", "suspended")
    assert desk.said()[:2] == ["无效", "该卡已挂失或已锁定。"]


def test_a_system_fetches_what_was_verified_by_the_id_that_the_page_hands_on(town: Town) -> None:
    desk, phone = town.open(), town.phone(town.theatre.link())
    with desk.page.expect_response("**/v1/counter/verifications") as answer:
        assert town.scan(desk, phone)[0] in ("valid", "check")
    said = answer.value.json()
    fetched = town.system(f"/v1/verifications/{said['verification_id']}")
    assert (fetched["outcome"], fetched["purpose"]) == (said["outcome"], "medical")


def test_a_window_that_is_ended_stops_with_the_next_scan(town: Town) -> None:
    desk, phone = town.open(1), town.phone(town.theatre.link())
    office = town.theatre.verifier.counters.administration.office
    office.revoke_counter(ROOT, town.windows[1], town.theatre.clock())
    town.theatre.caught_up()
    desk.upload("screen.png", phone.element.screenshot(animations="disabled"))
    expect(desk.page.locator("#admit-why")).to_contain_text("已被管理员停用")
