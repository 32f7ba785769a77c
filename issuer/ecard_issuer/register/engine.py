"""Engines and transactions: the same two verbs, `reading` and `writing`, on SQLite and on PostgreSQL.

Whatever a driver raises leaves as one of our errors. A commit whose fate is not known (the connection broke, or a
PostgreSQL primary gave up waiting for its synchronous standby and says so by a mere warning) is `outcome_unknown`,
never a success.

SQLite has one writer at a time. Within a process writers wait for their turn here, in order of arrival, a bounded
number of them and before they take a connection; readers wait for nobody.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from ecard_card.errors import Conflict, InvalidInput, Unavailable

#: How long a writer on SQLite waits for another process, in milliseconds.
LOCK_WAIT_MS = 1000
#: How long it waits before that for the other writers of its own process, in milliseconds: a full queue on a disk
#: that takes 90 ms for a commit. Longer, and who waits for another process as well would be told late.
TURN_WAIT_MS = 3000
#: How many may wait so at once; fewer than a web server's threads (40), so that some are always left for readers.
MOST_WAITING = 32
#: How long a writer on PostgreSQL waits for another one's rows, in milliseconds.
ROW_WAIT_MS = 5000
#: How long anybody waits for a free connection, in seconds.
POOL_WAIT_S = 5
#: A connection to PostgreSQL that nobody used for so long is tried before it is used, in seconds.
REST_S = 0.5
#: The longest a single statement may take on PostgreSQL, in milliseconds.
STATEMENT_LIMIT_MS = 15000

_READER = "ecard_reader"
_TURNS = "ecard_turns"
_WARNINGS = "ecard_warnings"
_RESTED = "ecard_rested"


def make_engine(url: str, *, pool_size: int = 20) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://…` (driver psycopg 3).

    Raises `InvalidInput` `bad_database_url` for anything else, a SQLite memory database included: its connections
    do not share their data.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise InvalidInput("bad_database_url", "not a database URL") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return _sqlite(parsed.set(drivername="sqlite+pysqlite"), pool_size)
    if backend == "postgresql":
        return _postgresql(parsed.set(drivername="postgresql+psycopg"), pool_size)
    raise InvalidInput("bad_database_url", "want sqlite:///file or postgresql://host/name")


def _sqlite(url: URL, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        execution_options={_TURNS: _Turns(MOST_WAITING, TURN_WAIT_MS / 1000)},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver starts no transaction of its own
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: erasing a person rests on it
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the write lock at once: one that first read could not wait for it later.
        reader = connection.get_execution_options().get(_READER, False)
        connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(cursor: Any) -> None:
    """Switch to the write-ahead log. SQLite does not wait by itself while another process makes that first switch."""
    deadline = time.monotonic() + POOL_WAIT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _postgresql(url: URL, pool_size: int) -> Engine:
    settings = {
        "lock_timeout": ROW_WAIT_MS,
        "statement_timeout": STATEMENT_LIMIT_MS,
        "idle_in_transaction_session_timeout": 60000,
        "timezone": "UTC",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    engine = create_engine(
        url,
        connect_args={"options": options, "connect_timeout": 5},
        pool_size=pool_size,
        max_overflow=0,  # one beyond the pool would be closed after use, and making one costs more than most requests
        pool_timeout=POOL_WAIT_S,
    )

    @event.listens_for(engine, "checkin")
    def _rest(connection: Any, record: Any) -> None:
        record.info[_RESTED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, proxy: object) -> None:
        """Whether one that has rested is still good; the pool then makes another. One in use shows by itself."""
        if time.monotonic() - record.info.get(_RESTED, time.monotonic()) < REST_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise exc.DisconnectionError from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        warnings: list[str] = []
        record.info[_WARNINGS] = warnings

        def note(diagnostic: Any) -> None:
            if (diagnostic.sqlstate or "").startswith("01"):
                warnings.append(diagnostic.sqlstate)

        connection.add_notice_handler(note)

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Only reads. On SQLite all statements see one state; on PostgreSQL each its own, as in its usual transactions,
    so there is none to begin and end: each of both would be one more way to the server and back."""
    single = engine.dialect.name == "postgresql"
    options = {"isolation_level": "AUTOCOMMIT"} if single else {_READER: True}
    with _ours(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits when the block ends, and leaves nothing when the block raises.

    Raises `Unavailable` `register_unavailable` where too many wait to write, or for too long.
    """
    with _ours(), _turn(engine), engine.connect() as connection:
        transaction = connection.begin()
        try:
            yield connection
        except BaseException:
            transaction.rollback()
            raise
        warnings: list[str] = connection.info.get(_WARNINGS, [])
        warnings.clear()
        try:
            transaction.commit()
        except exc.DBAPIError as error:
            raise Unavailable("outcome_unknown", "the connection failed while committing") from error
        if warnings:
            raise Unavailable("outcome_unknown", "the commit was not confirmed by the standby")


class _Turns:
    """Lets writers in one by one, first come first served. A plain lock may let one thread in again and again."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def take(self) -> bool:
        """Wait for a turn. False, at once, where `most` wait already; False after `seconds` without one."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            if len(self._waiting) >= self._most:
                return False
            called = Lock()
            called.acquire()
            self._waiting.append(called)
        if called.acquire(timeout=self._seconds):
            return True
        with self._guard:
            if called not in self._waiting:
                return True  # called in this very moment
            self._waiting.remove(called)
            return False

    def give(self) -> None:
        """End the turn: the next one's begins."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    turns: _Turns | None = engine.get_execution_options().get(_TURNS)
    if turns is None:
        yield
        return
    if not turns.take():
        raise Unavailable("register_unavailable", "too many writers wait for the database")
    try:
        yield
    finally:
        turns.give()


@contextmanager
def _ours() -> Iterator[None]:
    """Turn what the driver raises into our errors; their text may hold values and is not passed on."""
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict("register_conflict", "a constraint of the register refused this") from error
    except (exc.DataError, exc.StatementError, OverflowError, UnicodeError) as error:
        if isinstance(error, exc.DBAPIError) and not isinstance(error, exc.DataError):
            raise Unavailable("register_unavailable", "the database did not answer") from error
        raise InvalidInput("register_bad_value", "a value that the database cannot hold") from error
    except exc.SQLAlchemyError as error:
        raise Unavailable("register_unavailable", "no connection to the database") from error
