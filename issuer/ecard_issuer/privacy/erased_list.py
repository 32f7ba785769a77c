"""The list of erased people as a file: one JSON object a line, to be kept apart from the backups it is for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_issuer.privacy.values import ErasedPerson
from ecard_verifier.verdict import rfc3339

FORMAT: Final = "ecard-erased/1"
_MEMBERS: Final = {"format", "former_ref", "key_mark", "erased_at"}
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")
MAX_LINE: Final = 400


def lines(people: Iterable[ErasedPerson]) -> Iterator[str]:
    """A line for each person, without its end."""
    for person in people:
        yield json.dumps(
            {
                "format": FORMAT,
                "former_ref": person.former_ref,
                "key_mark": person.key_mark,
                "erased_at": rfc3339(person.erased_at),
            }
        )


def read(text: Iterable[str]) -> Iterator[ErasedPerson]:
    """The people of a list, line by line. Raises `InvalidInput` `bad_erased_list` at the first line that is none."""
    for number, line in enumerate(text, 1):
        if line.strip():
            yield _person(line, number)


def _person(line: str, number: int) -> ErasedPerson:
    try:
        found = json.loads(line) if len(line) <= MAX_LINE else None
        if isinstance(found, dict) and found.keys() == _MEMBERS and found["format"] == FORMAT:
            refs = (found["former_ref"], found["key_mark"])
            moment = datetime.fromisoformat(found["erased_at"])
            if all(isinstance(ref, str) and _HEX.fullmatch(ref) for ref in refs) and moment.tzinfo is not None:
                return ErasedPerson(*refs, moment)
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidInput("bad_erased_list", f"line {number} is not of a list of erased people")
