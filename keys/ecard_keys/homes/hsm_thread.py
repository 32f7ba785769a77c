"""One thread per PKCS#11 module and process: all calls pass through it, so a hung device holds no caller.

PKCS#11 sessions are not for sharing, modules differ in what they stand, and a call into one cannot be interrupted.
So callers hand their work to the module's thread and wait a bounded time. A thread does not survive a fork: the child
starts its own, with sessions of its own.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ecard_card.errors import Unavailable
from ecard_keys.homes.hsm_module import Module

T = TypeVar("T")

#: Seconds without any step of the token's after which a caller gives up.
PATIENCE = 1.5
#: Seconds that each message of a batch adds to the time its call may take in all.
PER_MESSAGE = 0.02
#: Seconds that a fork waits for the module's present call to end.
FORK_WAIT = 1.0


class Task(Generic[T]):
    """One piece of work in the queue, and what became of it."""

    def __init__(self, work: Callable[[Callable[[], None]], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.abandoned = False
        self.result: T
        self.error: BaseException | None = None


class _Abandoned(Exception):
    """Nobody waits for this work any more."""


class ModuleThread:
    """The thread. A daemon: a device that never answers does not keep the process from ending."""

    def __init__(self, module: Module) -> None:
        self.module = module  # touched by work in this thread only
        self.process = os.getpid()
        self.inside = threading.Lock()  # held while a piece of work runs: a fork waits for it
        self._beat = time.monotonic()
        self._tasks: queue.SimpleQueue[Task[object]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="pkcs11", daemon=True).start()

    def call(self, work: Callable[[Callable[[], None]], T], messages: int = 1) -> T:
        """The result of `work(step)` from the module's thread; `work` calls `step` after each answer of the token.

        Raises what `work` raises; `Unavailable` `key_home_timeout` when the token takes no step for `PATIENCE`
        seconds or the whole call takes too long. Work not yet begun is then never done.
        """
        task = Task(work)
        began = time.monotonic()
        end = began + PATIENCE + messages * PER_MESSAGE
        self._tasks.put(task)  # type: ignore[arg-type]
        while not task.done.wait(max(0.0, min(end, max(began, self._beat) + PATIENCE) - time.monotonic())):
            now = time.monotonic()
            if now >= end or now >= max(began, self._beat) + PATIENCE:
                task.abandoned = True
                raise Unavailable("key_home_timeout", "the token does not answer in time")
        if task.error is not None:
            raise task.error
        return task.result

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            with self.inside:
                self._do(task)
            del task  # its frames may hold objects of the module, which must be freed in this thread

    def _do(self, task: Task[object]) -> None:
        def step() -> None:
            self._beat = time.monotonic()
            if task.abandoned:
                raise _Abandoned

        try:
            step()
            task.result = task.work(step)
        except BaseException as error:  # noqa: BLE001 - raised where the caller waits
            error.__context__ = error.__cause__ = None
            task.error = error.with_traceback(None)
        task.done.set()


_threads: dict[tuple[Path, Callable[[Path], Module]], ModuleThread] = {}
_lock = threading.Lock()


def thread_of(path: Path, make: Callable[[Path], Module] = Module) -> ModuleThread:
    """This process's one thread for the module at `path`, started at the first call; `make` gives the module."""
    with _lock:
        thread = _threads.get((path, make))
        if thread is None or thread.process != os.getpid():
            thread = _threads[path, make] = ModuleThread(make(path))
        return thread


_held: list[threading.Lock] = []


def _before_fork() -> None:
    """Let the present calls end, so that the child does not copy a module in the middle of one."""
    _lock.acquire()
    _held.extend(thread.inside for thread in _threads.values() if thread.inside.acquire(timeout=FORK_WAIT))


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()
    _lock.release()


def _after_fork_in_child() -> None:
    _held.clear()
    _threads.clear()
    _lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
