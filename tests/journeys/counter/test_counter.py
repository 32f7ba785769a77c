"""A counter's day on the page, in Chromium: admitted, staffed, watched by its strip, told to other systems, ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Route, expect

from ecard_verifier.verdict import rfc3339
from tests.journeys.counter.desk import Desk, Desks, desks
from tests.verifier.counter_page.fake import ADMISSION, online_code, purpose

HIS = "https://his.example"


@pytest.fixture(scope="module")
def house() -> Iterator[Desks]:
    with desks() as made:
        yield made


@pytest.fixture
def hall(house: Desks) -> Iterator[Desks]:
    yield house
    house.close()


def test_a_link_admits_and_its_code_leaves_the_address_at_once(hall: Desks) -> None:
    desk = hall.new(admitted=False).open(f"?lang=zh#admit={ADMISSION.lower()}")
    assert desk.page.url == f"{hall.url}/counter?lang=zh"
    assert desk.page.evaluate("history.length") <= 2
    desk.page.reload()
    desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")
    assert ADMISSION not in desk.page.content()


def test_a_code_is_typed_a_wrong_one_said_and_the_staff_logs_in(hall: Desks) -> None:
    hall.fake.staff_needed = True
    desk = hall.new(admitted=False).open("?lang=zh", "admit")
    said = desk.page.locator("#admit-form .said")
    for wrong in ("WRONG234", "abc"):
        desk.page.keyboard.type(wrong)
        desk.page.keyboard.press("Enter")
        expect(said).to_contain_text("接入码不正确")
        desk.page.locator("#admit-code").fill("")
    desk.page.locator("#admit-code").fill("ａｂｃｄ 2345")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_function("() => document.body.dataset.screen === 'staff'")
    desk.type(online_code())
    assert hall.fake.asked == [], "nobody is there yet"
    desk.page.keyboard.type("小李")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.type("1111")
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator("#staff-form .said")).to_have_text("代号或密码不正确。")
    desk.page.locator("#staff-pin").fill("246810")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")
    expect(desk.page.locator("#strip-staff")).to_have_text("小李")
    assert "246810" not in desk.page.evaluate("JSON.stringify({...localStorage}) + document.documentElement.outerHTML")
    assert desk.page.locator("#staff-pin").input_value() == ""
    desk.page.locator("#settings-open").click()
    desk.page.locator("#staff-out").click()
    desk.page.wait_for_function("() => document.body.dataset.screen === 'staff'")


def test_the_purpose_is_chosen_once_and_nothing_is_judged_without(hall: Desks) -> None:
    desk = hall.new().open()
    expect(desk.page.get_by_text("先选择本窗口的用途")).to_be_visible()
    desk.type(online_code())
    assert desk.result() == ("undecided", "purpose_missing")
    assert hall.fake.asked == []
    desk.leave()
    desk.choose("pharmacy").open("")
    expect(desk.page.locator("#purposes input:checked")).to_have_value("pharmacy")
    desk.type(online_code())
    desk.result()
    assert [one["purpose"] for one in hall.fake.asked] == ["pharmacy"]
    desk.leave()
    hall.fake.state = {"purposes": [purpose("medical")]}
    desk.open("")
    expect(desk.page.locator("#purposes input:checked")).to_have_value("medical")


def test_a_counter_that_was_ended_is_wiped_and_told_so(hall: Desks) -> None:
    for code, text in (("counter_revoked", "已被管理员停用"), ("counter_not_admitted", "请重新接入")):
        desk = hall.new().open().choose()
        desk.type(online_code())
        assert desk.result() == ("valid", "ok")
        assert "shift" in desk.page.evaluate("JSON.stringify(Object.keys(localStorage))")
        hall.fake.status, hall.fake.code = 401, code
        desk.type(online_code())
        desk.page.wait_for_function("() => document.body.dataset.screen === 'admit'")
        expect(desk.page.locator("#admit-why")).to_contain_text(text)
        expect(desk.page.locator("#outcome")).to_be_hidden()
        assert "shift" not in desk.page.evaluate("JSON.stringify(Object.keys(localStorage))")
        assert "王" not in desk.page.content()
        hall.fake.status = None


def test_a_revoked_counter_learns_it_without_a_scan(hall: Desks) -> None:
    desk = hall.new()
    desk.page.clock.install()
    desk.open().choose()
    hall.fake.revoked = True
    desk.page.clock.run_for(16_000)
    expect(desk.page.locator("#admit-why")).to_contain_text("已被管理员停用")


def test_to_log_off_is_to_wipe(hall: Desks) -> None:
    desk = hall.new().open().choose()
    desk.type(online_code())
    desk.result()
    desk.leave()
    desk.page.locator("#settings-open").click()
    desk.page.locator("#log-off").click()
    desk.page.locator("#log-off-yes").click()
    expect(desk.page.locator("#admit-why")).to_contain_text("本机数据已清除")
    desk.page.reload()
    desk.page.wait_for_function("() => document.body.dataset.screen === 'admit'")
    assert "shift" not in desk.page.evaluate("JSON.stringify(Object.keys(localStorage))")
    assert desk.page.evaluate("async () => (await indexedDB.databases()).length") == 0


def test_the_strip_says_what_is_old_and_whose_clock_is_wrong(hall: Desks) -> None:
    desk = hall.new().open()
    chips = {name: desk.page.locator(f"#strip-{name}") for name in ("online", "status", "trust", "clock", "place")}
    expect(chips["online"]).to_have_text("联网")
    expect(chips["trust"]).to_have_text("信任列表 3小时前")
    expect(chips["clock"]).to_have_text("时钟正常")
    expect(chips["place"]).to_have_text("仁爱医药 · 人民路店 · 2号窗口")
    assert {chips[name].get_attribute("data-level") for name in ("online", "status", "trust", "clock")} == {"good"}
    hall.fake.clock_ahead = 3600
    desk.open("")
    expect(chips["clock"]).to_have_text("时钟偏差60分钟，请校准")
    expect(chips["clock"]).to_have_attribute("data-level", "bad")
    now = datetime.now(UTC)
    hall.fake.clock_ahead = 0
    old = {"status_as_of": rfc3339(now - timedelta(minutes=9)), "trust_expires_at": rfc3339(now - timedelta(minutes=1))}
    hall.fake.state = old
    desk.open("")
    expect(chips["status"]).to_have_attribute("data-level", "warn")
    expect(chips["trust"]).to_have_text("信任列表已过期")
    hall.fake.state = {"status_as_of": None, "trust_as_of": None, "trust_expires_at": None}
    desk.open("")
    expect(chips["status"]).to_have_text("卡状态时间未知")
    expect(chips["trust"]).to_have_text("信任列表未知")


def test_the_first_visit_without_a_service_says_so_and_goes_on_when_it_is_back(hall: Desks) -> None:
    desk = hall.new()
    desk.page.clock.install()
    hall.fake.status = 503
    desk.open(screen="opening")
    expect(desk.page.locator("#opening")).to_contain_text("正在重试")
    hall.fake.status = None
    desk.page.clock.run_for(4000)
    desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")


def test_the_shift_list_has_no_names_and_can_be_taken_along(hall: Desks, tmp_path: Path) -> None:
    desk = hall.new().open().choose()
    lost = online_code()
    hall.fake.says[lost] = {"outcome": "invalid", "reason": "suspended", "shown": {}}
    for code in (online_code(), lost):
        desk.type(code)
        desk.result()
        desk.leave()
    for online in (True, False):
        desk.context.set_offline(not online)
        desk.page.locator("#shift-open").click()
        rows = desk.page.locator("#shift-rows tr")
        expect(rows).to_have_count(2)
        expect(desk.page.locator("#shift-local")).to_be_visible(visible=not online)
        expect(rows.first).to_contain_text("已挂失")
        assert "王" not in desk.page.locator("#shift").inner_text()
        with desk.page.expect_download() as download:
            desk.page.locator("#shift-export").click()
        path = tmp_path / f"{online}.csv"
        download.value.save_as(path)
        found = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        assert [(row["outcome"], row["reason"], row["reference"]) for row in found] == [
            ("invalid", "suspended", "000002"),
            ("valid", "ok", "000001"),
        ]
        desk.page.locator("#shift [data-close]").click()


# Systems behind the counter


def opened_by(desk: Desk, origin: str, query: str = "") -> None:
    """A page of a system, which opens the counter's page in a window of its own and writes down what it is told."""
    content = (
        "<!doctype html><script>window.told = []; addEventListener('message', e => told.push([e.origin, e.data]));"
        f"window.other = window.open('{desk.url}/counter?lang=zh&state=visit-1{query}')</script>"
    )

    def host(route: Route) -> None:
        route.fulfill(body=content, content_type="text/html")

    desk.context.route(f"{origin}/**", host)
    opener = desk.page
    with desk.context.expect_page() as other:
        opener.goto(f"{origin}/")
    desk.page = other.value
    desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")
    desk.opener = opener


def test_a_system_that_opened_the_page_hears_the_id_alone(hall: Desks) -> None:
    hall.fake.state = {"return_origins": [HIS]}
    for origin, hears in ((HIS, True), ("https://evil.example", False)):
        desk = hall.new()
        opened_by(desk, origin)
        desk.choose()
        desk.type(online_code())
        assert desk.result() == ("valid", "ok")
        ids = [one["verification_id"] for one in hall.fake.answers.values()]
        message = {"type": "ecard:verification", "verification_id": ids[-1], "state": "visit-1"}
        assert desk.opener is not None
        assert desk.opener.evaluate("told") == ([[hall.url, message]] if hears else [])
        desk.foreign.clear()


def test_a_system_may_wait_for_the_page_to_come_back_with_the_id(hall: Desks) -> None:
    hall.fake.state = {"return_origins": [HIS]}
    desk = hall.new()
    desk.context.route(f"{HIS}/**", lambda route: route.fulfill(body="back", content_type="text/html"))
    desk.open(f"?lang=zh&state=v1&return={HIS}/done").choose()
    desk.type("https://example.com/")
    assert desk.result()[0] == "invalid"
    expect(desk.page.locator("#outcome-back")).to_be_hidden()
    desk.leave()
    desk.type(online_code())
    desk.result()
    desk.page.locator("#outcome-back").click()
    desk.page.wait_for_url(f"{HIS}/**")
    (answer,) = hall.fake.answers.values()
    assert desk.page.url == f"{HIS}/done?verification_id={answer['verification_id']}&state=v1"
    desk.foreign.clear()


# The counter shows first


def test_a_purpose_that_demands_it_shows_a_code_first_and_says_which_was_answered(hall: Desks) -> None:
    hall.fake.state = {"purposes": [purpose("medical"), purpose("benefit", challenge=True)]}
    desk = hall.new()
    desk.page.clock.install()
    desk.open().choose()
    expect(desk.page.locator("#challenge")).to_be_hidden()
    desk.choose("benefit")
    expect(desk.page.locator("#challenge")).to_contain_text("请持卡人先扫描此码")

    def shown() -> str:
        picture = Image.open(io.BytesIO(desk.page.locator("#challenge-code").screenshot()))
        return str(zxingcpp.read_barcodes(picture)[0].text)

    assert shown() == "ECQ:BENEFIT/1"
    code = online_code()
    desk.type(code)
    assert desk.result() == ("valid", "ok")
    assert hall.fake.asked[-1]["challenge_id"] == "chl_0"
    desk.leave()
    expect(desk.page.locator("#challenge-left")).to_contain_text("秒后更换")
    assert shown() == "ECQ:BENEFIT/2", "answered once, it is replaced"
    desk.page.clock.run_for(112_000)
    expect(desk.page.locator("#challenge-left")).to_contain_text("秒后更换")
    assert shown() == "ECQ:BENEFIT/3", "and before it is over"
    hall.fake.status = 503
    desk.page.clock.run_for(112_000)
    expect(desk.page.locator("#challenge-left")).to_contain_text("正在重试")
    expect(desk.page.locator("#challenge-code")).to_be_hidden()
    hall.fake.status = None
    desk.page.clock.run_for(4000)
    expect(desk.page.locator("#challenge-left")).to_contain_text("秒后更换")
    desk.choose("medical")
    desk.type(online_code())
    desk.result()
    assert hall.fake.asked[-1]["challenge_id"] is None
