"""The "about to sign" journal: what the signing desk writes down before it signs, so that no signature is unrecorded.

A folder of JSON lines, one file per UTC day, only ever added to. Each line names the SHA-256 of the line before, so a
line that was changed or taken out shows; each request is on the disk before the home of keys is asked. Who can write
to the folder can still cut off its end: `ecard key serve` under a user of its own keeps that from the web process.
A line holds hashes of drafts and no personal data.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput, Unavailable
from ecard_keys.trust.content import canonical_json

FORMAT: Final = "ecard-signing/1"
#: `previous` of the first line of all.
FIRST: Final = "-"
MAX_LINE: Final = 1 << 20
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.jsonl")
_LOCK_FILE: Final = ".lock"
_LOCK_WAIT: Final = 1.0  # seconds; a writer needs milliseconds


class Outcome(StrEnum):
    """What a line says."""

    SIGNING = "about-to-sign"  # these drafts went to the home of keys
    CREATING = "about-to-create"  # a key of this purpose, which stands as profile
    REFUSED = "refused"  # these were sent and not signed
    TORN = "torn-line"  # the line before this one was cut short by a crash; what it was about was not signed


_OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `at` is a NumericDate, `drafts` are SHA-256 in hex, `previous` is the digest of the line before."""

    at: int
    caller: str
    profile: str
    key_id: str
    outcome: Outcome
    drafts: tuple[str, ...]
    reason: str = ""
    previous: str = FIRST

    def line(self) -> bytes:
        """The line as written, without its end."""
        return canonical_json(
            {
                "format": FORMAT,
                "at": self.at,
                "caller": self.caller,
                "profile": self.profile,
                "key": self.key_id,
                "outcome": self.outcome.value,
                "reason": self.reason,
                "drafts": list(self.drafts),
                "previous": self.previous,
            }
        )


class Journal:
    """The journal in `folder`, which is made if it is missing. Safe for threads, and for processes that share it.

    Every verb raises `Unavailable` `signing_journal_unavailable` where the folder or a file cannot be made, locked,
    read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread = threading.Lock()
        self._listed: tuple[int, list[str]] = (-1, [])
        self._end: tuple[str, int] | None = None  # file and size after the last line that we know
        self._digest = FIRST  # of that line
        with _disk():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.stat(folder).st_mode & 0o022:
                raise OSError(errno.EPERM, "others may write to the folder")
            self._lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        weakref.finalize(self, os.close, self._lock)

    def append(
        self,
        *,
        now: datetime,
        caller: str,
        profile: str,
        key_id: str,
        outcome: Outcome,
        drafts: Sequence[bytes] = (),
        reason: str = "",
    ) -> Record:
        """Write one line; it is on the disk when this returns. `drafts` are hashed here, `now` is aware UTC."""
        hashes = tuple(hashlib.sha256(draft).hexdigest() for draft in drafts)
        at = int(now.timestamp())
        with self._thread, _disk(), self._alone():
            handle, name = self._open_end(now)
            try:
                record = Record(at, caller, profile, key_id, outcome, hashes, reason, previous=self._digest)
                self._write(handle, name, record.line())
            finally:
                os.close(handle)
        return record

    def entries(self, *, since: datetime | None = None) -> Iterator[Record]:
        """The lines in order, from `since` on; torn lines are passed over. Checks no chain."""
        start = None if since is None else int(since.timestamp())
        for _, raw in self._lines(since):
            if start is not None and _is_before(raw, start):
                continue
            record = _parse(raw)
            if record is not None:
                yield record

    def check(self, after: str = FIRST) -> int:
        """How many lines there are, each chained to the one before. `after` is the digest of the last line that was
        taken to an archive. Raises `CheckFailed` `signing_journal_broken`, naming file and line."""
        count, before, torn, place = 0, after, b"", ""
        for place, raw in self._lines(None):
            record = _parse(raw)
            if record is None:
                torn += raw
                continue
            if not _follows(record, before, torn):
                raise CheckFailed("signing_journal_broken", f"{place} does not follow the line before it")
            count, before, torn = count + 1, digest_of_line(raw), b""
        if torn.endswith(b"\n"):
            raise CheckFailed("signing_journal_broken", f"{place} is no line of a signing journal")
        return count

    def find(self, draft_sha256: str) -> list[Record]:
        """Every line about the draft with this SHA-256 (hex): what shows that a signature was asked for, and when."""
        return [record for record in self.entries() if draft_sha256 in record.drafts]

    def _open_end(self, now: datetime) -> tuple[int, str]:
        """The file to add to, and its name; `_digest` is then that of the line before, whoever wrote it."""
        files = self._files()
        if self._end is None or not files or self._end != (files[-1], os.stat(self.folder / files[-1]).st_size):
            self._catch_up(files, now)
        name = max([f"{now.astimezone(UTC):%Y-%m-%d}.jsonl", *files[-1:]])  # a clock set back opens no older file
        handle = self._open(name)
        if name not in files:
            if os.fstat(handle).st_size:  # another process was faster with the first line of the day
                os.close(handle)
                self._listed = (-1, [])
                return self._open_end(now)
            _sync_folder(self.folder)
        return handle, name

    def _open(self, name: str) -> int:
        return _open_plain(str(self.folder / name), os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def _catch_up(self, files: list[str], now: datetime) -> None:
        """Learn the last line from the disk; close off what a crash or a full disk cut short, and note that."""
        tail, torn_in, last, torn = b"", "", None, b""
        for name in reversed(files):
            piece = _tail(self.folder / name)
            if piece and not tail and not piece.endswith(b"\n"):
                torn_in = name
            tail = piece + tail
            last, torn = _ending(tail)
            if last is not None:
                break
        self._digest = FIRST if last is None else digest_of_line(last)
        if torn:
            note = Record(
                int(now.timestamp()), "", "", "", Outcome.TORN, (), reason=self._digest, previous=digest_of_line(torn)
            )
            handle = self._open(torn_in)
            try:
                self._write(handle, torn_in, note.line(), before=b"\n")
            finally:
                os.close(handle)

    def _write(self, handle: int, name: str, line: bytes, before: bytes = b"") -> None:
        self._end = None  # until it is on the disk we do not know how the file ends
        data = memoryview(before + line + b"\n")
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
        self._digest = digest_of_line(line)
        self._end = (name, os.fstat(handle).st_size)

    def _files(self) -> list[str]:
        """The names of the day files, oldest first; listed again only when the folder changed."""
        changed = os.stat(self.folder).st_mtime_ns
        if changed != self._listed[0]:
            self._listed = (changed, sorted(name for name in os.listdir(self.folder) if _DAY.fullmatch(name)))
        return self._listed[1]

    def _lines(self, since: datetime | None) -> Iterator[tuple[str, bytes]]:
        """Place and text of each line, its end included."""
        first = "" if since is None else f"{since.astimezone(UTC):%Y-%m-%d}"
        with _disk():
            for name in sorted(name for name in os.listdir(self.folder) if _DAY.fullmatch(name) and name >= first):
                with open(self.folder / name, "rb", opener=_open_plain) as file:
                    for number, raw in enumerate(file, 1):
                        yield f"{name}:{number}", raw

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time among the processes that share the folder."""
        deadline = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.002)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def digest_of_line(line: bytes) -> str:
    """base64url SHA-256 of a line without its end: what the next line names as `previous`."""
    return jose.b64url_encode(hashlib.sha256(line.removesuffix(b"\n")).digest())


def _follows(record: Record, before: str, torn: bytes) -> bool:
    """Whether `record` belongs after the line with digest `before`, or after that and what was cut short, `torn`."""
    if not torn:
        return record.previous == before
    return record.outcome is Outcome.TORN and record.previous == digest_of_line(torn) and record.reason == before


def _is_before(raw: bytes, start: int) -> bool:
    """Whether a line is certainly older: a day of a busy desk has a million, and members are sorted, `at` first."""
    at = raw[len(_AT) :].partition(b",")[0]
    return raw.startswith(_AT) and at.isdigit() and int(at) < start


_AT: Final = b'{"at":'


def _parse(raw: bytes) -> Record | None:
    try:
        line = jose.parse_json(raw, limit=MAX_LINE)
    except InvalidInput:
        return None
    match line:
        case {
            "format": "ecard-signing/1",
            "at": int(at),
            "caller": str(caller),
            "profile": str(profile),
            "key": str(key_id),
            "outcome": str(outcome),
            "reason": str(reason),
            "drafts": list(drafts),
            "previous": str(previous),
        } if outcome in _OUTCOMES and all(type(item) is str for item in drafts):
            return Record(at, caller, profile, key_id, Outcome(outcome), tuple(drafts), reason, previous)
    return None


def _ending(tail: bytes) -> tuple[bytes | None, bytes]:
    """The last whole line, if there is one, and what was cut short after it: also a note of that, on a full disk."""
    whole, end, torn = tail.rpartition(b"\n")
    while end:
        whole, end, line = whole.rpartition(b"\n")
        if not torn or _parse(line) is not None:
            return line, torn
        torn = line + b"\n" + torn
    return None, torn


def _tail(path: Path) -> bytes:
    """The end of a file, with at least its last whole line."""
    with open(path, "rb", opener=_open_plain) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * MAX_LINE))
        return file.read()


def _open_plain(path: str, flags: int) -> int:
    """Opens plain files only: a pipe put there would keep us waiting for ever."""
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        os.close(handle)
        raise OSError(errno.EPERM, "want a plain file with mode 0600")
    return handle


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("signing_journal_unavailable", f"the signing journal: errno {error.errno}") from None
