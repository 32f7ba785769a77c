"""People who apply for cards, their papers and photos: all synthetic, from region 000000."""

from __future__ import annotations

import random
from base64 import b64encode
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

from ecard_card.card import id_number_check
from tests.issuer.service import Service

ADULT = "1990-05-01"
CHILD = "2015-05-01"


def number(born: str = ADULT, serial: int = 1, region: str = "000000") -> str:
    """A well-formed ID number."""
    body = region + born.replace("-", "") + f"{serial:03d}"
    return body + id_number_check(body)


def person(born: str = ADULT, serial: int = 1, name: str = "测试") -> dict[str, Any]:
    return {"document": {"kind": "01", "number": number(born, serial)}, "name": name}


def application(request_id: str = "a-1", *, who: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """What a desk sends."""
    return {
        "request_id": request_id,
        "channel": "desk",
        "original_seen": True,
        "region": "000000",
        "residency": "registered",
        "person": who or person(),
    } | more


def online(request_id: str = "a-1", channel: str = "app", **more: Any) -> dict[str, Any]:
    """What a channel sends."""
    return application(request_id, **more) | {"channel": channel, "original_seen": False}


def mandate(holder: dict[str, Any], agent: dict[str, Any], request_id: str = "m-1", **more: Any) -> dict[str, Any]:
    """A guardian of a minor, unless `more` says otherwise."""
    return {
        "request_id": request_id,
        "region": "000000",
        "holder": holder,
        "agent": agent,
        "ground": "guardian",
        "cause": "minor",
        "relation": "parent",
        "acts": ["apply", "collect"],
        "starts_at": "2026-11-01T00:00:00Z",
        "proof": {"form": "official", "reference": "户口簿第 3 页", "given_at": "2026-11-01T00:00:00Z"},
    } | more


@cache
def photo(
    size: tuple[int, int] = (358, 441),
    *,
    form: str = "JPEG",
    mode: str = "RGB",
    background: tuple[int, int, int] = (252, 252, 250),
    face: bool = True,
    grey: bool = False,
) -> bytes:
    """A picture with a coloured shape, noisy as photos are."""
    picture = Image.new("RGB", size, background)
    if face:
        draw = ImageDraw.Draw(picture)
        width, height = size
        draw.ellipse((width * 0.25, height * 0.1, width * 0.75, height * 0.7), fill=(214, 160, 130))
        draw.rectangle((width * 0.1, height * 0.72, width * 0.9, height), fill=(30, 40, 110))
        source = random.Random(7)  # noqa: S311 - the noise of a picture
        for _ in range(size[0] * size[1] // 30):
            x, y = source.randrange(int(width * 0.2), int(width * 0.8)), source.randrange(height // 6, height)
            picture.putpixel((x, y), tuple(source.randrange(60, 200) for _ in range(3)))
    if grey:
        picture = picture.convert("L").convert("RGB")
    out = BytesIO()
    picture.convert(mode).save(out, form, quality=85)
    return out.getvalue()


def file(kind: str, content: bytes, media_type: str = "image/jpeg") -> dict[str, str]:
    return {"kind": kind, "media_type": media_type, "content": b64encode(content).decode()}


def made_card(service: Service, serial: int) -> dict[str, Any]:
    """What the maker reports of synthetic chip `serial`."""
    body = service.card_body(serial)
    return {name: body[name] for name in ("identification_code", "card_number", "profile", "issued_on", "expires_on")}
