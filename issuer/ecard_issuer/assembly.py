"""The issuer put together from its settings: one object, no state at module level, `start` and `stop`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect

from ecard_card.card import ChipAssurance
from ecard_card.credential import card_type
from ecard_card.errors import EcardError, InvalidInput, NotFound, Unavailable
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.chip_trust import chip_anchors, chip_key_holder
from ecard_issuer.config import REGISTER_FILE, IssuerSettings
from ecard_issuer.data_dir import DataDir
from ecard_issuer.dispatch import Dispatcher, Wake
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.enrol import Enrolment
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub, LocalFeed
from ecard_issuer.issue import Issuing
from ecard_issuer.keyring import PURPOSES, IssuerIdentity, KeyRing
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.migrations import migrate
from ecard_issuer.operators import Desk
from ecard_issuer.people import CardDesk
from ecard_issuer.ports import Register
from ecard_issuer.publish import Publisher
from ecard_issuer.register import SqlRegister, make_engine, tables
from ecard_issuer.register.engine import reading
from ecard_issuer.root_keys import RootKeys
from ecard_keys.chip_key import ChipKeyHolder
from ecard_keys.local import FileKeyHome
from ecard_keys.protect import FileProtector
from ecard_keys.signer import KeyHome
from ecard_verifier.feed import STREAM
from ecard_verifier.service import utc_now

KEY_FILE: Final = "keys.json"
ROOT_FILE: Final = "root-keys.json"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Every part of a running issuer. `start` settles what a crash left and begins to dispatch."""

    settings: IssuerSettings
    identity: IssuerIdentity
    register: Register
    cards: CardDesk
    keys: KeyRing
    signer: KeyHome
    enrolment: Enrolment
    issuing: Issuing
    lifecycle: LifeCycle
    publisher: Publisher
    operators: Desk
    hub: FeedHub
    feed: LocalFeed
    dispatcher: Dispatcher
    wake: Wake
    clock: Callable[[], datetime]
    engine: Engine
    place: DataDir

    def start(self) -> None:
        """Void the plans of this directory's last server, and start the dispatcher.

        Raises `Unavailable` `data_dir_in_use` where another server holds the directory.
        """
        self.place.serve()
        settled = self.issuing.settle(self.clock(), everything=True)
        if settled:
            _log.warning("settled %d issuances that a stop had cut short", settled)
        self.dispatcher.start()

    def stop(self) -> None:
        """End the dispatcher and every follower's stream, and give the database back."""
        self.dispatcher.stop()
        self.close()

    def close(self) -> None:
        """Give the database back, where nothing was started."""
        self.engine.dispose()
        self.place.release()


@dataclass(frozen=True, slots=True)
class Outside:
    """What tests and the demo may give instead of the real thing."""

    clock: Callable[[], datetime]
    anchors: Anchors | None
    key_holder: ChipKeyHolder | None
    say: Callable[[str], None]
    reached: Callable[[str], None]


def build(
    settings: IssuerSettings,
    *,
    create: bool = True,
    serve: bool = False,
    clock: Callable[[], datetime] = utc_now,
    anchors: Anchors | None = None,
    key_holder: ChipKeyHolder | None = None,
    say: Callable[[str], None] = lambda line: None,
    reached: Callable[[str], None] = lambda step: None,
) -> Issuer:
    """Open everything that `settings` name; `create` makes an authority where there is none. `say` hears what a person
    should know. `serve` takes the data directory for this server before anything is opened, as `start` else does.

    `anchors` and `key_holder` stand in for those of the settings; `reached` hears each step of an issuance. Raises
    `NotFound` `no_authority`, `Unavailable` where a database or key file does not open or is lost (`key_file_missing`)
    or another server holds the directory (`data_dir_in_use`), `Conflict` `issuer_changed`, `InvalidInput` for settings
    that do not fit.
    """
    place = DataDir(settings.data_dir)
    if create:
        place.make()
    elif not any((settings.data_dir / name).exists() for name in (KEY_FILE, ROOT_FILE, REGISTER_FILE)):
        raise _no_authority(settings.data_dir)
    try:
        if serve:
            place.serve()
        with place.alone():
            return _open(settings, place, Outside(clock, anchors, key_holder, say, reached), create=create)
    except BaseException:
        place.release()
        raise


def _open(settings: IssuerSettings, place: DataDir, outside: Outside, *, create: bool) -> Issuer:
    engine = make_engine(settings.sqlalchemy_url)
    try:
        if not (create or _has_trust_list(engine)):
            raise _no_authority(settings.data_dir)
        migrate(engine)
        return _assemble(settings, place, engine, outside)
    except BaseException:
        engine.dispose()
        raise


def _has_trust_list(engine: Engine) -> bool:
    """Whether this register was ever the register of an authority. Looking changes nothing, and makes no file."""
    file = engine.url.database or ""
    if engine.dialect.name == "sqlite" and not file.startswith("file:") and not Path(file).exists():
        return False
    with reading(engine) as connection:
        has_table = inspect(connection).has_table(tables.trust_list.name)
    return has_table and SqlRegister(engine).latest_trust_list() is not None


def _no_authority(folder: Path) -> NotFound:
    return NotFound("no_authority", f"{folder} holds no authority; `ecard init` or `ecard serve` makes one there")


def _assemble(settings: IssuerSettings, place: DataDir, engine: Engine, outside: Outside) -> Issuer:
    register = SqlRegister(engine)
    clock = outside.clock
    home, roots = _key_homes(settings, place, register, outside.say)
    wake = Wake()
    identity = _identity(settings, register, roots)
    keys = KeyRing(register, home, roots, identity, trust_days=settings.trust_list_days, on_publish=wake.ring)
    now = clock()
    keys.open(now)
    key_holder = outside.key_holder or chip_key_holder(settings, home, now)
    anchors = outside.anchors or chip_anchors(settings, home)
    cards = CardDesk(register, FileProtector(home.file))
    minimum = ChipAssurance.from_label(settings.minimum_chip_proof)
    profile = Profile(
        issuer=identity.issuer,
        vct=card_type(identity.issuer),
        status_uri=identity.status_uri,
        validity=timedelta(days=settings.credential_days),
    )
    drafter = Drafter(profile, cards)
    issuing = Issuing(register, cards, keys, home, drafter, owner=place.owner(), reached=outside.reached)
    hub = FeedHub(register.feed_head(STREAM))

    def upkeep(moment: datetime) -> None:
        """What has to be done again and again, however little happens. One failing does not stop the other."""
        for work in (keys.refresh, lambda at: issuing.settle(at, everything=False)):
            try:
                work(moment)
            except EcardError as error:
                _log.warning("upkeep: %s", error)

    dispatcher = Dispatcher(register, EventDesk(home, keys, identity), hub, wake, clock, upkeep=upkeep)
    return Issuer(
        settings=settings,
        identity=identity,
        register=register,
        cards=cards,
        keys=keys,
        signer=home,
        enrolment=Enrolment(register, cards, anchors, key_holder, minimum=minimum),
        issuing=issuing,
        lifecycle=LifeCycle(register, wake.ring),
        publisher=Publisher(register, keys, home, ttl=settings.status_ttl, life=settings.status_hours * 3600),
        operators=Desk(register),
        hub=hub,
        feed=LocalFeed(register, hub),
        dispatcher=dispatcher,
        wake=wake,
        clock=clock,
        engine=engine,
        place=place,
    )


def _key_homes(
    settings: IssuerSettings, place: DataDir, register: Register, say: Callable[[str], None]
) -> tuple[FileKeyHome, RootKeys]:
    """The files of keys, made only for a register that names no key yet: a lost file is never silently replaced."""
    fresh = not register.list_keys([purpose.value for purpose in PURPOSES])
    files = tuple(settings.data_dir / name for name in (KEY_FILE, ROOT_FILE))
    for path in files:
        if not (fresh or path.exists()):
            raise Unavailable("key_file_missing", f"{path} is lost; put it back from a backup: the register needs it")
    given = settings.key_passphrase
    passphrase = given.get_secret_value().encode() if given is not None else place.passphrase(say, create=fresh)
    home, roots = (FileKeyHome(path, passphrase, create=fresh) for path in files)
    return home, RootKeys(roots)


def _identity(settings: IssuerSettings, register: Register, roots: RootKeys) -> IssuerIdentity:
    """The configured name and regions; else those this register was started with, so that a command run beside a
    service need not repeat its settings; else this machine at the configured port."""
    latest = register.latest_trust_list()
    if latest is not None:
        before = roots.read(latest.document).issuers[0]
        return IssuerIdentity(settings.public_origin or before.issuer, settings.regions or before.regions)
    if settings.public_origin is not None:
        return IssuerIdentity(settings.public_origin, settings.regions)
    if settings.port == 0:
        raise InvalidInput("bad_setting", "ECARD_PORT: a first start needs a port or ECARD_PUBLIC_ORIGIN")
    return IssuerIdentity(f"http://127.0.0.1:{settings.port}", settings.regions)
