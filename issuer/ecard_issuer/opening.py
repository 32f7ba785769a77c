"""Every part of an issuer opened and joined, over a register whose schema is in place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from ecard_card.card import ChipAssurance
from ecard_card.credential import card_type
from ecard_card.errors import EcardError, InvalidInput
from ecard_card.region import EVERYWHERE
from ecard_issuer.applying.parts import open_applications
from ecard_issuer.approvals import Approvals
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyChanges, PolicyOf
from ecard_issuer.channel_events.of_channels import HookAddresses
from ecard_issuer.channel_events.of_links import SqlToldLinks, ToldLinks
from ecard_issuer.channel_events.opening import channel_body_of, open_channel_events
from ecard_issuer.channels.opening import open_channels
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.chip_trust import chip_anchors, chip_key_holder
from ecard_issuer.collect import Collecting
from ecard_issuer.config import IssuerSettings
from ecard_issuer.conventions import open_conventions
from ecard_issuer.counting import CountingDesk
from ecard_issuer.data_dir import DataDir
from ecard_issuer.dispatch import Dispatcher, Wake
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.enrol import Enrolment
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub, LocalFeed
from ecard_issuer.foresight import Foresight
from ecard_issuer.holder_services import holder_services
from ecard_issuer.intake.office import open_intake
from ecard_issuer.issue import Issuing
from ecard_issuer.issue_many import IssuingMany
from ecard_issuer.issuer import Issuer
from ecard_issuer.key_homes import home_of, open_desk, open_files, open_home_of_keys, quotas_file
from ecard_issuer.key_lives import KeyLives
from ecard_issuer.key_office import KeyOffice
from ecard_issuer.keyring import PURPOSES, IssuerIdentity, KeyRing
from ecard_issuer.life.build import open_life
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.links.opening import open_linking
from ecard_issuer.login.parts import open_login
from ecard_issuer.operators import Desk
from ecard_issuer.partners.opening import open_partners
from ecard_issuer.policies.parts import open_book, open_policies
from ecard_issuer.ports import Register
from ecard_issuer.privacy.everything import every_room
from ecard_issuer.privacy.parts import open_privacy
from ecard_issuer.programme.office import ProgrammeOffice
from ecard_issuer.programme.sql import SqlAddresses
from ecard_issuer.publishing.assemble import open_publishing
from ecard_issuer.quota_office import QuotaOffice
from ecard_issuer.register import SqlRegister
from ecard_issuer.reissue import Reissue
from ecard_issuer.relying.assembly import assemble_relying
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.service_points.office import ServicePoints
from ecard_issuer.service_points.sql import SqlPoints
from ecard_issuer.settlements.opening import open_settling
from ecard_issuer.testmode.cards import Rooms
from ecard_issuer.testmode.mode import settle_mode
from ecard_issuer.testmode.opening import anchors_of, chips_of, mode_of, open_test_mode, people_of
from ecard_issuer.tickets.opening import open_showing
from ecard_issuer.trust_board import TrustBoard
from ecard_issuer.wallets.opening import open_wallets
from ecard_keys.certified_keys import CertifiedKeys
from ecard_keys.chip_key import ChipKeyHolder
from ecard_keys.encryption import FileUnsealing
from ecard_keys.pepper import FilePepper
from ecard_keys.protect import FileProtector
from ecard_keys.rotation import RotationRules
from ecard_keys.signer import KeyHome
from ecard_keys.trust.root import TrustRoot, read_root
from ecard_verifier.feed import STREAM

_log: Final = logging.getLogger(__name__)


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


def open_issuer(settings: IssuerSettings, place: DataDir, engine: Engine, outside: Outside) -> Issuer:
    """The parts in the order in which they need each other."""
    clock = outside.clock
    book = open_book(engine, clock)
    policy_of = outside.policy_of or book.policy_of
    register = SqlRegister(engine, policy_of=policy_of, longest_life=timedelta(days=settings.credential_days))
    now = clock()
    fresh = not register.list_keys([purpose.value for purpose in PURPOSES])
    file, roots, passphrase = open_files(settings, place, outside.say, fresh=fresh, with_roots=outside.board is None)
    mode = mode_of(settings)
    settle_mode(engine, test=mode.test, fresh=fresh)
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
    protector = FileProtector(file.file)
    chips = chips_of(mode, protector, clock)
    anchors = outside.anchors or (chip_anchors(settings, file) if chips is None else anchors_of(chips))
    people = people_of(mode, register, protector)
    cards = CardDesk(register, people, lambda card_ref, moment: intake.card_arrived(card_ref, moment))
    lifecycle = LifeCycle(register, wake.ring)
    intake = open_intake(engine, register, cards, lifecycle, approvals, protector, clock, wake.ring, policy_of)
    minimum = ChipAssurance.from_label(settings.minimum_chip_proof)
    profile = Profile(
        issuer=identity.issuer,
        vct=card_type(identity.issuer),
        status_uri=identity.status_uri,
        validity=timedelta(days=settings.credential_days),
        test=mode.test,
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
    networks, told = settings.partner_networks, channel_body_of(engine)
    partners = open_partners(engine, protector, signing, keys, networks, clock, channel_body=told)
    enrolment = Enrolment(register, cards, anchors, key_holder, minimum=minimum, policy_of=policy_of)
    linking = open_linking(
        settings,
        engine,
        register,
        cards,
        holders,
        enrolment,
        issuing,
        acting,
        approvals,
        policy_of,
        identity.issuer,
        FileUnsealing(file.file),
    )
    settling = open_settling(engine, cards, keys, signing, relying, linking.links, holders.passwords, register)
    channels = open_channels(
        settings,
        engine,
        identity.issuer,
        approvals,
        pepper.apply,
        test=mode.test,
        require_own=mode.require_own,
    )
    told_links = ToldLinks(SqlToldLinks(engine), linking.links, register, clock)
    channel_events = open_channel_events(
        engine, register, partners, people.references, told_links, HookAddresses(SqlChannels(engine)), clock
    )
    rooms = every_room(
        engine, register, acting, applications, holders, relying, life, intake, partners, linking, settling
    )
    privacy = open_privacy(engine, register, people, book, approvals, acting, rooms=rooms)
    showing = open_showing(engine, register, linking.links, channels.office, identity.issuer, hub)
    wallets = open_wallets(
        engine,
        register,
        people,
        enrolment,
        IssuingMany(register, keys, signing, drafter, issuing, owner=place.owner(), reached=outside.reached),
        holders,
        linking.links,
        acting,
        pepper,
        identity.issuer,
        review_all=settings.wallet_review,
        four_eyes=approvals.needed > 0,
    )
    login = open_login(
        engine,
        register,
        cards,
        keys,
        signing,
        relying,
        acting,
        links=linking.links,
        passwords=holders.passwords,
        once=channels.one_time,
        level_of=lambda ecard_id, now: holders.levels.state(ecard_id, now).level,
        app_of=lambda app_id: channels.office.get(app_id).registration,
        regions=settings.login_regions,
    )
    hub.listen(partners.worker.ring)
    hub.listen(channel_events.worker.ring)
    rooms_of_tests = Rooms(register, cards, lifecycle, life, holders.pins, enrolment, issuing)
    test_mode = open_test_mode(mode, chips, rooms_of_tests, linking, protector, identity.issuer)
    conventions = open_conventions(engine, protector, settings.open_calls_per_minute)

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
            settling.desk.upkeep,
            linking.upkeep,
            login.upkeep,
            intake.upkeep,
            privacy.retention.upkeep,
            test_mode.upkeep,
            channel_events.upkeep,
            conventions.idempotency.upkeep,
            channels.upkeep,
            showing.tickets.upkeep,
            wallets.upkeep,
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
        request_keys=CertifiedKeys(file.file),
        signing=signing,
        enrolment=enrolment,
        issuing=issuing,
        reissue=Reissue(register, keys, signing, drafter, owner=place.owner(), settle=settle, reached=outside.reached),
        collecting=Collecting(register, cards, profile, issuing.follow),
        lifecycle=lifecycle,
        life=life,
        acting=acting,
        applications=applications,
        relying=relying,
        settling=settling,
        linking=linking,
        login=login,
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
            snapshot_hours=settings.feed_snapshot_hours,
            folder=place.path,
        ),
        operators=Desk(register, approvals=approvals),
        hub=hub,
        feed=LocalFeed(register, hub),
        dispatcher=dispatcher,
        wake=wake,
        partners=partners,
        channel_events=channel_events,
        test_mode=test_mode,
        conventions=conventions,
        channels=channels,
        showing=showing,
        wallets=wallets,
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
