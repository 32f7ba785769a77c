"""The report of a comparison: JSON Lines of mode 600, a head, every difference, the sums; known by its digest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ecard_card.errors import InvalidInput
from ecard_card.jose import dump_json, parse_json
from ecard_issuer.intake.reconciling.compare import Difference, Kind

FORMAT: Final = "ecard-reconciliation-1"
_MAX_LINE: Final = 4096


class ReportWriter:
    """Writes a report beside its place and puts it there when it is whole."""

    def __init__(self, path: Path, head: Mapping[str, object]) -> None:
        self._path, self._draft = path, path.with_name(path.name + ".part")
        self.counts: Counter[str] = Counter()
        self._hash = hashlib.sha256()
        handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._put({"format": FORMAT, **head})

    def add(self, difference: Difference) -> None:
        self.counts[difference.kind.value] += 1
        self._put(difference.as_json())

    def finish(self, compared: int) -> str:
        """End it with the sums; the SHA-256 of the whole file, hex."""
        self._put({"compared": compared, "counts": dict(sorted(self.counts.items()))})
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        return self._hash.hexdigest()

    def _put(self, line: Mapping[str, object]) -> None:
        data = dump_json(line) + b"\n"
        self._hash.update(data)
        self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """SHA-256 of the file, hex. Raises `InvalidInput` `file_unreadable`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise InvalidInput("file_unreadable", "the file cannot be read") from None


def taken_at(path: Path) -> datetime:
    """When the snapshot of the report was taken. Raises `InvalidInput` `bad_report`, `file_unreadable`."""
    try:
        with path.open("rb") as file:
            head = parse_json(file.readline(_MAX_LINE), limit=_MAX_LINE, max_depth=2)
        return datetime.fromisoformat(str(head["as_of"]) if isinstance(head, dict) else "")
    except OSError:
        raise InvalidInput("file_unreadable", "the report cannot be read") from None
    except (InvalidInput, KeyError, ValueError):
        raise InvalidInput("bad_report", "its head does not say when the snapshot was taken") from None


def status_differences(path: Path) -> Iterator[tuple[str, int, int, int]]:
    """Reference, status here, status there and sequence of each difference in status. Raises `InvalidInput`
    `bad_report`; the caller has compared the digest before."""
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_LINE):
                value = parse_json(line, limit=_MAX_LINE, max_depth=2)
                if not isinstance(value, dict) or value.get("kind") != Kind.STATUS:
                    continue
                match value:
                    case {"card_ref": str(ref), "here": int(here), "there": int(there), "sequence": int(sequence)}:
                        yield ref, here, there, sequence
                    case _:
                        raise InvalidInput("bad_report", "a difference without its parts")
    except OSError:
        raise InvalidInput("file_unreadable", "the report cannot be read") from None
    except InvalidInput as error:
        raise InvalidInput("bad_report", error.detail) from None
