"""What a channel is told, as frozen values: links, claims, codes, events.

Members that this version does not know are passed over and stand in `raw`; words that it does not know become a member
of their enumeration that is not `known`. So a newer authority does not break an older client. Times are aware UTC. What
is personal, and what opens something, is in no `repr`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from ecard_card.errors import EcardError
from ecard_sdk.core.call import Reply
from ecard_sdk.core.reading import parsed, unreadable


class Word(StrEnum):
    """A word of a closed list that may grow. Compare with members; what is new has `known` False and its own text."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not value.isprintable() or len(value) > 64:
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = "UNKNOWN", value
        return word

    @property
    def known(self) -> bool:
        """Whether this version knows the word."""
        return self.name != "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(ABC):
    """Base of all answers. `raw` is the answer as it came, `last_response` what HTTP said with it."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    last_response: Reply | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """From an answer. Raises `ServerError` `service_answer_unreadable` where a member is missing."""
        return replace(cls.read(parsed(reply), reply), last_response=reply)

    @classmethod
    def read(cls, document: object, reply: Reply) -> Self:
        """From one JSON object of an answer. Raises as `of`."""
        try:
            return cls.part(document)
        except (KeyError, TypeError, ValueError, AttributeError, EcardError):
            raise unreadable(reply, f"the answer is no {cls.__name__}") from None

    @classmethod
    def part(cls, document: object) -> Self:
        """As a part of another answer. Raises what reading it raises."""
        if not isinstance(document, dict):
            raise TypeError
        return replace(cls._of(document), raw=document)

    @classmethod
    @abstractmethod
    def _of(cls, data: Mapping[str, Any]) -> Self: ...


def text(value: object) -> str:
    """A text, and nothing else."""
    if not isinstance(value, str):
        raise TypeError
    return value


def moment(value: object) -> datetime:
    """RFC 3339 text with its zone, as aware UTC."""
    read = datetime.fromisoformat(text(value))
    if read.tzinfo is None:
        raise ValueError
    return read.astimezone(UTC)


def maybe(read: Callable[[Any], Any], value: object) -> Any:
    """`read(value)`, or None for null and for what is not there."""
    return None if value is None else read(value)


class CardWord(Word):
    """What an e-card is now."""

    VALID = "valid"
    SUSPENDED = "suspended"
    INVALID = "invalid"


class Proof(Word):
    """What proves a holder."""

    CHIP = "chip"
    PIN = "pin"
    IDENTITY = "identity"


class EventType(Word):
    """What happened to a link."""

    LINK_CLAIMED = "link.claimed"
    LINK_RELEASED = "link.released"
    CARD_LOST = "card.lost"
    CARD_FOUND = "card.found"
    CARD_REPLACED = "card.replaced"
    CARD_CANCELLED = "card.cancelled"
    CARD_CHANGED = "card.changed"
    LEVEL_CHANGED = "level.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of a type


T = TypeVar("T", bound=Told)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. `next_cursor` is None on the last one."""

    data: tuple[T, ...]
    next_cursor: str | None
    last_response: Reply = field(repr=False, compare=False)

    @classmethod
    def of_items(cls, reply: Reply, model: type[T]) -> Page[T]:
        """From an answer. Raises `ServerError` `service_answer_unreadable`."""
        document = parsed(reply)
        items, following = (document.get("data"), document.get("next_cursor")) if isinstance(document, dict) else (0, 0)
        if isinstance(items, list) and isinstance(following, str | None):
            return cls(tuple(model.read(item, reply) for item in items), following, reply)
        raise unreadable(reply, "the answer is no page of a list")


def each(reply: Reply, member: str, model: type[T]) -> tuple[T, ...]:
    """One for each item of the list that the answer has as `member`. Raises `ServerError`."""
    document = parsed(reply)
    items = document.get(member) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise unreadable(reply, "the answer holds no list")
    return tuple(replace(model.read(item, reply), last_response=reply) for item in items)
