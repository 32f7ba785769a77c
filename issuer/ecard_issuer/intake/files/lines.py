"""A file as records of bytes: each whole, with its place, and none longer than `MAX_RECORD`.

Works on bytes alone, before any decoding: in UTF-8 as in GBK and GB18030 no second byte of a character is a quote, a
comma or a line end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

MAX_RECORD: Final = 65536
_CHUNK: Final = 1 << 20


@dataclass(slots=True)  # made once a row: freezing costs a microsecond each
class Line:
    """A record without its line end. `data` is None for one that is too long; `ended` is False for a last record that
    the file breaks off in."""

    offset: int
    length: int  # with its line end
    data: bytes | None = field(repr=False)
    ended: bool = True


def lines(file: BinaryIO, offset: int, *, quoted: bool, complete: bool = False) -> Iterator[Line]:
    """The records of a file from `offset` on. With `quoted` a line end inside of quotes ends nothing (RFC 4180).

    A line whose quotes never close within `MAX_RECORD` is wrong by itself; what follows it is read as if it had not
    been there. Empty lines are left out. `complete`: the file is known to be whole, though its last line has no end.
    """
    file.seek(offset)
    raw, again = _raw(file), list[_Raw]()
    held: list[_Raw] = []  # lines of one record whose quotes are open
    size = 0

    def give_up() -> Line:
        """The first line that is held, as wrong; the others are read again."""
        nonlocal held, size, offset
        wrong = Line(offset, held[0].length, None)
        again.extend(reversed(held[1:]))
        offset += held[0].length
        held, size = [], 0
        return wrong

    while True:
        line = again.pop() if again else next(raw, None)
        if line is None:
            if not held or not complete:
                break
            yield give_up()
            continue
        if line.data is None:
            if held:
                again.append(line)
                yield give_up()
            else:
                yield Line(offset, line.length, None)
                offset += line.length
            continue
        odd = quoted and line.data.count(b'"') & 1
        if not held and not odd:
            yield from _record(line.data, offset, complete)
            offset += line.length
            continue
        closes = bool(held) and odd
        held.append(line)
        size += line.length
        if size > MAX_RECORD:
            yield give_up()
        elif closes:
            yield from _record(b"".join(part.data or b"" for part in held), offset, complete)
            offset += size
            held, size = [], 0
    if held:
        yield Line(offset, size, b"", ended=False)


def _record(data: bytes, offset: int, complete: bool) -> Iterator[Line]:
    body = data.rstrip(b"\r\n")
    if body.strip(b" \t"):
        yield Line(offset, len(data), body, ended=complete or data.endswith(b"\n"))


class _Raw(NamedTuple):
    """A line with its end; of one beyond `MAX_RECORD` nothing was kept."""

    data: bytes | None
    length: int


def _raw(file: BinaryIO) -> Iterator[_Raw]:
    rest = b""
    skipping = 0
    while chunk := file.read(_CHUNK):
        if skipping:
            head, found, chunk = chunk.partition(b"\n")
            skipping += len(head) + len(found)
            if not found:
                continue
            yield _Raw(None, skipping)
            skipping = 0
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            if len(piece) < MAX_RECORD:
                yield _Raw(piece + b"\n", len(piece) + 1)
            else:
                yield _Raw(None, len(piece) + 1)
        if len(rest) > MAX_RECORD:
            rest, skipping = b"", len(rest)
    if skipping:
        yield _Raw(None, skipping)
    elif rest:
        yield _Raw(rest, len(rest))
