"""A counter in a real browser: the page as built, before a strict fake of the service, with ears for its signals."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.require import needs_chromium, needs_counter_page
from tests.verifier.counter_page.fake import COOKIE, Fake, fake_app
from tests.verifier.http_kit import running

CHROMIUM_FLAGS = tuple(
    f"--{name}"
    for name in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
        *("disable-background-networking", "disable-component-update"),
    )
)
#: Pictures for people to look at.
PICTURES = Path(__file__).parents[3] / "build/screenshots"

#: What the page sounds, says and vibrates, and the longest that it kept the browser from anything else.
EARS = """
window.heard = [];
const Tone = window.OscillatorNode;
window.OscillatorNode = class extends Tone {
  constructor(context, options) { super(context, options); heard.push(['sound', options.type, options.frequency]); }
};
navigator.vibrate = pattern => { heard.push(['vibration', ...pattern]); return true; };
speechSynthesis.speak = utterance => heard.push(['voice', utterance.lang, utterance.text]);
"""

BURST = """keys => {
  for (const key of keys) {
    const at = document.activeElement ?? document.body;
    at.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, composed: true }));
  }
}"""


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """One browser."""
    needs_counter_page()
    path = needs_chromium()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, *more]) as browser,
    ):
        yield browser


@dataclass
class Desk:
    """One counter's page in a profile of its own."""

    context: BrowserContext
    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    opener: Page | None = None

    def open(self, query: str = "?lang=zh", screen: str = "work") -> Desk:
        self.page.goto(f"{self.url}/counter{query}")
        self.page.wait_for_function("name => document.body.dataset.screen === name", arg=screen)
        return self

    def choose(self, purpose: str = "medical") -> Desk:
        self.page.locator(f"#purposes input[value={purpose}]").check()
        return self

    def type(self, text: str, gap: float | None = None, end: str | None = "Enter") -> None:
        """As a scanner does: keys to whatever has the focus, `gap` ms apart; None is at once, by events of the page."""
        self.await_next()
        if gap is None:
            self.page.evaluate(BURST, [*text, *([end] if end else [])])
            return
        self.page.keyboard.type(text, delay=gap)
        if end is not None:
            self.page.keyboard.press(end)

    def result(self) -> tuple[str, str]:
        """Outcome and reason of the result that came of the last scan."""
        self.page.locator("#outcome[data-outcome]").wait_for()
        outcome = self.page.locator("#outcome").get_attribute("data-outcome") or ""
        reason = self.page.locator("#outcome-details div:has(dt)").filter(has=self.page.locator("dt")).first
        return outcome, reason.locator("dd").text_content() or ""

    def await_next(self) -> None:
        """What is on the screen now is not the next result."""
        self.page.evaluate("document.getElementById('outcome').removeAttribute('data-outcome')")

    def said(self) -> list[str]:
        """Word, reason and step."""
        return self.page.locator("#outcome-live p").all_inner_texts()

    def heard(self, kind: str) -> list[list[Any]]:
        found: list[list[Any]] = self.page.evaluate("kind => heard.filter(one => one[0] === kind)", kind)
        return found

    def upload(self, name: str, content: bytes, kind: str = "image/png") -> None:
        self.await_next()
        self.page.locator("#picture-file").set_input_files({"name": name, "mimeType": kind, "buffer": content})

    def leave(self) -> None:
        self.page.keyboard.press("Escape")
        self.page.locator("#ready").wait_for()


@dataclass
class Desks:
    """The fake service, and browsers before it."""

    fake: Fake
    url: str
    browser: Browser
    made: list[Desk] = field(default_factory=list)

    def new(self, *, admitted: bool = True, script: str = "", **options: Any) -> Desk:
        """A fresh profile; `admitted`: with the cookie of a counter."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.add_init_script(EARS + script)
        if admitted:
            session = f"s{len(self.made)}"
            self.fake.sessions.add(session)
            context.add_cookies(
                [{"name": COOKIE, "value": session, "url": self.url.replace("http:", "https:"), "secure": True}]
            )
        desk = Desk(context, context.new_page(), self.url)
        desk.page.on("pageerror", lambda error: desk.errors.append(str(error)))
        desk.page.on(
            "request",
            lambda request: None if request.url.startswith((self.url, "blob:")) else desk.foreign.append(request.url),
        )
        self.made.append(desk)
        return desk

    def close(self) -> None:
        """Every desk, none of which asked anybody else or threw anything."""
        for desk in self.made:
            desk.context.close()
        faults = [fault for desk in self.made for fault in (*desk.errors, *desk.foreign)]
        self.made.clear()
        self.fake.reset()
        assert faults == []


@contextmanager
def desks(*flags: str) -> Iterator[Desks]:
    """For a module."""
    fake = Fake()
    with chromium(*flags) as browser, running(fake_app(fake, needs_counter_page())) as url:
        yield Desks(fake, url, browser)


def picture_of(*texts: str, size: int = 360, kind: str = "PNG") -> bytes:
    """Codes side by side, as a photo has them."""
    found = [drawn(text, size) for text in texts]
    whole = Image.new(
        "L", (sum(one.width for one in found) + 40 * len(found), max(one.height for one in found) + 40), 255
    )
    left = 20
    for one in found:
        whole.paste(one, (left, 20))
        left += one.width + 40
    return saved(whole, kind)


def drawn(text: str, size: int = 360, form: str = "QRCode") -> Image.Image:
    """One code, black on white, with its margin."""
    made = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, form))
    picture = Image.fromarray(made.to_image(scale=4, add_quiet_zones=True))
    return picture.resize((size, round(picture.height * size / picture.width)), Image.Resampling.NEAREST)


def saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def film(path: Path, scenes: Sequence[Image.Image | None], frames: int = 12) -> Path:
    """A camera's film in y4m, 640 by 480, 12 frames a second: each scene for so many; None is an empty desk."""
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F12:1 Ip A1:1 C420\n")
        for scene in scenes:
            view = Image.new("L", (640, 480), 200)
            if scene is not None:
                view.paste(scene, ((640 - scene.width) // 2, (480 - scene.height) // 2))
            for _ in range(frames):
                file.write(b"FRAME\n" + view.tobytes() + bytes([128]) * (640 * 480 // 2))
    return path
