"""Every way into the page, in Chromium: scanners that type, numbers, pictures, a camera that sees a film."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageFilter, ImageOps
from playwright.sync_api import expect

from tests.journeys.counter.desk import Desk, Desks, desks, drawn, film, picture_of, saved
from tests.verifier.counter_page.fake import online_code
from tests.verifier.counter_page.test_reading import png_of

VALID, LOST = online_code(), online_code()
PAYMENT = "134567890123456789"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    scenes = [None, drawn(VALID, 380), drawn(VALID, 380), None, drawn(LOST, 380), drawn(LOST, 380)]
    path = film(tmp_path_factory.mktemp("film") / "desk.y4m", scenes, frames=12)
    flags = ("use-fake-device-for-media-stream", f"use-file-for-fake-video-capture={path}")
    with desks(*(f"--{flag}" for flag in flags)) as made:
        yield made


@pytest.fixture
def hall(house: Desks) -> Iterator[Desks]:
    yield house
    house.close()


@pytest.fixture
def desk(hall: Desks) -> Desk:
    return hall.new().open().choose()


def codes(hall: Desks) -> list[tuple[str, str]]:
    return [(one["code"], one["way"]) for one in hall.fake.asked]


# A scanner that types


def test_a_scanner_needs_no_focus_and_no_enter(hall: Desks, desk: Desk) -> None:
    for gap, end in ((0, "Enter"), (15, None)):
        code = online_code()
        desk.type(code, gap, end)
        assert desk.result() == ("valid", "ok")
        assert codes(hall)[-1] == (code, "scanner")
        desk.leave()
    assert len(codes(hall)) == 2


def test_what_it_types_into_a_field_is_taken_out_again(hall: Desks, desk: Desk) -> None:
    code = online_code()
    desk.page.locator("#digits-open").click()
    desk.page.keyboard.type("12", delay=120)  # as a person types
    desk.type(code, 3)
    assert desk.result() == ("valid", "ok")
    assert codes(hall) == [(code, "scanner")]
    expect(desk.page.locator("#digits")).to_be_hidden()
    assert len(desk.page.locator("#digits-field").input_value()) < 7


def test_caps_lock_and_full_width_are_repaired_and_a_lost_character_is_said(hall: Desks, desk: Desk) -> None:
    code = online_code()
    full = "".join(chr(ord(sign) + 0xFEE0) for sign in code.lower())
    for text in (code.lower(), full):
        desk.type(text)
        assert desk.result() == ("valid", "ok")
        desk.leave()
    assert codes(hall) == [(code, "scanner")] * 2
    for torn in (code[:50] + code[51:], code[:-1], code[:90]):
        desk.type(torn)
        assert desk.result() == ("undecided", "code_damaged")
        assert desk.said()[2] == "请重新扫码。"
        desk.leave()
    assert len(codes(hall)) == 2, "nothing of a torn code is sent"


SWALLOWED = """keys => keys.forEach(([code, shiftKey]) => dispatchEvent(new KeyboardEvent('keydown',
    { key: 'Process', code, shiftKey, isComposing: true, bubbles: true, cancelable: true })))"""


def test_an_input_method_is_named(hall: Desks, desk: Desk) -> None:
    code = online_code()
    pressed = [
        [f"Key{sign}" if sign.isalpha() else f"Digit{sign}" if sign.isdigit() else "Semicolon", not sign.isdigit()]
        for sign in code
    ]
    desk.page.evaluate(SWALLOWED, pressed)
    assert desk.result() == ("valid", "ok")
    expect(desk.page.locator("#input-method")).to_have_text("请切换到英文输入法")
    desk.leave()
    desk.page.evaluate(SWALLOWED, pressed[:70])
    assert desk.result() == ("undecided", "input_method")
    assert "英文输入法" in desk.said()[1]
    desk.leave()
    desk.type(code)
    desk.result()
    expect(desk.page.locator("#input-method")).to_be_hidden()


def test_what_is_not_ours_is_said_and_sent_nowhere(hall: Desks, desk: Desk) -> None:
    said = {
        PAYMENT: "这是付款码，不是电子社保卡。",
        "https://example.com/x": "这是网址，不是电子社保卡。",
        "11010519491231002X": "这是身份证号码，不是电子社保卡。",
        "6901234567892": "这不是电子社保卡二维码。",
    }
    for text, sentence in said.items():
        desk.type(text)
        assert desk.result()[0] == "invalid"
        assert desk.said()[1] == sentence
        assert text not in desk.page.content()
        desk.leave()
    assert hall.fake.asked == []


# A number


def test_a_number_is_typed_or_touched(hall: Desks, desk: Desk) -> None:
    go = desk.page.locator("#digits-go")
    for use_keys in (False, True):
        desk.page.locator("#digits-open").click()
        expect(desk.page.locator("#digits-field")).to_have_value("")
        for digit in "0123456780":
            desk.page.locator(f"#digits-pad [data-key='{digit}']").click()
            if digit != "0":
                expect(go).to_be_disabled()
        desk.page.locator("#digits-pad [data-key=delete]").click()
        expect(go).to_be_disabled()
        if use_keys:
            desk.page.locator("#digits-field").focus()
            desk.page.keyboard.type("9", delay=90)  # as a person types
            desk.page.keyboard.press("Enter")
        else:
            desk.page.locator("#digits-pad [data-key='9']").click()
            expect(desk.page.locator("#digits-field")).to_have_value("01234 56789")
            go.click()
        assert desk.result() == ("valid", "ok")
        desk.leave()
    assert codes(hall) == [("0123456789", "typed")] * 2


# Pictures


def bent(kind: str) -> bytes:
    plain = drawn(VALID, 420)
    if kind == "mirrored":
        return saved(ImageOps.mirror(plain))
    if kind == "inverted":
        return saved(ImageOps.invert(plain))
    if kind == "turned":
        return saved(plain.rotate(33, expand=True, fillcolor=255))
    if kind == "photographed":
        photo = plain.resize((900, 900)).filter(ImageFilter.GaussianBlur(2)).convert("RGB")
        return saved(ImageOps.expand(photo, 400, (90, 80, 70)), "JPEG")
    if kind == "a corner is torn":
        torn = plain.copy()
        torn.paste(200, (300, 300, 420, 330))
        return saved(torn)
    huge = Image.new("L", (4600, 3400), 230)
    huge.paste(plain.resize((1200, 1200)), (2000, 900))
    return saved(huge, "JPEG")


def test_pictures_of_a_code_are_read_however_they_were_taken(hall: Desks, desk: Desk) -> None:
    for kind in ("mirrored", "inverted", "turned", "photographed", "a corner is torn", "large"):
        desk.upload("photo", bent(kind))
        assert desk.result() == ("valid", "ok"), kind
        assert codes(hall)[-1] == (VALID, "picture")
        desk.leave()


def test_two_codes_in_one_picture(hall: Desks, desk: Desk) -> None:
    number = drawn("0123456789", 400, "Code128").resize((400, 120))
    phone = Image.new("L", (500, 640), 255)
    phone.paste(number, (50, 20))
    phone.paste(drawn(VALID, 420), (40, 180))
    for content, outcome in (
        (picture_of(VALID, PAYMENT), ("valid", "ok")),
        (saved(phone), ("valid", "ok")),
        (picture_of(VALID, LOST), ("undecided", "two_codes")),
        (picture_of(PAYMENT), ("invalid", "foreign_payment")),
    ):
        desk.upload("photo.png", content)
        assert desk.result() == outcome
        desk.leave()
    assert codes(hall) == [(VALID, "picture")] * 2


GIVE_LARGE = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(13 * 1024 * 1024)], 'x.png', { type: 'image/png' }));
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}"""


def test_a_picture_that_cannot_be_used_is_said_and_never_decoded(hall: Desks, desk: Desk) -> None:
    bad = {
        "picture_no_code": saved(Image.new("RGB", (300, 200), "navy")),
        "picture_pixels": png_of(50_000, 50_000),
        "picture_heic": b"\x00\x00\x00\x18ftypheic" + bytes(64),
        "picture_kind": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" + bytes(40),
        "picture_damaged": png_of(300, 300) + bytes(300),
    }
    for reason, content in [*bad.items(), ("picture_bytes", b"")]:
        if content:
            desk.upload("photo.png", content)
        else:
            desk.page.evaluate(GIVE_LARGE)
        assert desk.result() == ("undecided", reason)
        assert desk.said()[2].startswith("请")
        desk.leave()
    assert hall.fake.asked == []


GIVE = """([kind, data]) => {
  const bytes = Uint8Array.from(atob(data), sign => sign.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], 'x.png', { type: 'image/png' }));
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: given, bubbles: true, cancelable: true })
    : new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def test_a_picture_may_be_pasted_or_dropped(hall: Desks, desk: Desk) -> None:
    data = base64.b64encode(picture_of(VALID)).decode()
    for kind in ("paste", "drop"):
        desk.page.evaluate(GIVE, [kind, data])
        assert desk.result() == ("valid", "ok")
        desk.leave()
    assert codes(hall) == [(VALID, "picture")] * 2


def test_where_webassembly_is_off_plain_script_reads_the_code(hall: Desks) -> None:
    desk = hall.new()
    desk.context.route("**/*.wasm", lambda route: route.abort())
    desk.open().choose()
    desk.upload("photo.png", picture_of(VALID))
    assert desk.result() == ("valid", "ok")


# The camera


def test_a_camera_that_is_refused_says_what_to_do_and_everything_else_works(hall: Desks, desk: Desk) -> None:
    desk.page.locator("#camera").click()
    why = desk.page.locator("#camera-why")
    expect(why).to_contain_text("允许使用摄像头")
    desk.type(online_code())
    assert desk.result() == ("valid", "ok")


def test_the_camera_sees_one_code_after_the_other(hall: Desks) -> None:
    """Chromium's own fake device, fed with a film: a phone, an empty desk, another phone; each is judged once."""
    hall.fake.says[LOST] = {"outcome": "invalid", "reason": "suspended", "shown": {}}
    desk = hall.new(permissions=["camera"]).open().choose()
    desk.page.locator("#camera").click()
    expect(desk.page.locator("#viewfinder")).to_be_visible()
    seen: set[Any] = set()
    for _ in range(2):
        desk.page.wait_for_function(
            "seen => document.body.dataset.outcome && !seen.includes(document.body.dataset.outcome)",
            arg=[outcome for outcome, _ in seen],
        )
        seen.add(desk.result())
    assert seen == {("valid", "ok"), ("invalid", "suspended")}
    assert {way for _, way in codes(hall)} == {"camera"}
    assert [code for code, _ in codes(hall)][:2] in ([VALID, LOST], [LOST, VALID])
    desk.page.locator("#camera").click()
    expect(desk.page.locator("#viewfinder")).to_be_hidden()
    desk.open("")
    assert desk.page.evaluate("document.body.dataset.camera ?? 'off'") == "off", "as it was left"


CAMERA = """
navigator.mediaDevices.getUserMedia = async wanted => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [640, 480];
  const context = canvas.getContext('2d');
  window.draw = () => { context.fillStyle = '#888'; context.fillRect(0, 0, 640, 480); };
  draw();
  setInterval(() => draw(), 100);
  const stream = canvas.captureStream(10);
  const [track] = stream.getVideoTracks();
  track.getCapabilities = () => ({ torch: true, zoom: { min: 1, max: 4, step: 0.5 } });
  track.getSettings = () => ({ deviceId: 'back', zoom: 1 });
  window.applied = [];
  track.applyConstraints = async constraints => { applied.push(constraints.advanced[0]); };
  window.asked = (window.asked ?? []).concat([wanted.video.deviceId?.exact ?? wanted.video.facingMode]);
  window.unplug = () => { track.stop(); track.dispatchEvent(new Event('ended')); };
  return stream;
};
navigator.mediaDevices.enumerateDevices = async () => ['front', 'back'].map(
  deviceId => ({ kind: 'videoinput', deviceId, label: deviceId }));
"""


def test_which_camera_its_light_and_its_zoom(hall: Desks) -> None:
    desk = hall.new(script=CAMERA).open().choose()
    desk.page.locator("#camera").click()
    expect(desk.page.locator("#camera-which option")).to_have_text(["front", "back"])
    expect(desk.page.locator("#camera-which")).to_have_value("back")
    desk.page.locator("#torch").click()
    expect(desk.page.locator("#torch")).to_have_attribute("aria-pressed", "true")
    desk.page.locator("#zoom").fill("2.5")
    assert desk.page.evaluate("applied") == [{"torch": True}, {"zoom": 2.5}]
    desk.page.locator("#camera-which").select_option("front")
    desk.page.wait_for_function("() => asked.length === 2")
    assert desk.page.evaluate("asked") == ["environment", "front"]
    expect(desk.page.locator("#viewfinder")).to_be_visible()
    desk.page.evaluate("unplug()")
    expect(desk.page.locator("#camera-why")).to_contain_text("摄像头已断开")
    desk.open("")
    desk.page.wait_for_function("() => window.asked && document.body.dataset.camera === 'on'")
    assert desk.page.evaluate("asked") == ["front"], "remembered"
