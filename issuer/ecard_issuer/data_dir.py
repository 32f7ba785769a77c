"""A service's data directory: its locks, the passphrase made at first start, and the name of its owner."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ecard_card.errors import Unavailable

PASSPHRASE_FILE: Final = "key-passphrase"  # noqa: S105 - a file name
_OWNER_FILE: Final = "owner"


class DataDir:
    """A directory that only its owner may read. Every verb raises `Unavailable` `data_dir_unusable`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._serving: int | None = None

    def make(self) -> None:
        """Make it if it is missing."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            raise Unavailable("data_dir_unusable", f"{self.path} cannot be made") from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time, so that two first starts make one set of keys."""
        handle = self._lock_file(".lock")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def serve(self) -> None:
        """Hold the directory as its one server until `release`; again is nothing. Commands beside it do not ask.

        The kernel lets go of it when the process ends, however it ends. Raises `Unavailable` `data_dir_in_use` where
        another server holds it: two would settle each other's issuances and keep two memories of used codes.
        """
        if self._serving is not None:
            return
        handle = self._lock_file(".serving")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Unavailable("data_dir_in_use", f"another server is running on {self.path}; stop it first") from None
        except OSError:
            os.close(handle)
            raise Unavailable("data_dir_unusable", "the file system of the data directory has no locks") from None
        self._serving = handle

    def release(self) -> None:
        """Undo `serve`."""
        if self._serving is not None:
            os.close(self._serving)
            self._serving = None

    def has_passphrase(self) -> bool:
        """Whether the file of the passphrase lies here."""
        return (self.path / PASSPHRASE_FILE).exists()

    def passphrase(self, say: Callable[[str], None], *, create: bool) -> bytes:
        """The key files' passphrase from a file here. Where it is missing, `create` makes a random one and says so.

        Raises `Unavailable` `key_passphrase_exposed`, `key_passphrase_unreadable`.
        """
        path = self.path / PASSPHRASE_FILE
        try:
            if not path.exists():
                if not create:
                    raise Unavailable("key_passphrase_unreadable", f"{path} is missing; put it back from a backup")
                _write_new(path, secrets.token_urlsafe(32))
                say(f"No key passphrase is configured: made {path}. Who has it and the key files has the keys.")
            if path.stat().st_mode & 0o077:
                raise Unavailable("key_passphrase_exposed", "the passphrase file is open to others; want mode 600")
            text = path.read_text("ascii").strip()
        except (OSError, ValueError):
            raise Unavailable("key_passphrase_unreadable", "the passphrase file cannot be made or read") from None
        if not text:
            raise Unavailable("key_passphrase_unreadable", "the passphrase file is empty")
        return text.encode()

    def owner(self) -> str:
        """Names this issuer among those that share a register; the same after a restart."""
        path = self.path / _OWNER_FILE
        try:
            if not path.exists():
                _write_new(path, secrets.token_hex(8))
            return path.read_text("ascii").strip()
        except (OSError, ValueError):
            raise Unavailable("data_dir_unusable", "the owner file cannot be made or read") from None

    def _lock_file(self, name: str) -> int:
        try:
            return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            raise Unavailable("data_dir_unusable", f"{self.path} cannot be written") from None


def _write_new(path: Path, text: str) -> None:
    """Whole or not at all, also when the power goes."""
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
