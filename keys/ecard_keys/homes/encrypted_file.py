"""One small file of secrets under a passphrase, for one machine: private keys and the secrets of `protect`.

scrypt (RFC 7914) stretches the passphrase once per open; each secret lies under AES-256-GCM with its name and all
that is said about it as associated data, and one more seal covers the whole file, so that no entry can be swapped,
edited or dropped. A write replaces the file at once and durably, or not at all. What this does not give: whoever can
put back an older copy of the file is not noticed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ecard_card import jose
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.trust.content import canonical_json

FORMAT = "ecard-keys/1"
MAX_FILE = 16 << 20
MIN_PASSPHRASE = 8  # bytes
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1  # 32 MiB, about 0.1 s
_N_ALLOWED = frozenset(1 << power for power in range(14, 19))  # a file may not ask for more than 256 MiB
_P_ALLOWED = range(1, 5)
_LOCK_WAIT = 1.5  # seconds; a writer needs milliseconds

Name = tuple[str, str]  # kind and name: ("key", kid) or ("secret", its use)
Mark = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed secret and what is said openly, and authentically, about it."""

    about: Mapping[str, str | int]
    nonce: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class _Kdf:
    n: int
    r: int
    p: int
    salt: bytes

    def derive(self, passphrase: bytes) -> bytes:
        return Scrypt(salt=self.salt, length=32, n=self.n, r=self.r, p=self.p).derive(passphrase)

    def to_json(self) -> dict[str, object]:
        return {"name": "scrypt", "n": self.n, "r": self.r, "p": self.p, "salt": jose.b64url_encode(self.salt)}


class EncryptedFile:
    """Opens the file at `path`, or makes an empty one if `create` and there is none. Safe for threads and processes.

    Raises `Unavailable`: `key_file_missing`, `key_file_permissions` (readable by others, not ours, no plain file),
    `key_file_damaged`, `key_file_kdf_refused` (asks for more work than allowed), `key_file_passphrase_wrong`,
    `key_file_locked`, `key_file_replaced` (another salt since it was opened), `key_home_unavailable` (the system
    refused); and `InvalidInput` `key_file_passphrase_missing` for one shorter than 8 bytes.
    """

    def __init__(
        self,
        path: Path | str,
        passphrase: bytes,
        *,
        create: bool = True,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if len(passphrase) < MIN_PASSPHRASE:
            raise InvalidInput("key_file_passphrase_missing", "want a passphrase of at least 8 bytes")
        self._path = os.path.realpath(path)
        self._random = random
        self._thread = threading.RLock()
        self._entries: dict[Name, Entry] = {}
        self._mark: Mark = ()
        if create and not os.path.lexists(self._path):
            self._create(passphrase)
        content, _ = self._read()
        self._kdf = _read_kdf(content)
        self._kek = AESGCM(self._kdf.derive(passphrase))
        self._load()

    def entries(self) -> Mapping[Name, Entry]:
        """What the file holds now; read again only if it changed since the last look."""
        with _system_errors():
            changed = _mark(os.stat(self._path)) != self._mark
        if changed:
            with self._thread:
                self._load()
        return self._entries

    def reveal(self, name: Name, entry: Entry) -> bytes:
        """The secret of an entry. Raises `Unavailable` `key_file_damaged`."""
        try:
            return self._kek.decrypt(entry.nonce, entry.box, _associated(name, entry.about))
        except InvalidTag:
            raise Unavailable("key_file_damaged", "an entry does not open under its name") from None

    def seal(self, name: Name, about: Mapping[str, str | int], secret: bytes) -> Entry:
        """A new entry; nothing is written yet."""
        nonce = self._random(12)
        return Entry(about, nonce, self._kek.encrypt(nonce, secret, _associated(name, about)))

    @contextlib.contextmanager
    def editing(self) -> Iterator[dict[Name, Entry]]:
        """Under the lock, the newest entries as a dictionary to change; written when the block ends without error."""
        with self._thread, self._locked():
            self._load()
            entries = dict(self._entries)
            yield entries
            if entries != self._entries:
                self._write(_document(self._kdf, self._kek, entries, self._random(12)))
                self._load()

    def _create(self, passphrase: bytes) -> None:
        with self._locked():
            if os.path.lexists(self._path):
                return  # another process was faster
            kdf = _new_kdf(self._random)
            self._write(_document(kdf, AESGCM(kdf.derive(passphrase)), {}, self._random(12)))

    def _load(self) -> None:
        content, mark = self._read()
        if _read_kdf(content) != self._kdf:
            raise Unavailable("key_file_replaced", "the file is under another salt than when it was opened")
        entries = _open_document(content, self._kek)
        self._entries, self._mark = entries, mark

    def _read(self) -> tuple[dict[str, object], Mark]:
        with _system_errors(), open(self._path, "rb", opener=_open_plain) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
                raise Unavailable("key_file_permissions", "want a plain file of our own with mode 0600")
            data = file.read(MAX_FILE + 1)
        return _parse(data), _mark(status)

    def _write(self, data: bytes) -> None:
        """Replace the file: all of it durable before anybody can see it."""
        fresh, folder = self._path + ".new", os.path.dirname(self._path)
        with _system_errors():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh)  # left by a crash; we hold the lock
            try:
                with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(fresh)
                raise
            directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclusive among all writers. The lock is a file beside ours, because ours is replaced."""
        with _system_errors():
            lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_WAIT
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= deadline:
                        raise Unavailable("key_file_locked", "another process keeps the key file locked") from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(lock)  # and with it the lock


@contextlib.contextmanager
def _system_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Unavailable("key_file_missing", "there is no key file, or no folder for it") from None
    except PermissionError:
        raise Unavailable("key_file_permissions", "the system does not let us at the key file") from None
    except OSError as error:
        raise Unavailable("key_home_unavailable", f"the key file: errno {error.errno}") from None


def _open_plain(path: str, flags: int) -> int:
    """Never waits for the other end of a pipe, and follows no link put there after the path was resolved."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def _mark(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def _associated(name: Name, about: Mapping[str, str | int]) -> bytes:
    return canonical_json([FORMAT, *name, dict(about)])


def _document(kdf: _Kdf, kek: AESGCM, entries: Mapping[Name, Entry], nonce: bytes) -> bytes:
    content: dict[str, object] = {
        "format": FORMAT,
        "kdf": kdf.to_json(),
        "entries": [
            {
                "kind": kind,
                "name": name,
                "about": dict(entry.about),
                "nonce": jose.b64url_encode(entry.nonce),
                "box": jose.b64url_encode(entry.box),
            }
            for (kind, name), entry in entries.items()
        ],
    }
    content["seal"] = jose.b64url_encode(nonce + kek.encrypt(nonce, b"", canonical_json(content)))
    content["checksum"] = _checksum(content)
    return canonical_json(content)


def _checksum(content: Mapping[str, object]) -> str:
    """Without a key: it only tells a damaged file from a wrong passphrase."""
    return jose.b64url_encode(hashlib.sha256(canonical_json(content)).digest())


def _parse(data: bytes) -> dict[str, object]:
    """The file's JSON with its checksum taken off and found right."""
    try:
        content = jose.parse_json(data, limit=MAX_FILE)
    except InvalidInput:
        raise Unavailable("key_file_damaged", "the file is no JSON, or too long") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Unavailable("key_file_damaged", "not a key file of this version")
    checksum = content.pop("checksum", None)
    if not isinstance(checksum, str) or not hmac.compare_digest(checksum.encode(), _checksum(content).encode()):
        raise Unavailable("key_file_damaged", "the checksum differs")
    return content


def _new_kdf(random: Callable[[int], bytes]) -> _Kdf:
    return _Kdf(SCRYPT_N, SCRYPT_R, SCRYPT_P, random(16))


def _read_kdf(content: Mapping[str, object]) -> _Kdf:
    """The parameters, bounded before any work is done for them."""
    match content.get("kdf"):
        case {"name": "scrypt", "n": int(n), "r": int(r), "p": int(p), "salt": str(salt), **rest} if not rest:
            if n in _N_ALLOWED and r == SCRYPT_R and p in _P_ALLOWED and len(salt) == 22:
                return _Kdf(n, r, p, _bytes(salt))
    raise Unavailable("key_file_kdf_refused", "want scrypt with n from 2^14 to 2^18, r=8, p up to 4, 16 bytes of salt")


def _open_document(content: Mapping[str, object], kek: AESGCM) -> dict[Name, Entry]:
    sealed = dict(content)
    seal = _bytes(sealed.pop("seal", None))
    try:
        kek.decrypt(seal[:12], seal[12:], canonical_json(sealed))
    except (InvalidTag, ValueError):
        raise Unavailable("key_file_passphrase_wrong", "the file does not open with this passphrase") from None
    # From here on the content is what we wrote ourselves; a shape we do not know is a newer version's.
    listed = sealed.get("entries")
    entries: dict[Name, Entry] = {}
    for item in listed if isinstance(listed, list) else ():
        match item:
            case {"kind": str(kind), "name": str(name), "about": dict(about), "nonce": str(nonce), "box": str(box)}:
                entries[kind, name] = Entry(about, _bytes(nonce), _bytes(box))
            case _:
                raise Unavailable("key_file_damaged", "an entry of unknown shape")
    return entries


def _bytes(value: object) -> bytes:
    try:
        return jose.b64url_decode(value if isinstance(value, str) else "!")
    except InvalidInput:
        raise Unavailable("key_file_damaged", "a member is not base64url") from None
