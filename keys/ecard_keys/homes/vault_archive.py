"""What we keep of keys whose private halves are on a server: a small durable file of their public halves and names.

One JSON object per line, appended and synced: a key made, or a key destroyed. Publishing and listing keys so never
needs the server, and a server that suddenly reports another public half is found out. A line that a crash cut short
is no line: readers pass over it, the next writer removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.key import ES256, KeyPurpose
from ecard_keys.signer import HeldKey
from ecard_keys.trust.content import canonical_json

MAX_FILE = 16 << 20
_LOCK_WAIT = 1.5  # seconds; a writer needs milliseconds


@dataclass(frozen=True, slots=True)
class ArchivedKey:
    """A key of ours and its name at the server."""

    name: str
    held: HeldKey


class VaultArchive:
    """The file at `path`, made if there is none and `create`. Safe for threads and processes.

    Raises `Unavailable`: `key_file_missing`, `key_file_permissions` (want a plain file of our own, mode 0600),
    `key_file_damaged`, `key_file_locked`, `key_home_unavailable` (the system refused).
    """

    def __init__(self, path: Path | str, *, create: bool = True) -> None:
        self._path = os.path.realpath(path)
        self._thread = threading.Lock()
        self._keys: dict[str, ArchivedKey] = {}
        self._mark: tuple[int, ...] = ()
        if create:
            _create(self._path)
        self.keys()

    def keys(self) -> Mapping[str, ArchivedKey]:
        """The keys that are not destroyed, by key id, in the order of their lines; read again only after a change."""
        with _system_errors():
            mark = _mark(os.stat(self._path))
        if mark != self._mark:
            with self._thread, self._opened(os.O_RDONLY) as file:
                self._load(file)
        return self._keys

    def find(self, key_id: str) -> ArchivedKey:
        """Raises `NotFound` `key_unknown`."""
        key = self.keys().get(key_id)
        if key is None:
            raise NotFound("key_unknown", "this home holds no such key")
        return key

    def add(self, key: ArchivedKey) -> bool:
        """Whether the key was added: False if its id is taken already, by this key or another. Durable on return."""
        held = key.held
        line = {
            "kid": held.key_id,
            "name": key.name,
            "purpose": held.purpose.value,
            "public": jose.b64url_encode(held.public),
            "created_at": held.created_at,
        }
        return self._append(held.key_id, line, there=False)

    def remove(self, key_id: str) -> bool:
        """Whether the key was removed: False if there is none of that id. Durable on return."""
        return self._append(key_id, {"destroyed": key_id}, there=True)

    def _append(self, key_id: str, line: Mapping[str, str | int], *, there: bool) -> bool:
        """Add a line if, under the lock and after a fresh reading, the key is `there` as the caller expects."""
        with self._thread, self._opened(os.O_RDWR | os.O_APPEND) as file:
            _lock(file)
            whole = self._load(file)
            if (key_id in self._keys) is not there:
                return False
            data = canonical_json(line) + b"\n"
            with _system_errors():
                os.ftruncate(file, whole)  # what a crash left of a line
                try:
                    if os.write(file, data) != len(data):
                        raise OSError(28, "written in part")
                    os.fsync(file)
                except OSError:
                    os.ftruncate(file, whole)
                    raise
            self._load(file)
        return True

    def _load(self, file: int) -> int:
        """Read all lines; the length of the whole ones, in bytes."""
        with _system_errors():
            status = os.fstat(file)
            data = os.pread(file, MAX_FILE + 1, 0)
        if len(data) > MAX_FILE:
            raise Unavailable("key_file_damaged", "the archive is longer than any of ours")
        whole = data.rfind(b"\n") + 1
        keys: dict[str, ArchivedKey] = {}
        for line in data[:whole].split(b"\n")[:-1]:
            _apply(line, keys)
        self._keys, self._mark = keys, _mark(status)
        return whole

    @contextlib.contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        with _system_errors():
            file = os.open(self._path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
                raise Unavailable("key_file_permissions", "want a plain file of our own with mode 0600")
            yield file
        finally:
            os.close(file)  # and with it the lock


def _apply(line: bytes, keys: dict[str, ArchivedKey]) -> None:
    """One line, read strictly: an archive with a line that we did not write is not ours."""
    with contextlib.suppress(InvalidInput, ValueError):
        match jose.parse_json(line, limit=4096):
            case {"destroyed": str(key_id), **rest} if not rest and key_id in keys:
                del keys[key_id]
                return
            case {"kid": str(key_id), "name": str(name), "purpose": str(purpose), "public": str(text), **rest} if (
                rest.keys() == {"created_at"} and type(rest["created_at"]) is int and key_id not in keys
            ):
                public = jose.b64url_decode(text)
                if jose.key_id(public) == key_id:
                    held = HeldKey(key_id, KeyPurpose(purpose), ES256, public, rest["created_at"])
                    keys[key_id] = ArchivedKey(name, held)
                    return
    raise Unavailable("key_file_damaged", "a line of the archive is not one of this version")


def _create(path: str) -> None:
    """An empty archive, durable with its name; an existing one stays."""
    with _system_errors(), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: int) -> None:
    deadline = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                raise Unavailable("key_file_locked", "another process keeps the archive of keys locked") from None
            time.sleep(0.01)


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


@contextlib.contextmanager
def _system_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Unavailable("key_file_missing", "there is no archive of keys, or no folder for it") from None
    except PermissionError:
        raise Unavailable("key_file_permissions", "the system does not let us at the archive of keys") from None
    except OSError as error:
        raise Unavailable("key_home_unavailable", f"the archive of keys: errno {error.errno}") from None
