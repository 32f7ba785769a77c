"""The photo for a card: what is required, and checked.

Source: 社会保障卡制证用数字相片技术要求, which follows GA 461 for identity cards: JPEG, 358 × 441 pixels, 24-bit
colour, white background without a border, commonly 14 to 40 KiB. What a program cannot judge well (a neutral face,
eyes open, ears seen) is for the clerk who approves.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from ecard_card.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_TYPE: Final = "image/jpeg"


@dataclass(frozen=True, slots=True)
class PhotoRules:
    """Sizes in pixels and bytes; shares from 0 to 1; levels from 0 to 255."""

    width: int = 358
    height: int = 441
    least_bytes: int = 8 << 10  # the rule's "commonly 14 KiB", with room for a plain background
    most_bytes: int = 60 << 10
    background: int = 200  # the least level of each colour in the upper corners
    least_spread: int = 12  # a picture that varies less is blank
    least_colour: float = 0.02  # the share of pixels whose colours differ by more than `colour_step`
    colour_step: int = 20


NATIONAL: Final = PhotoRules()


def require_photo(content: bytes, rules: PhotoRules = NATIONAL) -> None:
    """Raises `InvalidInput` `photo_not_jpeg`, `photo_bytes_refused`, `photo_pixels_refused`, `photo_not_colour`,
    `photo_blank`, `photo_background_refused`; `Unavailable` `photo_check_missing` where Pillow is not installed.

    A picture of other dimensions is refused by its header, before anything is unpacked.
    """
    if not rules.least_bytes <= len(content) <= rules.most_bytes:
        raise InvalidInput("photo_bytes_refused", f"want {rules.least_bytes} to {rules.most_bytes} bytes")
    picture = _decoded(content, rules)
    levels = picture.convert("L").resize((32, 40)).tobytes()
    mean = sum(levels) / len(levels)
    if (sum((level - mean) ** 2 for level in levels) / len(levels)) ** 0.5 < rules.least_spread:
        raise InvalidInput("photo_blank", "nothing is to be seen")
    small = picture.resize((90, 110)).tobytes()
    pixels = [small[at : at + 3] for at in range(0, len(small), 3)]
    coloured = sum(max(pixel) - min(pixel) > rules.colour_step for pixel in pixels)
    if coloured < rules.least_colour * len(pixels):
        raise InvalidInput("photo_not_colour", "all of it is grey")
    corner = (rules.width // 12, rules.height // 12)
    for left in (0, rules.width - corner[0]):
        patch = picture.crop((left, 0, left + corner[0], corner[1])).resize((1, 1)).tobytes()
        if min(patch) < rules.background:
            raise InvalidInput("photo_background_refused", "the upper corners are not white")


def _decoded(content: bytes, rules: PhotoRules) -> Image:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise Unavailable("photo_check_missing", "install the extra `image`") from None
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as picture:
            if picture.size != (rules.width, rules.height):
                raise InvalidInput("photo_pixels_refused", f"want {rules.width} by {rules.height} pixels")
            if picture.mode != "RGB":
                raise InvalidInput("photo_not_colour", "want 24-bit colour")
            picture.load()
            return picture.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InvalidInput("photo_not_jpeg", "not a whole JPEG picture") from None
