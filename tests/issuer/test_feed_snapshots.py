"""The issuer's snapshots of its own feed: what a verifier makes of them is what it would have folded."""

from __future__ import annotations

import sqlite3
import threading
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import feed_snapshot
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_card.feed_snapshot import Chunk
from ecard_card.status import CardChange
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.publishing.snapshots import KEPT, FeedSnapshots
from ecard_issuer.publishing.sql_snapshots import SqlSnapshots
from ecard_issuer.publishing.worker import SnapshotWorker
from ecard_issuer.register import SqlRegister
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_verifier.beginning import Beginning
from ecard_verifier.feed import STREAM, SnapshotMade, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.trust_source import FixedTrust
from tests.issuer.service import Service, open_service
from tests.issuer.test_dispatch import drain, issue
from tests.verifier.feed_kit import wait_for
from tests.verifier.snapshot_kit import rows_of


class OfIssuer:
    """A `SnapshotSource` over the issuer's own verbs."""

    def __init__(self, snapshots: FeedSnapshots) -> None:
        self.snapshots = snapshots

    def manifest(self) -> str | None:
        try:
            return self.snapshots.latest().manifest
        except NotFound:
            return None

    def chunk(self, number: int, place: int, chunk: Chunk, /) -> bytes:
        return self.snapshots.chunk(number, place)


def made_by(service: Service, **more: Any) -> FeedSnapshots:
    """Another maker over the same register, as in another process with a directory of its own."""
    issuer = service.issuer
    return FeedSnapshots(
        issuer.register,
        SqlSnapshots(issuer.engine),
        issuer.keys,
        more.pop("signing", issuer.signing),
        more.pop("fold", issuer.place.path / "another-mirror.sqlite3"),
        service.clock,
        issuer.wake.ring,
        every=more.pop("every", timedelta(hours=12)),
        **more,
    )


def begun(service: Service, folder: Path) -> Mirror:
    """A new verifier's mirror with the newest snapshot."""
    mirror = Mirror(folder / "mirror.sqlite3", issuer=service.issuer.identity.issuer)
    trust = FixedTrust(service.issuer.keys.trust(service.clock()))
    source = OfIssuer(service.issuer.publishing.snapshots)
    begin = Beginning(mirror, mirror.issuer or "", source, trust, service.clock, folder / "growing")
    begin.make(threading.Event())
    assert begin.error is None
    return mirror


def followed(service: Service, mirror: Mirror) -> Mirror:
    """All events from where it is, and a beat."""
    issuer, now = service.issuer, service.clock()
    trust = issuer.keys.trust(now)
    while rows := issuer.register.read_feed(STREAM, mirror.position):
        for row in rows:
            mirror.apply(verify_event(row.token, trust, now))
    beat = EventDesk(issuer.signing, issuer.keys, issuer.identity).beat(mirror.position, mirror.digest, now, now)
    mirror.apply(verify_event(beat, trust, now))
    return mirror


def folded(service: Service) -> Mirror:
    return followed(service, Mirror(issuer=service.issuer.identity.issuer))


@pytest.fixture
def lived(service: Service) -> Service:
    """Some cards with lives behind them."""
    for serial in range(1, 5):
        card_ref, _ = issue(service, serial)
        for change in (CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.CANCEL)[: serial - 1]:
            service.issuer.lifecycle.change(card_ref, change, service.clock.advance(1))
    drain(service)
    return service


def test_a_verifier_that_begins_with_it_knows_what_one_that_folded_all_knows(lived: Service, tmp_path: Path) -> None:
    snapshots = lived.issuer.publishing.snapshots
    row = snapshots.make()
    with pytest.raises(NotFound, match="feed_snapshot_unknown"):
        snapshots.latest()  # the feed has not named it yet
    card_ref, _ = issue(lived, 5)
    lived.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, lived.clock.advance(1))
    drain(lived)
    assert snapshots.latest() == row
    mirror = followed(lived, begun(lived, tmp_path))
    assert (mirror.position > row.upto, mirror.awaits) == (True, None)
    assert rows_of(mirror) == rows_of(folded(lived))
    bodies = [
        verify_event(one.token, lived.issuer.keys.trust(lived.clock()), lived.clock()).body
        for one in lived.issuer.register.read_feed(STREAM, row.upto)
    ]
    assert [body for body in bodies if isinstance(body, SnapshotMade)] == [
        SnapshotMade(row.number, feed_snapshot.sealed(row.manifest).digest)
    ]


def test_the_feed_goes_on_while_it_is_made(lived: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events between any two chunks, and between the last event and the first chunk."""
    serials = iter(range(10, 30))
    add, count = SqlSnapshots.add_snapshot_chunk, 0

    def busy(self: SqlSnapshots, *args: Any) -> None:
        nonlocal count
        count += 1
        card_ref, _ = issue(lived, next(serials))
        lived.issuer.lifecycle.change(card_ref, CardChange.CANCEL, lived.clock.advance(1))
        drain(lived)
        add(self, *args)

    monkeypatch.setattr(SqlSnapshots, "add_snapshot_chunk", busy)
    monkeypatch.setattr(feed_snapshot, "MAX_CHUNK", 400)
    monkeypatch.setattr(feed_snapshot, "MAX_STATUSES", 2)
    before = lived.issuer.register.feed_head(STREAM)
    row = lived.issuer.publishing.snapshots.make()
    assert (row.upto, count >= 4) == (before, True)
    drain(lived)
    assert rows_of(followed(lived, begun(lived, tmp_path))) == rows_of(folded(lived))


def test_keys_that_were_denied_are_in_it(lived: Service, tmp_path: Path) -> None:
    issuer = lived.issuer
    kid = issuer.keys.active(KeyPurpose.CREDENTIAL).kid
    issuer.key_office.compromise(kid, None, "local admin", lived.clock.advance(60))
    drain(lived)
    issuer.publishing.snapshots.make()
    drain(lived)
    mirror = followed(lived, begun(lived, tmp_path))
    assert len(mirror.denied()) == 1
    assert rows_of(mirror) == rows_of(folded(lived))


def test_the_next_one_goes_on_where_the_last_one_ended(lived: Service, tmp_path: Path) -> None:
    snapshots, read = lived.issuer.publishing.snapshots, list[int]()
    first = snapshots.make()
    drain(lived)
    issue(lived, 5)
    drain(lived)
    register = lived.issuer.register
    real = type(register).read_feed

    def counted(self: SqlRegister, stream: str, after: int = 0, limit: int = 1000) -> Any:
        rows = real(self, stream, after, limit)
        read.extend(row.seq for row in rows)
        return rows

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(register), "read_feed", counted)
        second = snapshots.make()
    assert (second.number, second.upto) == (first.number + 1, register.feed_head(STREAM))
    assert read == list(range(first.upto, second.upto + 1))  # the last one again: to see that it is the same
    drain(lived)
    assert rows_of(followed(lived, begun(lived, tmp_path))) == rows_of(folded(lived))


@pytest.mark.parametrize("spoil", ["set back", "damaged", "foreign"])
def test_a_mirror_of_the_issuers_own_that_is_of_no_use_is_folded_anew(
    lived: Service, tmp_path: Path, spoil: str
) -> None:
    fold = lived.issuer.place.path / "feed-mirror.sqlite3"
    lived.issuer.publishing.snapshots.make()
    if spoil == "damaged":
        fold.write_bytes(b"x" * 5000)
    else:
        column = "last" if spoil == "set back" else "issuer"
        with sqlite3.connect(fold) as file:
            file.execute(f"UPDATE fold SET {column} = 'another'")  # noqa: S608 - one of two
    drain(lived)
    lived.issuer.publishing.snapshots.make()
    drain(lived)
    assert rows_of(followed(lived, begun(lived, tmp_path))) == rows_of(folded(lived))


def test_an_empty_feed_has_none(tmp_path: Path) -> None:
    service = open_service(tmp_path)
    try:
        with pytest.raises(RuleViolation, match="feed_empty"):
            service.issuer.publishing.snapshots.make()
        drain(service)  # the trust list's own event
        assert service.issuer.publishing.snapshots.make().upto == 1  # and the failure held nobody up
    finally:
        service.issuer.close()


def test_by_itself_it_is_made_when_it_is_due_and_worth_it(lived: Service) -> None:
    clock, store = lived.clock, SqlSnapshots(lived.issuer.engine)

    def numbers(maker: FeedSnapshots) -> int:
        maker.turn(clock())
        drain(lived)
        row = store.latest_snapshot()
        return 0 if row is None else row.number

    head = lived.issuer.register.feed_head(STREAM)
    assert numbers(made_by(lived, worth=head + 1)) == 0
    assert numbers(made_by(lived, worth=1, every=None)) == 0
    maker = made_by(lived, worth=head)
    assert numbers(maker) == 1
    clock.advance(12 * 3600 - 1)
    assert numbers(maker) == 1
    clock.advance(1)
    assert numbers(maker) == 2
    assert numbers(made_by(lived, worth=1, fold=lived.issuer.place.path / "third.sqlite3")) == 2  # another process


def test_one_at_a_time_whoever_asks(lived: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    add, told = SqlSnapshots.add_snapshot_chunk, list[str]()

    def meanwhile(self: SqlSnapshots, *args: Any) -> None:
        with pytest.raises(Conflict, match="feed_snapshot_being_made"):
            made_by(lived).make()
        made_by(lived, worth=1).turn(lived.clock())  # says nothing: it comes again in a minute
        told.append("asked")
        add(self, *args)

    monkeypatch.setattr(SqlSnapshots, "add_snapshot_chunk", meanwhile)
    assert lived.issuer.publishing.snapshots.make().number == 1
    assert told


class Broken:
    """A signing desk that is away, or refuses."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def sign(self, *args: object) -> list[bytes]:
        raise self.error


@pytest.mark.parametrize(
    "error", [Unavailable("signer_unavailable", "away"), InvalidInput("draft_refused", "form: no")], ids=str
)
def test_without_a_signature_nothing_is_given_out_and_it_is_tried_again_after_a_while(
    lived: Service, error: Exception
) -> None:
    broken = made_by(lived, signing=Broken(error), worth=1)
    with pytest.raises(type(error)):
        broken.turn(lived.clock())
    drain(lived)
    with pytest.raises(NotFound):
        broken.latest()
    with pytest.raises(NotFound, match="feed_snapshot_gone"):
        broken.chunk(1, 0)
    broken.turn(lived.clock.advance(60))  # does nothing: all the work again each minute is too much
    with pytest.raises(type(error)):
        broken.turn(lived.clock.advance(3600))
    assert (
        lived.issuer.publishing.snapshots.make().number == 3
    )  # and nobody has to wait for the lease of the failed one


def test_one_signature_each_and_it_stands_in_the_journal(lived: Service) -> None:
    lived.issuer.publishing.snapshots.make()
    assert lived.issuer.signing.counts()[SigningProfile.FEED_SNAPSHOT] == 1


def test_old_ones_go(lived: Service) -> None:
    snapshots, clock = lived.issuer.publishing.snapshots, lived.clock
    for _ in range(KEPT + 2):
        snapshots.make()
        drain(lived)
        clock.advance(3600)
    kept = []
    for number in range(1, KEPT + 3):
        try:
            snapshots.chunk(number, 0)
            kept.append(number)
        except NotFound:
            continue
    assert kept == [3, 4]
    assert snapshots.latest().number == 4
    clock.advance(24 * 3600)
    with pytest.raises(NotFound, match="feed_snapshot_unknown"):
        snapshots.latest()  # too old to be taken by anybody


def test_a_service_that_stops_gives_it_up(lived: Service) -> None:
    maker = made_by(lived, worth=1)
    worker = SnapshotWorker(maker, lived.clock)
    worker.start()
    wait_for(lambda: SqlSnapshots(lived.issuer.engine).snapshot_chunk(1, 0) is not None)
    worker.stop()
    maker = made_by(lived)
    maker.halt()
    with pytest.raises(Unavailable, match="feed_snapshot_halted"):
        maker.make()


@pytest.mark.parametrize("at", ["renew_snapshot", "add_snapshot_chunk", "finish_snapshot"])
def test_a_maker_that_dies_is_followed_by_another_one(
    lived: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """As by a kill: no word to the store."""

    class Killed(BaseException):
        pass

    def dies(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SqlSnapshots, at, dies)
        with pytest.raises(Killed):
            lived.issuer.publishing.snapshots.make()
    with pytest.raises(Conflict):
        lived.issuer.publishing.snapshots.make()
    lived.clock.advance(600)
    assert lived.issuer.publishing.snapshots.make().number == 2
    drain(lived)
    assert rows_of(followed(lived, begun(lived, tmp_path))) == rows_of(folded(lived))


def test_what_is_in_the_register_but_not_signed_is_in_no_snapshot(lived: Service) -> None:
    """The feed's rows are believed by their signatures, like a stranger's."""
    with lived.issuer.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE feed SET token = substr(token, 1, length(token) - 4) || 'AAAA' WHERE seq = 3"
        )
    with pytest.raises(Exception, match="bad_signature"):
        lived.issuer.publishing.snapshots.make()


def test_memory_is_that_of_some_chunks(tmp_path: Path) -> None:
    """Forty megabytes of credentials, written from a mirror's file and read into another one."""
    mirror = Mirror(tmp_path / "large.sqlite3")
    with mirror._db:
        mirror._db.execute("BEGIN")
        mirror._db.executemany(
            "INSERT INTO credential VALUES (?, ?)",
            ((number.to_bytes(16, "big"), bytes(1000)) for number in range(40_000)),
        )
        mirror._db.executemany("INSERT INTO status VALUES (?, ?, 2)", ((1, number) for number in range(200_000)))
    tracemalloc.start()
    try:
        size = sum(len(data) for data in feed_snapshot.credential_chunks(mirror.credentials()))
        count = sum(len(feed_snapshot.read_statuses(data)) for data in feed_snapshot.status_chunks(mirror.statuses()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (size, count) == (40_000 * 1002, 200_000)
    assert peak < 16 << 20
