"""One call as a value, and the steps that a driver must take to make it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ecard_card.errors import InvalidInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, read. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def request_id(self) -> str | None:
        """What the authority's operator asks for."""
        return self.headers.get("x-request-id")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What a resource asks for.

    `path` begins with a slash. `changes` says that it creates or changes: it carries an idempotency key, and is then as
    safe to repeat as a reading. `signed` says that it carries a message signature too. The members of `body` that
    `sealed` names travel together in one encrypted member. `public` needs no token. `waits` is how long the service may
    take to begin its answer, in seconds, where that is longer than usual.
    """

    method: str
    path: str
    parse: Callable[[Reply], T]
    body: Mapping[str, object] | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    signed: bool = False
    sealed: tuple[str, ...] = ()
    public: bool = False
    idempotency_key: str | None = None
    waits: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """Make this HTTP exchange, and send its `Reply` back; throw `NoAnswer` in where there is none."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    waits: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alone:
    """Do this work while no other call of the same client does such work; send its result back."""

    work: Callable[[], Work[Any]]


class NoAnswer(Exception):
    """Nothing came, or not all of it. The request may have arrived."""


_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def reference(value: str) -> str:
    """A part of a path; what is no reference would change the path. Raises `InvalidInput` `bad_reference`."""
    if not _REFERENCE.fullmatch(value):
        raise InvalidInput("bad_reference", "a reference has 1 to 64 letters, digits, - and _")
    return value


def link_path(link_id: str, verb: str = "") -> str:
    """The path of a link, or of a verb on it. Raises `InvalidInput` `bad_reference`."""
    return f"/v1/links/{reference(link_id)}" + (f"/{verb}" if verb else "")


Step: TypeAlias = Send | Pause | Alone
#: A generator of steps: a driver takes each one and sends its outcome in.
Work: TypeAlias = Generator[Step, Any, T]
