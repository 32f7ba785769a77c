"""The page for every eye, in Chromium: axe, contrasts, the ageing-friendly sizes, zoom, keys alone, and a picture of
each outcome in each theme and language for people to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journeys.counter.desk import PICTURES, Desk, Desks, desks
from tests.verifier.counter_page.fake import PERSON, online_code

AXE = Path(__file__).parents[3] / "verifier/counter_page/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
THEMES = {"normal": (12, 42), "dark": (12, 42), "contrast": (12, 42), "elder": (18, 60)}  # pt: least text, least target
PT = 96 / 72
SAYS: dict[str, dict[str, Any]] = {
    "valid": {},
    "check": {"outcome": "check", "reason": "status_aging", "test_card": True},
    "invalid": {"outcome": "invalid", "reason": "suspended", "shown": {}},
    "undecided": {"outcome": "undecided", "reason": "status_stale", "shown": {}},
}

FOCUS = """() => {
  const at = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(at.matches('[type=radio]') ? at.nextElementSibling : at);
  return [at.id || at.name || at.tagName, outlineStyle, outlineWidth];
}"""
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def house() -> Iterator[Desks]:
    with desks() as made:
        yield made


@pytest.fixture
def hall(house: Desks) -> Iterator[Desks]:
    yield house
    house.close()


def faults(desk: Desk) -> list[str]:
    """What axe finds, one line each."""
    found = desk.page.evaluate("rules => axe.run(document, { runOnly: rules }).then(said => said.violations)", RULES)
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def measured(desk: Desk, theme: str) -> dict[str, Any]:
    """Sizes, lines and contrasts as MIIT with T/TAF 114-2022 and WCAG 2.2 AA have them; the page is never wider than
    its window."""
    found: dict[str, Any] = desk.page.evaluate(MEASURE)
    text, target = THEMES[theme]
    assert len(found["texts"]) >= 4
    for one in found["texts"]:
        assert one["size"] >= text * PT - 0.01, one
        assert one["line"] >= 1.3 - 0.001, one
        assert one["contrast"] >= 4.5, one
    for name, width, height in found["targets"]:
        assert min(width, height) >= target * PT - 0.5, (name, width, height)
    assert all(edge >= 3 for edge in found["edges"]), "a button has an edge that is seen"
    assert found["wider"] <= 0
    return found


def dialogs(desk: Desk) -> Iterator[str]:
    for name in ("digits", "settings", "shift"):
        desk.page.locator(f"#{name}-open").click()
        expect(desk.page.locator(f"#{name}")).to_be_visible()
        yield name
        desk.page.locator(f"#{name} [data-close]").click()


@pytest.mark.parametrize("theme", THEMES)
def test_every_screen_of_a_theme_is_for_everybody(hall: Desks, theme: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    codes = {outcome: online_code() for outcome in SAYS}
    hall.fake.says.update((codes[outcome], says) for outcome, says in SAYS.items())
    for language in ("zh", "en"):
        desk = hall.new(viewport={"width": 1280, "height": 800})
        desk.open(f"?lang={language}&theme={theme}").choose()
        desk.page.evaluate(AXE.read_text(encoding="utf-8"))
        desk.page.screenshot(path=PICTURES / f"counter-{theme}-{language}-ready.png", animations="disabled")
        measured(desk, theme)
        if language == "zh":
            assert faults(desk) == []
        for outcome, code in codes.items():
            desk.type(code)
            assert desk.result()[0] == outcome
            measured(desk, theme)
            if language == "zh":
                assert faults(desk) == []
            name = f"counter-{theme}-{language}-{outcome}.png"
            desk.page.screenshot(path=PICTURES / name, animations="disabled")
        desk.leave()
        for name in dialogs(desk):
            measured(desk, theme)
            if language == "zh":
                assert faults(desk) == []
            desk.page.screenshot(path=PICTURES / f"counter-{theme}-{language}-{name}.png", animations="disabled")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (640, 400), (320, 256)])
def test_on_a_phone_and_at_two_and_four_times_the_size_all_of_it_is_there(hall: Desks, width: int, height: int) -> None:
    """640 by 400 is a window of 1280 by 800 at 200 %, 320 by 256 one of 1280 by 1024 at 400 % (WCAG 1.4.4, 1.4.10)."""
    code = online_code()
    hall.fake.says[code] = {
        "test_card": True,
        "shown": {**PERSON, "card_number": "A******78", "name": "阿卜杜拉·买买提江**"},
    }
    for theme in ("normal", "elder"):
        desk = hall.new(viewport={"width": width, "height": height})
        desk.open(f"?lang=zh&theme={theme}").choose()
        measured(desk, theme)
        desk.type(code)
        desk.result()
        measured(desk, theme)
        assert desk.page.locator("#outcome-next").is_visible()
        desk.page.screenshot(path=PICTURES / f"counter-{theme}-{width}.png", full_page=True, animations="disabled")
        desk.leave()
        for _ in dialogs(desk):
            measured(desk, theme)


def test_admission_and_staff_are_for_everybody(hall: Desks) -> None:
    for theme in THEMES:
        desk = hall.new(admitted=False).open(f"?lang=zh&theme={theme}", "admit")
        desk.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert faults(desk) == []
        measured(desk, theme)
        desk.page.screenshot(path=PICTURES / f"counter-{theme}-zh-admit.png", animations="disabled")


def test_keys_alone_reach_everything_and_the_focus_is_seen(hall: Desks) -> None:
    desk = hall.new().open()
    reached = []
    for _ in range(12):
        desk.page.keyboard.press("Tab")
        at = desk.page.evaluate(FOCUS)
        reached.append(at[0])
        assert at[0] == "BODY" or at[1:] == ["solid", "3px"], at
    assert {"purpose", "camera", "picture", "digits-open", "shift-open", "settings-open"} <= set(reached)
    desk.page.locator("#purposes input").first.focus()
    desk.page.keyboard.press("ArrowRight")
    expect(desk.page.locator("#purposes input:checked")).to_have_count(1)
    desk.page.locator("#settings-open").focus()
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator("#settings")).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(desk.page.locator("#settings")).to_be_hidden()
    assert desk.page.evaluate("document.activeElement.id") == "settings-open"


def test_who_wants_no_motion_gets_none_and_nothing_is_printed(hall: Desks) -> None:
    desk = hall.new(reduced_motion="reduce").open().choose()
    assert desk.page.locator(".beam").evaluate("e => getComputedStyle(e).animationName") == "none"
    desk.type(online_code())
    desk.result()
    desk.page.emulate_media(media="print")
    assert desk.page.evaluate("getComputedStyle(document.body).display") == "none"


def test_language_and_theme_are_remembered_and_changed_at_once(hall: Desks) -> None:
    desk = hall.new().open("?lang=en&theme=elder").choose()
    desk.open("")
    expect(desk.page.locator("#waiting .big").first).to_have_text("Ready to scan")
    assert desk.page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == [
        "en",
        "elder",
    ]
    expect(desk.page.locator("#purposes label").first).to_have_text("Medical care")
    code = online_code()
    hall.fake.says[code] = {"outcome": "invalid", "reason": "suspended", "shown": {}}
    desk.type(code)
    desk.result()
    assert desk.said() == ["Not valid", "The card is reported lost or locked.", desk.said()[2]]
    desk.page.locator("#settings-open").click()
    desk.page.locator("input[name=language][value=zh]").check()
    desk.page.locator("input[name=theme][value=dark]").check()
    desk.page.locator("#settings [data-close]").click()
    assert desk.said()[0] == "无效"
    expect(desk.page.locator("#purposes label").first).to_have_text("就医")
    assert desk.page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == [
        "zh-CN",
        "dark",
    ]
