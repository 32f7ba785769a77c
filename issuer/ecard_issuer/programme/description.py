"""The programme's brochure as data: facts, functions, uses and channels, in both languages, each with its line.

What a line offers is named by the `operation_id` of the route that does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ecard_card import jose
from ecard_card.errors import InvalidInput

_FORMAT: Final = "ecard-programme/1"


class ChannelKind(StrEnum):
    """By what a channel is reached."""

    WEBSITE = "website"
    APP = "app"
    WECHAT = "wechat"
    ALIPAY = "alipay"
    GOVERNMENT = "government"
    BANK = "bank"


class State(StrEnum):
    """Whether a use works here."""

    WORKS = "works"
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class Item:
    """One line: a fact or a function, and the operations that keep it."""

    line: int
    zh: str
    en: str
    offers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use(Item):
    """What the e-card is used for; a note where it does not work yet."""

    state: State
    note_zh: str
    note_en: str


@dataclass(frozen=True, slots=True)
class Channel(Item):
    """A way by which people reach the programme. Where it is, operators say."""

    channel: str
    kind: ChannelKind


@dataclass(frozen=True, slots=True)
class Programme:
    """Valid once it exists: every line once."""

    hotline: str
    facts: tuple[Item, ...]
    functions: tuple[Item, ...]
    uses: tuple[Use, ...]
    channels: tuple[Channel, ...]

    def items(self) -> tuple[Item, ...]:
        """Everything, whatever it is."""
        return (*self.facts, *self.functions, *self.uses, *self.channels)


@cache
def programme() -> Programme:
    """The programme that is shipped."""
    return read_programme(files("ecard_issuer.programme").joinpath("programme.json").read_bytes())


def read_programme(document: bytes) -> Programme:
    """Raises `InvalidInput` `bad_programme`, naming the place."""
    match jose.parse_json(document):
        case {
            "format": "ecard-programme/1",
            "hotline": str(hotline),
            "facts": list(facts),
            "functions": list(functions),
            "uses": list(uses),
            "channels": list(channels),
            **rest,
        } if not rest:
            read = Programme(
                hotline,
                tuple(Item(**_common(item, ())) for item in facts),
                tuple(Item(**_common(item, ())) for item in functions),
                tuple(map(_use, uses)),
                tuple(map(_channel, channels)),
            )
        case _:
            raise _bad("not a document of format " + _FORMAT)
    lines = [item.line for item in read.items()]
    if len(set(lines)) != len(lines) or len({item.channel for item in read.channels}) != len(read.channels):
        raise _bad("a line or a channel twice")
    return read


def _use(item: Any) -> Use:
    common = _common(item, ("state", "note_zh", "note_en"))
    try:
        return Use(**common, state=State(item["state"]), note_zh=item["note_zh"], note_en=item["note_en"])
    except ValueError:
        raise _bad(f"line {common['line']}: an unknown state") from None


def _channel(item: Any) -> Channel:
    common = _common(item, ("channel", "kind"))
    try:
        return Channel(**common, channel=item["channel"], kind=ChannelKind(item["kind"]))
    except ValueError:
        raise _bad(f"line {common['line']}: an unknown kind of channel") from None


def _common(item: Any, more: tuple[str, ...]) -> dict[str, Any]:
    match item:
        case {"line": int(line), "zh": str(zh), "en": str(en), "offers": list(offers), **rest}:
            texts = all(type(rest.get(name)) is str for name in more)
            named = all(type(name) is str and name for name in offers)
            if rest.keys() == set(more) and texts and named and 1 <= line <= 104 and zh and en:
                return {"line": line, "zh": zh, "en": en, "offers": tuple(offers)}
    raise _bad("a line of unknown shape")


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_programme", why)


Addresses = Mapping[str, str]
