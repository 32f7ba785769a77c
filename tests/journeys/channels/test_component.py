"""`<ecard-code>` in a real browser, over the real service: what is on the screen is scanned off it and judged."""

from __future__ import annotations

import io
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Route, expect, sync_playwright

from ecard_card.status import CardChange
from ecard_qr.challenge import Challenge, Transaction
from tests.journeys.channels.screen import AHEAD, CHROMIUM_FLAGS, HOST, Screen, Stage, stage
from tests.require import needs_chromium, needs_component, needs_node

OTHER_HOST = "https://other.example"
ROOT = Path(__file__).parents[3]
#: Pictures of every theme in both languages, for people to look at.
PICTURES = ROOT / "build/screenshots"


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    needs_component()
    path = needs_chromium()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS)) as browser,
        stage(tmp_path_factory.mktemp("component"), browser) as made,
    ):
        yield made


@pytest.fixture
def screen(theatre: Stage) -> Iterator[Screen]:
    made = theatre.screen()
    yield made
    assert made.errors == []
    made.context.close()


def scanned(screen: Screen, **how: float) -> str:
    code = screen.scan(**how)  # type: ignore[arg-type]
    assert code is not None, "no code on the screen"
    return code


def typed(screen: Screen) -> str:
    """What somebody types who opened the part for it and read it aloud."""
    screen.element.locator("summary").click()
    text = screen.part("typed-code").inner_text()
    screen.element.locator("summary").click()
    return "".join(text.split())


# What is shown


def test_three_codes_scanned_off_the_screen_are_good_once(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    seen = set()
    for scale, blur in ((1, 0), (2, 1.5), (1.5, 1)):
        code = scanned(screen, scale=scale, blur=blur)
        assert code.startswith("EC1:")
        assert theatre.verdict(code) == "valid ok"
        assert theatre.verdict(code) == "invalid replayed"
        seen.add(code)
        screen.pass_time(31)
    assert len(seen) == 3


def test_the_text_to_be_typed_is_the_same_code(theatre: Stage, screen: Screen) -> None:
    screen.context.route("**/numbers", lambda route: route.abort())
    screen.opened(theatre.ticket(theatre.link()))
    code, text = scanned(screen), typed(screen)
    assert text.startswith("EC0:")
    assert theatre.verdict(text.lower()) == "valid ok"
    assert theatre.verdict(code) == "invalid replayed"


def test_the_number_and_its_bars_are_the_same_code_too(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    screen.part("bars").locator("svg").wait_for()
    bars, code, number = screen.scan(kind="Code128"), scanned(screen), typed(screen)
    assert bars == number
    assert len(number) == 10
    assert theatre.verdict("0000000000").startswith("invalid")
    assert theatre.verdict(f"{number[:5]} {number[5:]}") == "valid ok"
    assert theatre.verdict(code) == "invalid replayed"
    assert theatre.verdict(number) == "invalid replayed"
    screen.pass_time(61)
    assert theatre.verdict(number) == "invalid number_unknown"


def test_a_page_may_show_the_short_form(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()), "lang=zh form=online theme=dark")
    code = scanned(screen, scale=0.6, blur=0.5)
    assert code.startswith("EC0:")
    assert theatre.verdict(code) == "valid ok"


def test_touching_the_button_or_a_capture_of_the_screen_makes_a_new_code_at_once(
    theatre: Stage, screen: Screen
) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    first = scanned(screen)
    screen.part("refresh").press("Enter")
    screen.wait_for_codes(2)
    second = scanned(screen)
    screen.page.evaluate("document.querySelector('ecard-code').dispatchEvent(new CustomEvent('ecard:capture'))")
    screen.wait_for_text("status", "captured")
    third = scanned(screen)
    assert len({first, second, third}) == 3
    assert theatre.verdict(third) == "valid ok"


@pytest.mark.parametrize("ahead", [-600, -60, 60, 600])
def test_a_phone_whose_clock_is_wrong_shows_codes_of_the_right_time(theatre: Stage, ahead: int) -> None:
    screen = theatre.screen(phone_ahead=ahead)
    screen.opened(theatre.ticket(theatre.link()))
    assert theatre.verdict(scanned(screen)) == "valid ok"
    screen.pass_time(31)
    screen.context.set_offline(True)
    screen.pass_time(31)
    assert theatre.verdict(scanned(screen)) == "valid ok"
    screen.context.close()


# What a counter asks first


def challenge(theatre: Stage, payment: Transaction | None = None) -> Challenge:
    ends = int(theatre.clock().timestamp()) + 120
    return Challenge("ctr-7", "市第一医院 三号窗口", "medical", ends, secrets.token_bytes(16), payment)


def answers(screen: Screen, text: str) -> str | None:
    """The code of the refusal, None where the holder is asked."""
    refused: str | None = screen.element.evaluate(
        "(e, text) => { try { e.answer(text); return null } catch (error) { return error.code ?? String(error) } }",
        text,
    )
    return refused


def test_the_holder_agrees_to_a_payment_and_the_code_answers_that_alone(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    asked = challenge(theatre, Transaction(1_234_50, "medical-fund", "HIS/17"))
    assert answers(screen, asked.text) is None
    facts = screen.part("asked-facts").inner_text()
    for fact in ("市第一医院 三号窗口", "¥ 1234.50", "medical-fund", "HIS/17"):
        assert fact in facts
    assert screen.scan() is None, "while the holder reads there is nothing to scan"
    screen.part("agree").click()
    screen.page.wait_for_function("() => events.some(e => e[0] === 'agreed')")
    code = scanned(screen)
    assert theatre.verdict(code) == "invalid wrong_nonce"  # another counter, which asked nothing
    assert theatre.verdict(code, answers=asked) == "valid ok"
    screen.pass_time(35)
    assert scanned(screen) == code, "an answer is not renewed"
    screen.pass_time(26)
    screen.part("asked").wait_for(state="hidden")
    assert theatre.verdict(scanned(screen)) == "valid ok"


def test_a_question_that_is_declined_over_or_none_of_ours_is_not_answered(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()), "lang=zh")
    assert answers(screen, "https://pay.example/q/1") == "unreadable_code"
    asked = challenge(theatre)
    assert answers(screen, asked.text[:-1]) == "code_damaged"
    assert answers(screen, asked.text) is None
    assert "就医" in screen.part("asked-facts").inner_text()
    screen.part("decline").click()
    screen.part("asked").wait_for(state="hidden")
    assert theatre.verdict(scanned(screen)) == "valid ok"
    assert answers(screen, asked.text) is None
    screen.pass_time(121)
    screen.part("asked").wait_for(state="hidden")
    assert answers(screen, asked.text) == "challenge_expired"
    assert [event["reason"] for event in screen.events("declined")] == ["declined", "challenge_expired"]


def test_a_page_without_a_key_of_its_own_sends_its_holder_to_the_password(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()), "lang=en device-key=none")
    assert answers(screen, challenge(theatre).text) == "device_key_needed"


# Without a network


def test_a_browser_with_its_own_key_goes_on_without_a_network(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    assert screen.element.evaluate("e => e.made") == "device"
    before = scanned(screen)
    screen.context.set_offline(True)
    screen.wait_for_text("status", "No network")
    for _ in range(2):
        screen.pass_time(31)
        code = scanned(screen)
        assert code != before
        assert theatre.verdict(code) == "valid ok"
        before = code
    screen.context.set_offline(False)
    screen.pass_time(5)
    screen.wait_for_text("status", "Show this code")


def test_without_a_key_the_codes_fetched_ahead_are_shown_and_then_it_is_dead(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()), "lang=en device-key=none")
    assert screen.element.evaluate("e => e.made") == "server"
    codes = [scanned(screen)]
    screen.context.set_offline(True)
    for shown in range(1, AHEAD):
        screen.pass_time(61)
        screen.wait_for_codes(shown + 1)
        codes.append(scanned(screen))
        assert theatre.verdict(codes[-1]) == "valid ok"
    assert len(set(codes)) == AHEAD
    screen.pass_time(61)
    screen.wait("dead")
    assert {} in screen.events("dead")
    assert "over" in screen.said()
    assert screen.part("panel").evaluate("e => getComputedStyle(e.querySelector('[part=code]')).opacity") == "0.12"
    assert screen.scan() is None, "nobody can scan what is over"
    screen.context.set_offline(False)
    screen.pass_time(2)
    screen.wait("live")
    assert theatre.verdict(scanned(screen)) == "valid ok"


# When the card ends


def test_a_loss_is_on_the_screen_within_two_seconds_and_so_is_the_end_of_it(theatre: Stage, screen: Screen) -> None:
    link = theatre.link()
    screen.opened(theatre.ticket(link))
    last = scanned(screen)
    lost_at = time.monotonic()
    theatre.change(link, CardChange.REPORT_LOSS)
    screen.wait("ended")
    assert time.monotonic() - lost_at < 2
    assert screen.scan() is None
    assert "lost or locked" in screen.said()
    assert screen.events("lost") == [{"reason": "suspended"}]
    assert theatre.verdict(last).startswith("invalid")
    theatre.change(link, CardChange.RELEASE)
    screen.wait("live")
    assert theatre.verdict(scanned(screen)) == "valid ok"


def test_a_release_is_on_the_screen_too_and_nothing_is_made_after_it(theatre: Stage, screen: Screen) -> None:
    link = theatre.link()
    screen.opened(theatre.ticket(link), "lang=zh")
    theatre.issuer.links.release(link, theatre.clock())
    theatre.issuer.wake.ring()
    screen.wait("ended")
    assert "解除关联" in screen.said()
    screen.pass_time(31)
    assert screen.scan() is None


# What a page can do with a ticket, and without one


def test_without_a_ticket_or_with_a_made_up_one_there_is_nothing(theatre: Stage, screen: Screen) -> None:
    screen.open()
    screen.pass_time(31)
    assert screen.element.evaluate("e => e.phase") == "empty"
    screen.give("et_" + "A" * 43)
    screen.wait("refused")
    assert screen.events("error") == [{"code": "ticket_unknown"}]
    assert screen.scan() is None


def test_a_ticket_used_twice_shuts_both_pages(theatre: Stage, screen: Screen) -> None:
    ticket = theatre.ticket(theatre.link())
    screen.opened(ticket)
    thief = theatre.screen().open(ticket)
    thief.wait("refused")
    assert thief.events("error") == [{"code": "ticket_used"}]
    screen.wait("over")
    assert screen.scan() is None
    thief.context.close()


def test_a_late_ticket_and_one_of_a_released_link_open_nothing(theatre: Stage, screen: Screen) -> None:
    link = theatre.link()
    late, released = theatre.ticket(link), theatre.ticket(theatre.link())
    theatre.clock.advance(31)
    screen.open(late)
    screen.wait("refused")
    now = theatre.ticket(link)
    theatre.issuer.links.release(link, theatre.clock())
    screen.give(now)
    assert screen.events("error") == [{"code": "ticket_expired"}, {"code": "link_released"}]
    assert released != late


def test_a_ticket_taken_to_another_page_is_void(theatre: Stage, screen: Screen) -> None:
    ticket = theatre.ticket(theatre.link())
    thief = theatre.screen(OTHER_HOST).open(ticket)
    thief.wait("over")
    assert thief.events("error") == [{"code": "no_network"}], "its browser does not even show it the answer"
    screen.open(ticket)
    screen.wait("refused")
    assert screen.events("error") == [{"code": "ticket_used"}]
    thief.context.close()


def test_a_ticket_in_the_fragment_opens_the_card_and_leaves_the_address(theatre: Stage, screen: Screen) -> None:
    screen.open(None, "lang=en from-fragment=", fragment=f"#ecard-ticket={theatre.ticket(theatre.link())}&tab=2")
    screen.wait("live")
    assert screen.page.evaluate("location.href") == f"{HOST}/?lang=en&from-fragment=#tab=2"


def test_without_the_fragment_that_it_waits_for_it_says_where_a_card_comes_from(screen: Screen) -> None:
    screen.open(None, "lang=en from-fragment=")
    expect(screen.part("status")).to_have_text("Open the card again from the app.")


def test_another_ticket_keeps_the_card_open_beyond_ten_minutes(theatre: Stage, screen: Screen) -> None:
    link = theatre.link()
    screen.opened(theatre.ticket(link))
    screen.pass_time(545)
    assert screen.events("ticket") == [{}], "it asks a minute before"
    screen.give(theatre.ticket(link))
    screen.pass_time(100)
    screen.wait("live")
    assert theatre.verdict(scanned(screen)) == "valid ok"
    screen.pass_time(560)
    screen.wait("over")
    assert screen.scan() is None


def test_the_key_cannot_leave_the_browser_and_a_link_has_one_credential_for_it(theatre: Stage, screen: Screen) -> None:
    link = theatre.link()
    screen.opened(theatre.ticket(link))
    tried = screen.page.evaluate(
        """async slot => {
          const open = indexedDB.open('ecard-code');
          await new Promise(done => { open.onsuccess = done });
          const get = open.result.transaction('devices').objectStore('devices').get(slot);
          await new Promise(done => { get.onsuccess = done });
          const key = get.result.privateKey;
          const refused = await Promise.all(['jwk', 'pkcs8'].map(
            form => crypto.subtle.exportKey(form, key).catch(error => error.name)));
          return [key.extractable, key.usages, refused];
        }""",
        link.link_id,
    )
    assert tried == [False, ["sign"], ["InvalidAccessError", "InvalidAccessError"]]
    rights = theatre.issuer.links.store.rights_of(link.link_id)
    screen.opened(theatre.ticket(link))
    assert theatre.issuer.links.store.rights_of(link.link_id) == rights


# For everybody


def test_a_screen_reader_is_told_at_ten_seconds_and_at_the_change_only(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    live = screen.element.locator("[role=status]")
    heard: list[str] = [live.inner_text()]
    for _ in range(64):
        screen.pass_time(0.5)
        text = live.inner_text()
        if text and text not in heard[-1:]:
            heard.append(text)
    assert heard[1:] == ["This code changes in 10 seconds.", "There is a new code."]
    tree = screen.element.aria_snapshot()
    for line in ('heading "E-card"', 'img "Code of your e-card. Show this screen', 'button "New code"', "- status"):
        assert line in tree
    screen.page.keyboard.press("Tab")
    focused = "document.querySelector('ecard-code').shadowRoot.activeElement.getAttribute('part')"
    assert screen.page.evaluate(focused) == "refresh"


MEASURE = """() => {
  const root = document.querySelector('ecard-code').shadowRoot;
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...root.querySelectorAll('.card *')].filter(node => !node.closest('.unseen') && node.offsetHeight
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
  return {
    texts: texts.map(node => {
      const style = getComputedStyle(node);
      const [a, b] = [light(rgb(style.color)), light(behind(node))].sort((x, y) => y - x);
      return { part: node.getAttribute('part') || node.className, size: parseFloat(style.fontSize),
               line: parseFloat(style.lineHeight) / parseFloat(style.fontSize), contrast: (a + .05) / (b + .05) };
    }),
    targets: [...root.querySelectorAll('button, summary')].filter(node => node.offsetHeight)
      .map(node => [node.offsetWidth, node.offsetHeight]),
    wider: document.documentElement.scrollWidth - innerWidth,
    panel: getComputedStyle(root.querySelector('.panel')).backgroundColor,
    ink: root.querySelector('[part=code] path').getAttribute('fill'),
  };
}"""
PT = 96 / 72  # CSS pixels in a point


def test_in_a_frame_it_is_shown_to_its_apps_pages_alone(theatre: Stage, screen: Screen) -> None:
    ticket = theatre.ticket(theatre.link(), theatre.service)
    source = quote(f"/h5/card?app={theatre.app_id}&lang=en#ecard-ticket={ticket}")
    screen.page.goto(f"{HOST}/framed?src={source}")
    frame = screen.page.frame_locator("iframe")
    frame.locator("ecard-code [part=code] svg").wait_for()
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(screen.page.screenshot())))
    (code,) = (one.text for one in found if one.text.startswith("EC1:"))
    assert theatre.verdict(code) == "valid ok"
    assert [theatre.service, "ecard:refresh"] in screen.page.evaluate("told")
    other = theatre.screen(OTHER_HOST)
    other.page.goto(f"{OTHER_HOST}/framed?src={source}")
    other.page.wait_for_function("document.querySelector('iframe').contentDocument === null")
    assert other.page.evaluate("told") == []
    assert other.page.frame_locator("iframe").locator("ecard-code").count() == 0
    other.context.close()


@pytest.mark.parametrize(("theme", "text", "target"), [("", 12, 44), ("dark", 12, 44), ("elder", 18, 60)])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_sizes_and_contrasts_are_those_of_the_ageing_friendly_rules(
    theatre: Stage, screen: Screen, theme: str, text: int, target: int, lang: str
) -> None:
    """MIIT with T/TAF 114-2022: ≥18 pt for elders, lines ≥1.3, contrast ≥4.5, targets ≥44 pt, for elders 60 pt."""
    screen.opened(theatre.ticket(theatre.link()), f"lang={lang} theme={theme}")
    screen.element.locator("summary").click()
    measured = screen.page.evaluate(MEASURE)
    assert len(measured["texts"]) >= 6
    for one in measured["texts"]:
        assert one["size"] >= text * PT - 0.01, one
        assert one["line"] >= 1.3 or one["part"] == "seconds", one
        assert one["contrast"] >= 4.5, one
    assert all(min(size) >= target * PT - 0.5 for size in measured["targets"]), measured["targets"]
    assert (measured["panel"], measured["ink"]) == ("rgb(255, 255, 255)", "#000"), "a theme never inverts the code"
    assert measured["wider"] <= 0


def test_text_of_thirty_points_still_fits(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()), "lang=zh theme=elder")
    screen.page.evaluate("document.querySelector('ecard-code').style.setProperty('--ecard-text', '30pt')")
    screen.element.locator("summary").click()
    measured = screen.page.evaluate(MEASURE)
    assert min(one["size"] for one in measured["texts"]) >= 30 * PT - 0.01
    assert measured["wider"] <= 0
    assert theatre.verdict(scanned(screen)) == "valid ok"


def test_a_test_card_says_so_in_red(theatre: Stage, screen: Screen) -> None:
    def test_card(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(answer.json() | {"test": True}))

    screen.context.route("**/v1/sessions", test_card)
    screen.opened(theatre.ticket(theatre.link()), "lang=zh")
    assert "测试卡" in screen.part("test").inner_text()
    assert screen.part("test").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(176, 0, 32)"
    assert screen.part("test").evaluate("e => getComputedStyle(e).color") == "rgb(255, 255, 255)"


def test_the_host_may_brighten_the_screen_while_a_code_is_on_it(theatre: Stage, screen: Screen) -> None:
    screen.opened(theatre.ticket(theatre.link()))
    screen.page.evaluate("document.querySelector('ecard-code').remove()")
    assert screen.page.evaluate("events.filter(e => e[0] === 'brighten').map(e => e[1].bright)") == [True]
    assert "EC" not in json.dumps(screen.page.evaluate("events")), "events carry no code"


def test_the_mini_program_component_draws_codes_that_are_good_and_hears_of_a_loss(theatre: Stage) -> None:
    link = theatre.link()
    command = [needs_node(), str(ROOT / "tests/node/miniprogram.mjs"), theatre.service, theatre.ticket(link, None)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        shown = json.loads(child.stdout.readline())
        picture = Image.new("L", (shown["side"],) * 2, 255)
        for x, y, width, height in shown["rects"]:
            picture.paste(0, (x, y, x + width, y + height))
        (code,) = zxingcpp.read_barcodes(picture)
        assert code.text == "".join(shown["typed"].split())
        assert theatre.verdict(code.text) == "valid ok"
        theatre.change(link, CardChange.REPORT_LOSS)
        lost = json.loads(child.stdout.readline())
    assert child.returncode == 0
    assert lost["rects"] == []
    assert "挂失" in lost["status"]
    assert ["lost", {"reason": "suspended"}] in lost["said"]


@pytest.mark.parametrize("theme", ["light", "dark", "elder", "elder dark"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_theme_in_both_languages_is_drawn_and_can_be_scanned(theatre: Stage, lang: str, theme: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    name = f"ecard-code-{theme.replace(' ', '-')}-{lang}"
    link = theatre.link()
    screen = theatre.screen(device_scale_factor=2)
    screen.opened(theatre.ticket(link), f"lang={lang} theme={theme.replace(' ', '%20')}")
    assert answers(screen, challenge(theatre, Transaction(12_345, "medical-fund", "HIS/17")).text) is None
    screen.page.screenshot(path=PICTURES / f"{name}-asked.png", full_page=True, animations="disabled")
    screen.part("decline").click()
    screen.pass_time(8)
    screen.part("bars").locator("svg").wait_for()
    screen.page.screenshot(path=PICTURES / f"{name}.png", full_page=True, animations="disabled")
    code = screen.scan()
    assert code is not None
    assert theatre.verdict(code) == "valid ok"
    theatre.change(link, CardChange.REPORT_LOSS)
    screen.wait("ended")
    screen.page.screenshot(path=PICTURES / f"{name}-lost.png", full_page=True, animations="disabled")
    assert screen.errors == []
    screen.context.close()
