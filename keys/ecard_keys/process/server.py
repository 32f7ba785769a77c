"""The signer process: the signing desk behind a Unix socket, with no database, no HTTP and no way to get a key out.

Who asks is told by the kernel (SO_PEERCRED), not by the caller. Each connection has a thread; when there are too many,
the one that has been idle longest is ended, so that neither silence nor half a request keeps others out.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import select
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import EcardError, InvalidInput, NotAllowed, Unavailable
from ecard_keys.desk.desk import PURPOSE_OF, LocalDesk
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.desk.quotas import CREATE, Quotas, start_of_hour
from ecard_keys.desk.quotas import FILE as QUOTAS_FILE
from ecard_keys.key import KeyPurpose
from ecard_keys.process import protocol as signer_protocol
from ecard_keys.process.config import Caller, SignerConfig
from ecard_keys.process.protocol import Create, Held, Request, Sign
from ecard_keys.signer import KeyHome

MAX_CONNECTIONS: Final = 64
FRAME_SECONDS: Final = 2.0  # for a request to arrive once it has begun, and for an answer to be taken
IDLE_SECONDS: Final = 60.0
#: Bytes from which on requests take turns, and how many have one: their memory is what a caller could exhaust.
LARGE_FRAME: Final = 256 << 10
LARGE_FRAMES: Final = 8
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
_log: Final = logging.getLogger(__name__)


class SignerDesk:
    """What the process does for its callers. `clock` is aware UTC."""

    def __init__(self, home: KeyHome, config: SignerConfig, clock: Callable[[], datetime]) -> None:
        """Raises `Unavailable` `signing_journal_unavailable`, `CheckFailed` `signing_journal_broken`."""
        self._home = home
        self._clock = clock
        self._journal = Journal(config.journal)
        spent = self._journal.entries(since=start_of_hour(clock()))
        self._quotas = Quotas(config.journal / QUOTAS_FILE, config.limits, spent)
        self._desks = {
            caller.name: LocalDesk(
                home, config.issuers, self._journal, self._quotas, clock, caller.name, caller.profiles
            )
            for caller in config.callers
        }

    def answer(self, caller: Caller, body: bytes) -> bytes:
        """The frame that answers a request, whatever it is."""
        try:
            return self._answer(caller, signer_protocol.read_request(body))
        except EcardError as error:
            return signer_protocol.write_error(error)
        except Exception:  # noqa: BLE001 - a fault of ours ends no process that others depend on
            _log.exception("a request of %s ended in a fault", caller.name)
            return signer_protocol.write_error(Unavailable("signer_fault", "a fault of the signer; see its log"))

    def _answer(self, caller: Caller, request: Request) -> bytes:
        match request:
            case Sign(profile, key_id, drafts, now):
                signatures = self._desks[caller.name].sign(profile, key_id, drafts, now)
                return signer_protocol.write_signatures(signatures)
            case Held():
                return signer_protocol.write_held(self._home.held())
            case Create(purpose, _):
                return signer_protocol.write_key_id(self._create(caller, purpose))

    def _create(self, caller: Caller, purpose: KeyPurpose) -> str:
        if not caller.create:
            raise NotAllowed("signer_right_missing", "this caller may not have keys made")
        if purpose not in PURPOSE_OF.values():
            raise InvalidInput("bad_key_purpose", "the signer makes keys for credential, status and event")
        now = self._clock()
        self._quotas.take(caller.name, CREATE, 1, now)
        self._journal.append(now=now, caller=caller.name, profile=purpose.value, key_id="", outcome=Outcome.CREATING)
        return self._home.create(purpose, now)


@dataclass(eq=False, slots=True)
class _Visit:
    """One connection. `waiting_since` is when we began to wait for it; None while a request of it is worked on."""

    connection: socket.socket
    caller: Caller
    waiting_since: float | None = field(default_factory=time.monotonic)


class SignerServer:
    """Serves `desk` at the socket `path` until `stop`. Construct it to take the socket, then `serve`.

    Raises `Unavailable` `signer_socket_in_use` where a live process serves it, `signer_socket_unusable` where it cannot
    be made. The socket of a dead process is replaced.
    """

    def __init__(self, desk: SignerDesk, callers: Iterable[Caller], path: Path, *, group: int | None = None) -> None:
        self._desk = desk
        self._callers = {caller.uid: caller for caller in callers}
        self._path = path
        self._visits: set[_Visit] = set()
        self._guard = threading.Lock()
        self._large = threading.Semaphore(LARGE_FRAMES)
        self._woken, self._wake = socket.socketpair()
        self._lock, self._listener = _take_socket(path, group)

    def serve(self) -> None:
        """Answer until `stop` is called; then the socket is gone and every connection ended."""
        waiting = select.poll()  # `select` knows no descriptor beyond 1023, and this process may have more
        waiting.register(self._listener, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        try:
            while self._woken.fileno() not in (ready := [number for number, _ in waiting.poll()]):
                if ready:
                    self._accept()
        finally:
            self._path.unlink(missing_ok=True)
            self._listener.close()
            with self._guard:
                visits = list(self._visits)
            for visit in visits:
                _hang_up(visit.connection)
            os.close(self._lock)

    def stop(self) -> None:
        """End `serve` soon. Safe in a signal handler and in other threads."""
        with contextlib.suppress(OSError):
            self._wake.send(b".")

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it is gone already, or there are no descriptors: then somebody idle goes
            self._make_room()
            return
        caller = self._callers.get(_uid_of(connection))
        if caller is None:
            _refuse(connection, NotAllowed("signer_caller_refused", "the signer does not serve this user"))
            return
        if len(self._visits) >= MAX_CONNECTIONS and not self._make_room():
            _refuse(connection, Unavailable("signer_unavailable", "the signer is at work on as much as it can"))
            return
        visit = _Visit(connection, caller)
        with self._guard:
            self._visits.add(visit)
        try:
            threading.Thread(target=self._host, args=(visit,), name=f"signer-{caller.name}", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            with self._guard:
                self._visits.discard(visit)
            _refuse(connection, Unavailable("signer_unavailable", "the signer is at work on as much as it can"))

    def _make_room(self) -> bool:
        """End the connection that has been idle longest, or slowest with its request; False if all are at work."""
        with self._guard:
            idle = [visit for visit in self._visits if visit.waiting_since is not None]
            if not idle:
                return False
            oldest = min(idle, key=lambda visit: visit.waiting_since or 0.0)
            self._visits.discard(oldest)
        _hang_up(oldest.connection)
        return True

    def _host(self, visit: _Visit) -> None:
        """Answer one connection's requests until it ends, breaks a rule, or is idle for too long."""
        connection = visit.connection
        try:
            while self._await_request(connection):
                with contextlib.ExitStack() as turn:
                    end = time.monotonic() + FRAME_SECONDS
                    body = signer_protocol.receive(connection, end, functools.partial(self._admit, turn, end))
                    if body is None:
                        return
                    visit.waiting_since = None
                    answer = self._desk.answer(visit.caller, body)
                    del body  # not kept while this caller is idle
                visit.waiting_since = time.monotonic()  # who does not take the answer waits too, and may have to go
                signer_protocol.send(connection, answer, time.monotonic() + FRAME_SECONDS)
        except InvalidInput as error:  # a frame that cannot be read; nothing after it can
            with contextlib.suppress(OSError):
                signer_protocol.send(connection, signer_protocol.write_error(error), time.monotonic() + 0.1)
        except OSError:
            pass  # it hung up, or was too slow
        finally:
            with self._guard:
                self._visits.discard(visit)
            connection.close()

    def _admit(self, turn: contextlib.ExitStack, deadline: float, length: int) -> None:
        """Let a large request in when one of the few before it is answered. Raises `TimeoutError`."""
        if length < LARGE_FRAME:
            return
        if not self._large.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        turn.callback(self._large.release)

    def _await_request(self, connection: socket.socket) -> bool:
        """Wait for the first byte of a request, which stays to be read."""
        connection.settimeout(IDLE_SECONDS)
        return bool(connection.recv(1, socket.MSG_PEEK))


def _uid_of(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it (unix(7), SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def _refuse(connection: socket.socket, error: EcardError) -> None:
    """One typed error, which fits into the socket's buffer: nobody is waited for."""
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        connection.send(signer_protocol.write_error(error))
    connection.close()


def _hang_up(connection: socket.socket) -> None:
    """Wake the thread that waits at this connection; it closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _take_socket(path: Path, group: int | None) -> tuple[int, socket.socket]:
    """A lock that says we serve `path`, and the listening socket, mode 0660, in a folder that others cannot enter."""
    with _usable(path):
        if not path.parent.exists():
            path.parent.mkdir(mode=0o750, parents=True)
            path.parent.chmod(0o750)
            if group is not None:
                os.chown(path.parent, -1, group)
        if path.parent.stat().st_mode & stat.S_IWOTH:
            raise Unavailable("signer_socket_unusable", f"others may write to {path.parent}")
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with _usable(path):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _in_use(path) from None
            _clear(path)
            return lock, _listen(path, group)
    except BaseException:
        os.close(lock)
        raise


def _listen(path: Path, group: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        os.chmod(path, 0o660)
        if group is not None:
            os.chown(path, -1, group)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path: Path) -> None:
    """Remove what a dead process left. Raises `Unavailable` where somebody answers, or where it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise Unavailable("signer_socket_unusable", f"{path} is there and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass
    raise _in_use(path)


def _in_use(path: Path) -> Unavailable:
    return Unavailable("signer_socket_in_use", f"another process serves {path}")


@contextlib.contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("signer_socket_unusable", f"{path}: errno {error.errno}") from None
