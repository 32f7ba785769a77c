"""Several issuers in one process: each with its register, keys and feed, all under one trust list and its roots.

The first issuer is the one of the plain settings; it has the root keys (or pins offline ones) and the board that
publishes for all. Each of the others lives in a directory of its own and knows nothing of the first one's people.

A test issuer may stand beside them. It shares the listener and nothing else: its board and roots are its own, so that
no verifier of the live issuers knows its keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from ecard_card.errors import InvalidInput
from ecard_card.region import EVERYWHERE
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.config import HostedIssuer, IssuerSettings
from ecard_issuer.data_dir import DataDir
from ecard_issuer.migrations import migrate
from ecard_issuer.ports import Register
from ecard_issuer.register import SqlRegister, make_engine
from ecard_keys.chip_key import ChipKeyHolder
from ecard_verifier.service import utc_now

_MAX_URL_FILE: Final = 4096
TEST_FOLDER: Final = "test"
#: What a test issuer never has of the live one: its database, passphrase, signer, roots, and whom it believes of chips.
_LIVE_ONLY: Final = (
    "database_url",
    "key_passphrase",
    "vault_addr",
    "vault_role_id",
    "vault_secret_id",
    "pkcs11_module",
    "pkcs11_token",
    "pkcs11_pin",
    "signer_socket",
    "trust_root",
    "chip_anchors",
    "chip_master_key_file",
)
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """The issuers of one process, the main one first, and the test issuer beside them if there is one. Start and stop
    each of them; then `close`."""

    issuers: tuple[Issuer, ...]
    _copies: ExitStack = field(repr=False)
    test: Issuer | None = None

    @property
    def main(self) -> Issuer:
        return self.issuers[0]

    @property
    def everyone(self) -> tuple[Issuer, ...]:
        """The issuers, and the test issuer after them."""
        return self.issuers if self.test is None else (*self.issuers, self.test)

    def start(self) -> None:
        """Start them all, or none."""
        with ExitStack() as started:
            for issuer in self.everyone:
                issuer.start()
                started.callback(issuer.stop)
            started.pop_all()

    def stop(self) -> None:
        """Stop them all, however one fares, and give everything back."""
        with ExitStack() as ending:
            ending.push(self._copies)
            for issuer in self.everyone:
                ending.callback(issuer.stop)

    def close(self) -> None:
        """Give everything back where nothing was started."""
        with ExitStack() as ending:
            ending.push(self._copies)
            for issuer in self.everyone:
                ending.callback(issuer.close)

    def end_feeds(self) -> None:
        """End every follower's stream, so that a server can stop."""
        for issuer in self.everyone:
            issuer.hub.close()


def build_all(
    settings: IssuerSettings,
    *,
    create: bool = True,
    serve: bool = False,
    clock: Callable[[], datetime] = utc_now,
    anchors: Anchors | None = None,
    key_holder: ChipKeyHolder | None = None,
    say: Callable[[str], None] = lambda line: None,
    with_test: bool = False,
) -> Deployment:
    """The issuer of `settings` and every one it hosts; `with_test`, the test issuer beside them too, if the settings
    name one. Parameters and errors are those of `build`; `InvalidInput` `bad_setting` also for two issuers of one
    name, host or directory."""
    others = [settings_of(settings, hosted) for hosted in settings.hosted]
    test = settings_of_test(settings)
    _refuse_twins(settings, others, test)
    with ExitStack() as undo:
        copies = undo.enter_context(ExitStack())
        registers = [_register(other, copies, create=create) for other in others]
        issuers: list[Issuer] = []
        for each in (settings, *others):
            issuer = build(
                each,
                create=create,
                serve=serve,
                clock=clock,
                anchors=anchors,
                key_holder=key_holder,
                say=say,
                beside=() if issuers else registers,
                board=issuers[0].keys.board if issuers else None,
            )
            undo.callback(issuer.close)
            issuers.append(issuer)
        beside = None
        if with_test and test is not None:
            beside = build(test, create=create, serve=serve, clock=clock, say=say)
        undo.pop_all()
        return Deployment(tuple(issuers), copies, beside)


def opened_at(settings: IssuerSettings, folder: Path | None, *, create: bool, say: Callable[[str], None]) -> Deployment:
    """What a command works on, whose `main` is the issuer in `folder`: a hosted one by its own directory, together
    with the deployment whose roots and board it needs; without a folder, the issuer of the settings.

    Raises what `build_all` raises.
    """
    for place, hosted in enumerate(settings.hosted, 1):
        if folder is not None and settings_of(settings, hosted).data_dir.absolute() == folder.absolute():
            whole = build_all(settings, create=create, say=say)
            chosen = whole.issuers[place]
            return Deployment((chosen, *(issuer for issuer in whole.issuers if issuer is not chosen)), whole._copies)
    test = settings_of_test(settings)
    if test is not None and folder is not None and test.data_dir.absolute() == folder.absolute():
        return build_all(test, create=create, say=say)
    given = settings if folder is None else settings.having(data_dir=folder)
    return build_all(given, create=create, say=say)


def settings_of(main: IssuerSettings, hosted: HostedIssuer) -> IssuerSettings:
    """The settings of a hosted issuer: the main one's, but for what is its own.

    Raises `InvalidInput` `bad_setting`, `settings_unreadable`.
    """
    slug = re.sub(r"[^a-z0-9.]+", "-", urlsplit(hosted.public_origin).netloc).strip("-.")
    return main.having(
        public_origin=hosted.public_origin,
        regions=hosted.regions,
        issuer_name=hosted.issuer_name,
        data_dir=hosted.data_dir or main.data_dir / slug,
        database_url=None if hosted.database_url_file is None else _database_url(hosted.database_url_file),
        hosted=(),
    )


def settings_of_test(main: IssuerSettings) -> IssuerSettings | None:
    """The settings of the test issuer beside `main`; None where there is none. Nothing of the live keys, chip
    authorities or databases goes over.

    Raises `InvalidInput` `bad_setting`.
    """
    if main.test_origin is None:
        return None
    return main.having(
        **dict.fromkeys(_LIVE_ONLY),
        public_origin=main.test_origin,
        live_origin=main.public_origin or f"http://127.0.0.1:{main.port}",
        test_mode=True,
        test_origin=None,
        data_dir=main.data_dir / TEST_FOLDER,
        regions=(EVERYWHERE,),
        allow_test_chips=True,
        key_home="file",
        key_algorithm="ES256",
        approvals_needed=0,  # nothing of it is real, and a developer is alone
        hosted=(),
    )


def host_of(origin: str) -> str:
    """What `Host` says of an origin: without a port where it is the scheme's own."""
    parts = urlsplit(origin)
    return parts.netloc.lower().removesuffix(DEFAULT_PORTS[parts.scheme])


def _refuse_twins(main: IssuerSettings, others: list[IssuerSettings], test: IssuerSettings | None) -> None:
    if others and main.public_origin is None:
        raise InvalidInput("bad_setting", "ECARD_PUBLIC_ORIGIN is needed where other issuers are hosted")
    everyone = (main, *others) if test is None else (main, *others, test)
    names = {host_of(each.public_origin or f"http://127.0.0.1:{main.port}") for each in everyone}
    places = {each.data_dir.absolute() for each in everyone}
    databases = {each.sqlalchemy_url for each in everyone}
    if not len(names) == len(places) == len(databases) == len(everyone):
        raise InvalidInput("bad_setting", "hosted: two issuers have one name, directory or database, test one too")


def _register(settings: IssuerSettings, copies: ExitStack, *, create: bool) -> Register:
    """A hosted issuer's register, for the board that publishes into all of them. Closed with `copies`."""
    if create:
        DataDir(settings.data_dir).make()
    engine = make_engine(settings.sqlalchemy_url)
    copies.callback(engine.dispose)
    migrate(engine)
    return SqlRegister(engine)


def _database_url(path: Path) -> SecretStr:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_URL_FILE).strip()
    except (OSError, ValueError):
        raise InvalidInput("settings_unreadable", "a database_url_file of [[issuer.hosted]] cannot be read") from None
    if not text:
        raise InvalidInput("bad_setting", "a database_url_file of [[issuer.hosted]] is empty")
    return SecretStr(text)
