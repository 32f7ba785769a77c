"""`ecard key serve`: the signer as a process of its own. Needs no database, no HTTP framework, and no extra but the
chosen home's."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.homes.passphrase import ask
from ecard_keys.homes.settings import HomeSettings, open_home, read_environment, read_secret
from ecard_keys.process.config import SignerConfig, read_config
from ecard_keys.process.server import SignerDesk, SignerServer
from ecard_keys.signer import KeyHome

_ABOUT = """\
Holds the keys of credentials, status lists and events, and signs whole documents for the users that its settings name,
over a Unix socket. It judges each document itself, keeps within quotas, and writes down what it is about to sign. Run
it under a user of its own. It never hands out a key and never destroys one.

Settings: ECARD_SIGNER_CONFIG names a TOML file with journal, [[issuer]] and [[caller]]; ECARD_KEY_HOME (file, vault,
pkcs11) and the settings of that home say where the keys are; ECARD_KEY_PASSPHRASE_FILE opens a
key file, or what is typed at the terminal. The issuer finds the socket by ECARD_SIGNER_SOCKET.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve` to `ecard key`."""
    serve = commands.add_parser(
        "serve",
        help="run the signer: a process that holds the keys and signs what it has judged",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help="rules of the signer; default: ECARD_SIGNER_CONFIG")
    serve.add_argument("--socket", type=Path, metavar="PATH", help="where to listen; default: ECARD_SIGNER_SOCKET")
    serve.set_defaults(func=_serve)


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    environ = os.environ
    settings = read_environment(environ)
    config = read_config(_path(options.config, environ, "signer_config", None))
    path = _path(options.socket, environ, "signer_socket", config.socket)
    home = _open(settings, config, environ)
    desk = SignerDesk(home, config, lambda: datetime.now(UTC))
    server = SignerServer(desk, config.callers, path, group=config.group)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    for line in _introduction(settings, config, path):
        print(line, flush=True)
    server.serve()
    print("stopped", flush=True)
    return 0


def _path(given: Path | None, environ: Mapping[str, str], name: str, default: Path | None) -> Path:
    variable = f"ECARD_{name.upper()}"
    path = given or (Path(environ[variable]) if environ.get(variable) else default)
    if path is None:
        raise InvalidInput("bad_setting", f"{variable} is needed")
    return path


def _open(settings: HomeSettings, config: SignerConfig, environ: Mapping[str, str]) -> KeyHome:
    file = None
    if config.key_file is not None:
        given = read_secret(environ, "key_passphrase")
        passphrase = ask(twice=not config.key_file.exists()) if given is None else given.encode()
        if passphrase is None:
            raise InvalidInput("bad_setting", "ECARD_KEY_PASSPHRASE_FILE, or a terminal, is needed for the key file")
        file = FileKeyHome(config.key_file, passphrase, algorithm=settings.algorithm)
    return open_home(settings, file, config.key_archive)


def _introduction(settings: HomeSettings, config: SignerConfig, path: Path) -> list[str]:
    """What a person should know who starts it."""
    lines = [f"signer: keys in {settings.home}, new ones {settings.algorithm}; journal {config.journal}"]
    for rules in config.issuers:
        regions = ", ".join(rules.regions) or "none"
        lines.append(f"  signs for {rules.issuer}: regions {regions}; valid {rules.longest_validity.days} days at most")
    for caller in config.callers:
        rights = sorted(caller.profiles) + (["new keys"] if caller.create else [])
        lines.append(f"  serves {caller.name} (uid {caller.uid}): {', '.join(rights)}")
    return [*lines, f"listening on {path}"]
