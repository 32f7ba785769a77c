"""Pictures: read back by a decoder we did not write (zxing-cpp): small, turned, blurred, on dark pages."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from ecard_card.errors import InvalidInput, Unavailable
from ecard_qr import picture, symbol
from ecard_qr.base45 import ALPHABET
from tests.qr import samples

TEXTS = {"EC1": samples.OFFLINE_TEXT, "EC0": samples.ONLINE_TEXT}
both = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def read(image: Image.Image) -> list[str]:
    found = zxingcpp.read_barcodes(image.convert("L"), try_invert=False)
    return [barcode.text for barcode in found]


def opened(text: str, scale: int = 8) -> Image.Image:
    return Image.open(io.BytesIO(picture.png(text, scale=scale))).convert("L")


def drawn_svg(document: str, scale: int = 6) -> Image.Image:
    """Draws what `svg` writes: closed runs of one row each, on a background."""
    root = ElementTree.fromstring(document)  # noqa: S314 -- our own output
    width = int(root.attrib["viewBox"].split()[2])
    image = Image.new("L", (width * scale, width * scale), 128)  # neither black nor white: both must be drawn
    draw = ImageDraw.Draw(image)
    for path in root:
        colour = {"#fff": 255, "#000": 0}[path.attrib["fill"]]
        runs = re.findall(r"M(\d+) (\d+)h(\d+)v1H(\d+)z", path.attrib["d"])
        if not runs:
            assert path.attrib["d"] == f"M0 0h{width}v{width}H0z"
            runs = [("0", str(row), str(width), "0") for row in range(width)]
        for x, y, length, back in runs:
            assert back == x
            left, top, right = int(x) * scale, int(y) * scale, (int(x) + int(length)) * scale
            draw.rectangle((left, top, right - 1, top + scale - 1), fill=colour)
    return image


def drawn_terminal(lines: str, ink: int, paper: int, scale: int = 5) -> Image.Image:
    """Draws half blocks as a terminal does."""
    rows = lines.splitlines()
    image = Image.new("L", (len(rows[0]) * scale, 2 * len(rows) * scale), paper)
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        assert len(row) == len(rows[0])
        for x, char in enumerate(row):
            for half in range(2):
                if char in ("█▀", "█▄")[half]:
                    top = (2 * y + half) * scale
                    draw.rectangle((x * scale, top, (x + 1) * scale - 1, top + scale - 1), fill=ink)
    return image


@both
@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
def test_a_png_is_read(text: str, level: str) -> None:
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture.png(text, error_correction=level))).convert("L"))
    assert [barcode.text for barcode in found] == [text]
    assert found[0].ec_level == level


@both
def test_a_png_has_the_size_asked_for_and_one_bit_a_pixel(text: str) -> None:
    image = Image.open(io.BytesIO(picture.png(text, scale=3, border=5)))
    side = (17 + 4 * picture.version_of(text) + 2 * 5) * 3
    assert (image.format, image.mode, image.size) == ("PNG", "1", (side, side))


@both
def test_three_pixels_a_module_are_enough(text: str) -> None:
    assert read(opened(text, scale=3)) == [text]


@both
@pytest.mark.parametrize("angle", [5, 33, 45, 90, 180, 213, 301])
def test_a_turned_picture_is_read(text: str, angle: int) -> None:
    turned = opened(text, scale=5).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert read(turned) == [text]


@both
@pytest.mark.parametrize(("scale", "radius"), [(4, 1.5), (8, 3.0)])
def test_a_blurred_picture_is_read(text: str, scale: int, radius: float) -> None:
    assert read(opened(text, scale=scale).filter(ImageFilter.GaussianBlur(radius))) == [text]


@both
def test_a_shrunk_photograph_is_read(text: str) -> None:
    image = opened(text, scale=10)
    small = image.resize((int(image.width * 0.37), int(image.height * 0.37)), Image.Resampling.BILINEAR)
    assert read(small.filter(ImageFilter.GaussianBlur(0.8)).point(lambda value: 70 + value // 2)) == [text]


@both
def test_the_quiet_zone_suffices_on_a_dark_page(text: str) -> None:
    code = opened(text, scale=4)
    page = Image.new("L", (code.width + 200, code.height + 200), 12)
    page.paste(code, (100, 100))
    assert read(page) == [text]


@both
def test_an_svg_is_read(text: str) -> None:
    assert read(drawn_svg(picture.svg(text))) == [text]


def test_an_svg_is_plain_and_has_an_explicit_background() -> None:
    document = picture.svg(samples.ONLINE_TEXT)
    root = ElementTree.fromstring(document)  # noqa: S314 -- our own output
    assert root.attrib["viewBox"] == "0 0 53 53"  # version 7 and twice four modules
    assert [child.tag.rpartition("}")[2] for child in root] == ["path", "path"]
    assert root[0].attrib == {"fill": "#fff", "d": "M0 0h53v53H0z"}
    for foreign in ("script", "style", "href", "<!"):
        assert foreign not in document


@both
def test_the_terminal_picture_is_read_in_its_own_colours(text: str) -> None:
    lines = picture.terminal(text)
    start, end = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
    for line in lines.splitlines():
        assert line.startswith(start)
        assert line.endswith(end)
    plain = lines.replace(start, "").replace(end, "")
    assert "\x1b" not in plain
    assert read(drawn_terminal(plain, ink=0, paper=255)) == [text]


@both
def test_the_plain_terminal_picture_is_read_where_text_is_light_on_dark(text: str) -> None:
    lines = picture.terminal(text, ansi=False)
    assert "\x1b" not in lines
    assert read(drawn_terminal(lines, ink=240, paper=20)) == [text]


def test_a_number_is_written_in_numeric_mode() -> None:
    assert picture.version_of("1" * 34) == 1
    assert picture.version_of("1" * 35) == 2


def test_an_offline_code_fits_version_13_and_an_online_code_version_8() -> None:
    assert picture.version_of(samples.OFFLINE_TEXT) == 13
    assert picture.version_of(samples.ONLINE_TEXT) == 7
    assert len(samples.OFFLINE_TEXT) <= 483  # alphanumeric characters of 13-M
    assert len(samples.ONLINE_TEXT) <= 221  # of 8-M


@pytest.mark.parametrize(("audience", "version"), [(None, 13), ("x" * 21, 13), (samples.LONGEST_AUDIENCE, 14)])
def test_an_sm2_code_fits_version_13_unless_its_audience_is_long(audience: str | None, version: int) -> None:
    """Twelve bytes more than by ES256: three numbers of the private range."""
    assert picture.version_of(samples.sm2_offline_text(audience)) == version


def test_the_figures_of_the_page(record_property: Callable[[str, object], None]) -> None:
    es256, national = len(samples.OFFLINE_TEXT), len(samples.sm2_offline_text(samples.LONGEST_AUDIENCE))
    record_property("counts", f"EC1 characters of 483 in version 13-M: {es256} by ES256, {national} by SM2")
    assert (es256, national) == (471, 489)


@pytest.mark.parametrize(
    ("version", "characters"),
    [(1, 20), (2, 38), (6, 154), (7, 178), (8, 221), (9, 262), (10, 311), (12, 419), (13, 483), (26, 1542), (40, 3391)],
)
def test_our_alphabet_is_written_in_alphanumeric_mode(version: int, characters: int) -> None:
    """The capacities of ISO/IEC 18004 table 7, level M: byte mode would need about a third more."""
    assert picture.version_of("Z" * characters) == version
    if version < 40:
        assert picture.version_of("Z" * (characters + 1)) == version + 1
    else:
        with pytest.raises(InvalidInput, match="picture_text_too_long"):
            picture.version_of("Z" * (characters + 1))


@pytest.mark.parametrize(
    "text", ["https://login.example/l/Ab-9_x", "养老保险", "", "a", "ABC", ALPHABET, "123456789012345678901234"]
)
def test_other_texts_are_drawn_too(text: str) -> None:
    if text:
        assert read(opened(text)) == [text]
    else:
        assert picture.version_of(text) == 1


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
@pytest.mark.parametrize("length", [1, 17, 60, 166, 300, 456, 900])
def test_the_symbol_is_the_librarys_own(length: int, level: str) -> None:
    """Our quick choice of the mask is the library's slow one."""
    import qrcode

    for start in range(3):
        text = ((samples.OFFLINE_TEXT + samples.ONLINE_TEXT) * 2)[start * 7 :][:length]
        code = qrcode.QRCode(error_correction=getattr(qrcode.constants, f"ERROR_CORRECT_{level}"))
        code.add_data(text, optimize=0)
        code.make()
        rows = tuple("".join("1" if module else "0" for module in row) for row in code.modules)
        assert symbol.symbol_of(text, level).rows == rows


@pytest.mark.parametrize("options", [{"scale": 0}, {"scale": 65}, {"border": -1}, {"border": 65}])
def test_a_size_out_of_bounds_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="bad_picture_size"):
        picture.png("EC0:A", scale=options.get("scale", 8), border=options.get("border", 4))


@pytest.mark.parametrize("draw", [picture.png, picture.svg, picture.terminal, picture.version_of])
def test_what_cannot_be_drawn_has_a_stable_answer(draw: Callable[..., object]) -> None:
    for text, level, code in (
        ("Z" * 5000, "L", "picture_text_too_long"),
        ("1" * 7090, "L", "picture_text_too_long"),
        ("z" * 4000, "M", "picture_text_too_long"),
        ("\ud800", "M", "bad_picture_text"),
        ("EC0:A", "m", "bad_error_correction"),
    ):
        with pytest.raises(InvalidInput) as caught:
            draw(text, error_correction=level)
        assert caught.value.code == code


def test_without_the_library_payload_works_and_pictures_say_what_is_missing() -> None:
    program = f"""
import sys
sys.modules["qrcode"] = sys.modules["PIL"] = None
from ecard_card.errors import Unavailable
from ecard_qr import payload, picture
assert payload.parse({samples.ONLINE_TEXT!r}).issued_at == {samples.LAST_TIME}
try:
    picture.svg("EC0:A")
except Unavailable as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "picture_library_missing\n"


def test_without_pillow_only_png_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert picture.svg("EC0:A")
    assert picture.terminal("EC0:A")
    with pytest.raises(Unavailable, match="picture_library_missing"):
        picture.png("EC0:A")
