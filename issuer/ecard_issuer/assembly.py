"""The issuer put together from its settings: one object, no state at module level, `start` and `stop`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Engine, inspect

from ecard_card.card import ChipAssurance
from ecard_card.credential import card_type
from ecard_card.errors import EcardError, InvalidInput, NotFound
from ecard_card.region import EVERYWHERE
from ecard_issuer.applying.parts import Applications, open_applications
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyChanges, PolicyOf
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.chip_trust import chip_anchors, chip_key_holder
from ecard_issuer.collect import Collecting
from ecard_issuer.config import REGISTER_FILE, IssuerSettings
from ecard_issuer.counting import CountingDesk
from ecard_issuer.data_dir import DataDir
from ecard_issuer.dispatch import Dispatcher, Wake
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.enrol import Enrolment
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub, LocalFeed
from ecard_issuer.foresight import Foresight
from ecard_issuer.holder_services import HolderServices, holder_services
from ecard_issuer.intake.office import IntakeOffice, open_intake
from ecard_issuer.issue import Issuing
from ecard_issuer.key_homes import KEY_FILE, ROOT_FILE, home_of, open_desk, open_files, open_home_of_keys, quotas_file
from ecard_issuer.key_lives import KeyLives
from ecard_issuer.key_office import KeyOffice
from ecard_issuer.keyring import PURPOSES, IssuerIdentity, KeyRing
from ecard_issuer.life.build import Life, open_life
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.mandates.desk import Mandates
from ecard_issuer.migrations import migrate
from ecard_issuer.operators import Desk
from ecard_issuer.partners.opening import Partners, open_partners
from ecard_issuer.people import People
from ecard_issuer.policies.parts import Policies, open_book, open_policies
from ecard_issuer.ports import Register
from ecard_issuer.privacy.everything import every_room
from ecard_issuer.privacy.parts import Privacy, open_privacy
from ecard_issuer.programme.office import ProgrammeOffice
from ecard_issuer.programme.sql import SqlAddresses
from ecard_issuer.publishing.assemble import Publishing, open_publishing
from ecard_issuer.publishing.publisher import Publisher
from ecard_issuer.quota_office import QuotaOffice
from ecard_issuer.register import SqlRegister, make_engine, tables
from ecard_issuer.register.engine import reading
from ecard_issuer.reissue import Reissue
from ecard_issuer.relying.assembly import Relying, assemble_relying
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.service_points.office import ServicePoints
from ecard_issuer.service_points.sql import SqlPoints
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.chip_key import ChipKeyHolder
from ecard_keys.pepper import FilePepper
from ecard_keys.protect import FileProtector
from ecard_keys.rotation import RotationRules
from ecard_keys.signer import KeyHome
from ecard_keys.trust.root import TrustRoot, read_root
from ecard_verifier.feed import STREAM
from ecard_verifier.service import utc_now

_log: Final = logging.getLogger(__name__)


class Worker(Protocol):
    """A thread of its own, beside the dispatcher."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """Every part of a running issuer. `start` settles what a crash left and begins to dispatch."""

    settings: IssuerSettings
    identity: IssuerIdentity
    register: Register
    people: People
    policies: Policies
    privacy: Privacy
    cards: CardDesk
    holders: HolderServices
    keys: KeyRing
    key_office: KeyOffice
    approvals: Approvals
    quotas: QuotaOffice
    signer: KeyHome
    signing: CountingDesk
    enrolment: Enrolment
    issuing: Issuing
    reissue: Reissue
    collecting: Collecting
    lifecycle: LifeCycle
    life: Life
    acting: Mandates
    applications: Applications
    relying: Relying
    service_points: ServicePoints
    programme: ProgrammeOffice
    intake: IntakeOffice
    publishing: Publishing
    operators: Desk
    hub: FeedHub
    feed: LocalFeed
    dispatcher: Dispatcher
    wake: Wake
    partners: Partners
    clock: Callable[[], datetime]
    engine: Engine
    place: DataDir

    def start(self) -> None:
        """Void the plans of this directory's last server, and start the dispatcher and the other workers.

        Raises `Unavailable` `data_dir_in_use` where another server holds the directory.
        """
        self.place.serve()
        if self.approvals.needed == 0:
            _log.warning("four eyes are off: one operator alone can change keys, trust lists and operators")
        settled = self.issuing.settle(self.clock(), everything=True)
        if settled:
            _log.warning("settled %d issuances that a stop had cut short", settled)
        self.dispatcher.start()
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the workers, the dispatcher and every follower's stream, and give the database back."""
        for worker in reversed(self._workers):
            worker.stop()
        self.dispatcher.stop()
        self.close()

    @property
    def _workers(self) -> tuple[Worker, ...]:
        return self.publishing.worker, self.partners.worker, self.intake, self.privacy.retention

    @property
    def publisher(self) -> Publisher:
        """Status lists, trust list and bundle, as `publishing` has it."""
        return self.publishing.publisher

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
    beside: tuple[Register, ...] = ()
    board: TrustBoard | None = None
    policy_of: PolicyOf | None = None
    policy_changes: PolicyChanges | None = None


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
    beside: Sequence[Register] = (),
    board: TrustBoard | None = None,
    policy_of: PolicyOf | None = None,
    policy_changes: PolicyChanges | None = None,
) -> Issuer:
    """Open everything that `settings` name; `create` makes an authority where there is none. `say` hears what a person
    should know. `serve` takes the data directory for this server before anything is opened, as `start` else does.

    `anchors` and `key_holder` stand in for those of the settings; `reached` hears each step of an issuance. `policy_of`
    and `policy_changes` say what differs by region. `beside`
    are the registers of the other issuers hosted here, which get a copy of every trust list; such an issuer is built
    with the `board` of the first, and has no root keys of its own (`ecard_issuer.deployment`). Raises
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
            outside = Outside(
                clock,
                anchors,
                key_holder,
                say,
                reached,
                tuple(beside),
                board,
                policy_of,
                policy_changes,
            )
            return _open(settings, place, outside, create=create)
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
    """Whether this register was ever the register of an authority: it has a list, or keys that wait for their first
    one from a ceremony. Looking changes nothing, and makes no file."""
    file = engine.url.database or ""
    if engine.dialect.name == "sqlite" and not file.startswith("file:") and not Path(file).exists():
        return False
    with reading(engine) as connection:
        has_table = inspect(connection).has_table(tables.trust_list.name)
    if not has_table:
        return False
    register = SqlRegister(engine)
    return register.latest_trust_list() is not None or bool(register.list_keys([purpose.value for purpose in PURPOSES]))


def _no_authority(folder: Path) -> NotFound:
    return NotFound("no_authority", f"{folder} holds no authority; `ecard init` or `ecard serve` makes one there")


def _assemble(settings: IssuerSettings, place: DataDir, engine: Engine, outside: Outside) -> Issuer:
    clock = outside.clock
    book = open_book(engine, clock)
    policy_of = outside.policy_of or book.policy_of
    register = SqlRegister(engine, policy_of=policy_of, longest_life=timedelta(days=settings.credential_days))
    now = clock()
    fresh = not register.list_keys([purpose.value for purpose in PURPOSES])
    file, roots, passphrase = open_files(settings, place, outside.say, fresh=fresh, with_roots=outside.board is None)
    home, link = open_home_of_keys(settings, file, passphrase)
    wake = Wake()
    board = outside.board or _trust_board(settings, [register, *outside.beside], roots, wake, now)
    identity = _identity(settings, register, board)
    signing = CountingDesk(open_desk(settings, home, link, identity, clock))
    keys = KeyRing(register, home, board, identity, home_of=partial(home_of, settings))
    keys.open(now)
    approvals = Approvals(register, needed=settings.approvals_needed)
    key_office = _key_office(settings, register, keys, home, approvals)
    key_holder = outside.key_holder or chip_key_holder(settings, file, now)
    anchors = outside.anchors or chip_anchors(settings, file)
    protector = FileProtector(file.file)
    people = People(register, protector)
    cards = CardDesk(register, people, lambda card_ref, moment: intake.card_arrived(card_ref, moment))
    lifecycle = LifeCycle(register, wake.ring)
    intake = open_intake(engine, register, cards, lifecycle, approvals, protector, clock, wake.ring, policy_of)
    minimum = ChipAssurance.from_label(settings.minimum_chip_proof)
    profile = Profile(
        issuer=identity.issuer,
        vct=card_type(identity.issuer),
        status_uri=identity.status_uri,
        validity=timedelta(days=settings.credential_days),
    )
    drafter = Drafter(profile, cards)
    issuing = Issuing(register, cards, keys, signing, drafter, owner=place.owner(), reached=outside.reached)
    hub = FeedHub(register.feed_head(STREAM))
    acting, applications = open_applications(
        engine, register, cards, lifecycle, regions=identity.regions, policy_of=policy_of
    )
    policy_changes = outside.policy_changes or book.changed_between
    life = open_life(engine, register, cards, acting, applications.lives, policy_of, policy_changes, wake.ring)
    pepper = FilePepper(file.file)
    holders = holder_services(settings, engine, register, people, pepper, rules=acting, policy_of=policy_of)
    relying = assemble_relying(
        engine,
        register,
        cards,
        keys,
        signing,
        approvals,
        acting,
        level_of=lambda ecard_id, now: holders.levels.state(ecard_id, now).level,
        pins=holders.pins,
        policy_of=policy_of,
    )
    partners = open_partners(engine, protector, signing, keys, settings.partner_networks, clock)
    rooms = every_room(engine, register, acting, applications, holders, relying, life, intake, partners)
    privacy = open_privacy(engine, register, people, book, approvals, acting, rooms=rooms)
    hub.listen(partners.worker.ring)

    def settle(moment: datetime) -> int:
        """Void plans past their life."""
        return issuing.settle(moment, everything=False)

    def upkeep(moment: datetime) -> None:
        """What has to be done again and again, however little happens. One failing does not stop the others."""
        for work in (
            keys.refresh,
            key_office.upkeep,
            settle,
            life.upkeep.turn,
            relying.upkeep,
            intake.upkeep,
            privacy.retention.upkeep,
        ):
            try:
                work(moment)
            except EcardError as error:
                _log.warning("upkeep: %s", error)

    dispatcher = Dispatcher(register, EventDesk(signing, keys, identity), hub, wake, clock, upkeep=upkeep)
    return Issuer(
        settings=settings,
        identity=identity,
        register=register,
        people=people,
        policies=open_policies(engine, book, approvals),
        privacy=privacy,
        cards=cards,
        holders=holders,
        keys=keys,
        key_office=key_office,
        approvals=approvals,
        quotas=QuotaOffice(quotas_file(settings), register, approvals),
        signer=home,
        signing=signing,
        enrolment=Enrolment(register, cards, anchors, key_holder, minimum=minimum, policy_of=policy_of),
        issuing=issuing,
        reissue=Reissue(register, keys, signing, drafter, owner=place.owner(), settle=settle, reached=outside.reached),
        collecting=Collecting(register, cards, profile, issuing.follow),
        lifecycle=lifecycle,
        life=life,
        acting=acting,
        applications=applications,
        relying=relying,
        service_points=ServicePoints(SqlPoints(engine)),
        programme=ProgrammeOffice(SqlAddresses(engine)),
        intake=intake,
        publishing=open_publishing(
            engine,
            register,
            keys,
            signing,
            clock,
            wake.ring,
            ttl=settings.status_ttl,
            life=settings.status_hours * 3600,
            delta_every=settings.status_delta_seconds,
        ),
        operators=Desk(register, approvals=approvals),
        hub=hub,
        feed=LocalFeed(register, hub),
        dispatcher=dispatcher,
        wake=wake,
        partners=partners,
        clock=clock,
        engine=engine,
        place=place,
    )


def _trust_board(
    settings: IssuerSettings, registers: Sequence[Register], roots: RootKeys | None, wake: Wake, now: datetime
) -> TrustBoard:
    """Under the configured roots, whose keys are elsewhere, or under those of this directory."""
    if roots is not None:
        roots.open(now)
        pinned = roots.root()
    else:
        pinned = _pinned_root(settings)
    life = timedelta(days=settings.trust_list_days)
    names = [hosted.public_origin for hosted in settings.hosted]
    if names and settings.public_origin is not None:
        names.append(settings.public_origin)
    return TrustBoard(registers, roots, pinned, life=life, on_publish=wake.ring, issuers=names)


def _key_office(
    settings: IssuerSettings, register: Register, keys: KeyRing, home: KeyHome, approvals: Approvals
) -> KeyOffice:
    rules = RotationRules(
        longest_cache=timedelta(seconds=settings.verifier_cache_seconds),
        credential_life=timedelta(days=settings.credential_days),
        status_life=timedelta(hours=settings.status_hours),
        list_life=timedelta(days=settings.trust_list_days),
    )
    lives = KeyLives(register, keys, rules)
    return KeyOffice(keys, register, home, approvals, lives, Foresight(keys, home, lives, approvals.needed))


def _pinned_root(settings: IssuerSettings) -> TrustRoot:
    try:
        return read_root((settings.trust_root or Path()).read_bytes())
    except OSError:
        raise InvalidInput("settings_unreadable", "the file of ECARD_TRUST_ROOT cannot be read") from None


def _identity(settings: IssuerSettings, register: Register, board: TrustBoard) -> IssuerIdentity:
    """The configured name and regions; else those this register was started with, so that a command run beside a
    service need not repeat its settings; else this machine at the configured port, and every region."""
    regions = settings.regions or (EVERYWHERE,)
    latest = board.latest()
    if latest is not None:
        own = {row.public for row in register.list_keys([purpose.value for purpose in PURPOSES])}
        for before in latest.issuers:
            if any(key.public in own for key in before.keys):
                return IssuerIdentity(
                    settings.public_origin or before.issuer, settings.regions or before.regions or regions
                )
    if settings.public_origin is not None:
        return IssuerIdentity(settings.public_origin, regions)
    if settings.port == 0:
        raise InvalidInput("bad_setting", "ECARD_PORT: a first start needs a port or ECARD_PUBLIC_ORIGIN")
    return IssuerIdentity(f"http://127.0.0.1:{settings.port}", regions)
