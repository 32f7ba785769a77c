"""Pictures of our codes as counters get them: what a phone, a printer, a camera and a pocket do to a code.

The same every time: seeds are made of what a picture is. No picture is kept in a file.
"""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import sin
from types import MappingProxyType
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from ecard_qr import picture
from tests.qr import samples
from tests.qr.make_vectors import PAID

#: What is drawn: a whole code (version 13), a short one (7) and what a counter asks with a payment.
TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {"EC1": samples.OFFLINE_TEXT, "EC0": samples.ONLINE_TEXT, "ECQ": PAID.text}
)
#: A second card's code, and what else people show: a payment code, a page, a railway ticket.
OTHER: Final = samples.online_text(samples.LAST_TIME - 30)
FOREIGN: Final = ("134567890123456789", "https://pay.example/q/8f3a", "1" * 120)
#: Pixels of a module in the picture that the decoder gets.
SIZES: Final = (2, 3, 4, 5, 6, 8)
#: How hard it was hit: a little, badly, beyond what anybody could read.
FORCES: Final = (1, 2, 3)

Damage = Callable[[Image.Image, int, random.Random, int], Image.Image]


@dataclass(frozen=True)
class Damaged:
    """One picture of the corpus. `texts` are those of our codes in it."""

    form: str
    size: int
    damage: str
    force: int
    texts: tuple[str, ...]

    @property
    def image(self) -> Image.Image:
        """Drawn anew, in grey."""
        seed = random.Random(zlib.crc32(f"{self.form} {self.size} {self.damage} {self.force}".encode()))  # noqa: S311
        return DAMAGES[self.damage](drawn(TEXTS[self.form], self.size), self.size, seed, self.force)


def corpus() -> Iterator[Damaged]:
    """Every form at every size in every state: 864 pictures."""
    for damage in DAMAGES:
        for form, text in TEXTS.items():
            for size in SIZES:
                for force in FORCES:
                    yield Damaged(form, size, damage, force, (text, OTHER) if damage == "two_codes" else (text,))


def drawn(text: str, size: int) -> Image.Image:
    """The picture that we make of a code, in grey."""
    return Image.open(io.BytesIO(picture.png(text, scale=size))).convert("L")


def _whole(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    return image


def _corner(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """The corner without a finder is gone, up to a third of the side."""
    torn, side = image.copy(), image.width
    reach = int(side * (0.08 + 0.08 * force)) + 4 * size
    ImageDraw.Draw(torn).polygon([(side, side), (side - reach, side), (side, side - reach)], fill=seed.randrange(256))
    return torn


def _finder(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """A corner with a finder is gone: no decoder knows where the code lies."""
    torn = image.copy()
    ImageDraw.Draw(torn).rectangle((0, 0, 12 * size, 12 * size), fill=235)
    return ImageOps.flip(torn) if seed.random() < 0.5 else torn


def _edge(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """The picture ends at the code's edge, or half a module or one before it does."""
    kept = image.width - 4 * size - round((0.5 * force - 0.5) * size)
    return ImageOps.expand(image.crop((0, 0, kept, image.height)), 10, 200)


def _half(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """A thumb over a tenth of it, a quarter, or half."""
    covered, side = image.copy(), image.width
    left = side * (0.97 - 0.14 * force)
    top = side * (0.5 - 0.2 * force)
    ImageDraw.Draw(covered).ellipse((left, top, left + side, side - top), fill=seed.randrange(90, 180))
    return covered


def _mirrored(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    return ImageOps.mirror(image)


def _inverted(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    return ImageOps.invert(image)


def _rotated(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    angle = seed.choice((90, 180, 270)) + seed.uniform(-40, 40)
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _crumpled(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """Paper that was folded: each field of the sheet is pulled its own way (0.3 modules, 0.6, 0.9) and shaded."""
    cells, side, pull = 6, image.width, 0.3 * force * size
    pulled = {
        (x, y): (x * side / cells + seed.uniform(-pull, pull), y * side / cells + seed.uniform(-pull, pull))
        for x in range(cells + 1)
        for y in range(cells + 1)
    }
    mesh = []
    for x in range(cells):
        for y in range(cells):
            box = tuple(round(step * side / cells) for step in (x, y, x + 1, y + 1))
            corners = (pulled[x, y], pulled[x, y + 1], pulled[x + 1, y + 1], pulled[x + 1, y])
            mesh.append((box, tuple(value for corner in corners for value in corner)))
    folded = image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=255)
    shade = Image.new("L", (cells, cells))
    shade.putdata([seed.randrange(170, 256) for _ in range(cells * cells)])
    return ImageChops.multiply(folded, shade.resize(image.size, Image.Resampling.NEAREST))


def _screen(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """Photographed from a screen: its grid, a slant, a soft lens, little light, and a JPEG of it."""
    photo = _slanted(ImageOps.expand(image, 12 * size, 60), seed)
    grid = Image.new("L", photo.size)
    wave, slope = seed.uniform(2.3, 4.1), seed.uniform(0.02, 0.2)
    rows = [bytes(int(225 + 30 * sin((x + slope * y) * 6.283 / wave)) for x in range(grid.width)) for y in range(8)]
    grid.frombytes(b"".join(rows[y % 8] for y in range(grid.height)))
    photo = _dim(ImageChops.multiply(photo, grid), 0.7)
    return _jpeg(
        _noisy(photo.filter(ImageFilter.GaussianBlur(0.11 * force * size)), seed, 0.05 * force), 70 - 12 * force
    )


def _blurred(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """Out of focus by a quarter of a module, by 0.4 or 0.55 (standard deviation)."""
    return image.filter(ImageFilter.GaussianBlur((0.1 + 0.15 * force) * size))


def _dark(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """Low contrast and the noise of a cheap camera."""
    return _noisy(_dim(image, 0.5 / force), seed, 0.06 * force)


def _squeezed(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """A messenger's JPEG of a JPEG."""
    return _jpeg(_jpeg(image, seed.randrange(40, 61)), (30, 20, 8)[force - 1])


def _glare(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """A lamp in the glass."""
    side = image.width
    spot = int(side * (0.1 + 0.15 * force))
    light = Image.new("L", image.size)
    where = (int(side * seed.uniform(0.35, 0.6)), int(side * seed.uniform(0.3, 0.6)))
    light.paste(ImageOps.invert(Image.radial_gradient("L")).resize((spot, spot)), where)
    return ImageChops.add(_dim(image, 0.75), light)


def _two(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """Two cards' codes at once."""
    return _beside(image, drawn(OTHER, size))


def _foreign(image: Image.Image, size: int, seed: random.Random, force: int) -> Image.Image:
    """What is stuck to every till: somebody else's code."""
    return _beside(image, drawn(seed.choice(FOREIGN), size))


DAMAGES: Final[Mapping[str, Damage]] = MappingProxyType(
    {
        "whole": _whole,
        "mirrored": _mirrored,
        "inverted": _inverted,
        "rotated": _rotated,
        "corner_torn": _corner,
        "edge_missing": _edge,
        "finder_missing": _finder,
        "half_covered": _half,
        "crumpled": _crumpled,
        "off_a_screen": _screen,
        "out_of_focus": _blurred,
        "dark": _dark,
        "glare": _glare,
        "jpeg": _squeezed,
        "two_codes": _two,
        "payment_beside": _foreign,
    }
)


def _beside(one: Image.Image, other: Image.Image) -> Image.Image:
    both = Image.new("L", (one.width + other.width, max(one.height, other.height)), 245)
    both.paste(one, (0, 0))
    both.paste(other, (one.width, 0))
    return both


def _dim(image: Image.Image, contrast: float) -> Image.Image:
    dark = int(90 * (1 - contrast))
    return image.point([int(dark + level * contrast) for level in range(256)])


def _noisy(image: Image.Image, seed: random.Random, share: float) -> Image.Image:
    noise = Image.frombytes("L", image.size, seed.randbytes(image.width * image.height))
    return Image.blend(image, noise, share)


def _slanted(image: Image.Image, seed: random.Random) -> Image.Image:
    """Seen from the side: one edge is up to a quarter shorter."""
    lean, rise = seed.uniform(-0.25, 0.25) / image.width, seed.uniform(-0.15, 0.15) / image.height
    shape = (1, seed.uniform(-0.1, 0.1), 0, seed.uniform(-0.1, 0.1), 1, 0, lean, rise)
    return image.transform(image.size, Image.Transform.PERSPECTIVE, shape, Image.Resampling.BICUBIC, fillcolor=60)


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("L")
