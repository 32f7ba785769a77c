"""A mirror that begins with a snapshot is the mirror that folded every event; and what is wrong with one costs time."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import CheckFailed, NotFound, Unavailable
from ecard_card.feed_snapshot import Chunk, Kind
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.trust import Trust
from ecard_verifier.beginning import MOST_BEGUN, PATIENCE
from ecard_verifier.feed import FeedBeat
from ecard_verifier.feed_snapshot import LONGEST
from ecard_verifier.follower import Follower
from ecard_verifier.mirror import Mirror
from ecard_verifier.trust_source import FixedTrust
from tests.verifier.feed_kit import ScriptedFeed, beat, believed, change, denial, signed
from tests.verifier.snapshot_kit import Away, Given, Snapshot, beginning, folded, past, reached, rows_of, snapshot
from tests.world import World, seconds

LIST_1 = "https://issuer.example/status-lists/1"
GO = threading.Event()  # never set: nobody wants to stop


@pytest.fixture
def world() -> World:
    return World()


def some(world: World, count: int = 60, seed: int = 1) -> list[str]:
    return past(world, random.Random(seed), count)  # noqa: S311 - a past of a test


def refused(world: World, folder: Path, source: object, **more: object) -> str | None:
    """The code with which the snapshot is refused; the mirror is left empty, and the copy is gone."""
    mirror, begin = beginning(world, folder, source, **more)  # type: ignore[arg-type]
    begin.make(GO)
    assert mirror.empty
    assert [path.name for path in folder.iterdir() if "snapshot" in path.name] == []
    assert begin.error is not None
    begin.make(GO)  # and that is settled
    return begin.error


@pytest.mark.parametrize("seed", range(12))
def test_by_snapshot_and_by_fold_are_the_same_mirror(world: World, tmp_path: Path, seed: int) -> None:
    """Same tables, same digests, whatever the past, where it was cut, and whatever came while it was made."""
    drawn = random.Random(seed)  # noqa: S311 - pasts of a test
    before = past(world, drawn, drawn.randrange(1, 80))
    made = snapshot(world, folded(world, before), size=drawn.randrange(1, 12))
    during = past(world, drawn, drawn.randrange(20), len(before) + 1)
    after = [*during, made.named(world, len(before) + len(during) + 1)]
    after += past(world, drawn, drawn.randrange(20), len(before) + len(after) + 1)

    mirror, begin = beginning(world, tmp_path, Given(made))
    begin.make(GO)
    assert (mirror.position, mirror.empty, begin.error) == (len(before), False, None)
    assert mirror.denied() == ()  # nobody is denied on the word of a snapshot that the feed has not named
    whole = reached(world, folded(world, before), after)
    assert rows_of(reached(world, mirror, after)) == rows_of(whole)
    assert mirror.denied() == whole.denied()
    mirror.close()
    again = Mirror(tmp_path / "mirror.sqlite3", issuer=world.issuer)
    assert (rows_of(again), again.digest, again.as_of) == (rows_of(whole), whole.digest, whole.as_of)


def test_nothing_is_known_until_the_feed_has_named_the_snapshot(world: World, tmp_path: Path) -> None:
    before = [signed(world, change(world, EcardStatus.SUSPENDED), 1)]
    made = snapshot(world, folded(world, before))
    mirror, begin = beginning(world, tmp_path, Given(made))
    begin.make(GO)
    mirror.apply(believed(world, beat(world, 1, world.now - timedelta(seconds=2))))  # from before the event below
    with pytest.raises(CheckFailed, match="status_unknown"):
        mirror.read(LIST_1, 7)
    assert (mirror.as_of, mirror.live) == (None, False)
    reached(world, mirror, [made.named(world, 2)])
    assert (mirror.read(LIST_1, 7).value, mirror.live) == (EcardStatus.SUSPENDED, True)


def test_what_the_thief_of_an_event_key_made_is_refuted_by_the_feed(world: World, tmp_path: Path) -> None:
    """A lost card made good, under the true event's number and digest: no event names it."""
    before = [signed(world, change(world, EcardStatus.SUSPENDED), 1)]
    true = folded(world, before)
    lie = snapshot(world, folded(World(), []), seq=1, digest=true.digest)
    mirror, begin = beginning(world, tmp_path, Given(lie))
    begin.make(GO)
    assert mirror.position == 1
    other = snapshot(world, true, number=2)
    mirror.apply(believed(world, other.named(world, 2)))
    later = world.now + timedelta(seconds=61)
    world.now = later
    with pytest.raises(CheckFailed, match="feed_snapshot_refuted"):
        mirror.apply(believed(world, beat(world, 2, later)))
    with pytest.raises(CheckFailed, match="status_unknown"):
        mirror.read(LIST_1, 7)
    begin.refute("feed_snapshot_refuted")
    assert (mirror.empty, begin.error) == (True, "feed_snapshot_refuted")
    assert rows_of(mirror) == rows_of(Mirror(issuer=world.issuer))
    begin.make(GO)  # no other one is taken: it folds
    assert mirror.empty


def test_a_snapshot_of_another_past_is_noticed_by_the_first_event(world: World, tmp_path: Path) -> None:
    before = some(world)
    made = snapshot(world, folded(world, before), digest="A" * 43)
    mirror, begin = beginning(world, tmp_path, Given(made))
    begin.make(GO)
    with pytest.raises(CheckFailed, match="feed_rolled_back"):
        mirror.apply(believed(world, signed(world, change(world, EcardStatus.VALID), len(before) + 1)))


def test_a_mirror_with_a_position_takes_none(world: World, tmp_path: Path) -> None:
    before = some(world)
    source = Given(snapshot(world, folded(world, before)))
    for place, mirror in enumerate(
        (
            folded(world, before[:1], tmp_path / "one.sqlite3"),
            reached(world, Mirror(tmp_path / "two.sqlite3", issuer=world.issuer), []),  # a beat of an empty feed
        )
    ):
        _, begin = beginning(world, tmp_path, source, mirror=mirror)
        begin.make(GO)
        assert (mirror.position, begin.error) == (1 - place, None)
        with pytest.raises(Unavailable, match="mirror_in_use"):
            mirror.adopt(tmp_path / "any")
    assert source.manifests == 0


def test_no_snapshot_is_no_error(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mirror, begin = beginning(world, tmp_path, Given())
    with caplog.at_level(logging.INFO, "ecard.feed"):
        begin.make(GO)
        begin.make(GO)
    assert (mirror.empty, begin.error) == (True, None)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "feed: the issuer has no snapshot; folding from event 1")
    ]


OTHER = EphemeralSigner()


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"issuer": "https://other.example"}, "issuer_mismatch"),
        ({"stream": "1"}, "issuer_mismatch"),
        ({"status_uri": "https://other.example/{list}"}, "status_list_foreign"),
        ({"as_of": -LONGEST - 1}, "feed_snapshot_too_old"),
        ({"issued_at": 61}, "feed_snapshot_from_future"),
    ],
)
def test_manifests_of_another_subject_or_time_are_refused(
    world: World, tmp_path: Path, about: dict[str, object], code: str
) -> None:
    about = {name: seconds(world.now) + value if isinstance(value, int) else value for name, value in about.items()}
    made = snapshot(world, folded(world, some(world)), **about)  # type: ignore[arg-type]
    assert refused(world, tmp_path, Given(made)) == code


def test_a_day_old_is_not_too_old(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)), as_of=seconds(world.now) - LONGEST)
    mirror, begin = beginning(world, tmp_path, Given(made))
    begin.make(GO)
    assert (mirror.position, begin.error) == (60, None)


@pytest.mark.parametrize("which", ["stranger", "status_key", "credential_key"])
def test_signers_without_that_power_are_refused(world: World, tmp_path: Path, which: str) -> None:
    signer = OTHER if which == "stranger" else getattr(world, which)
    assert refused(world, tmp_path, Given(snapshot(world, folded(world, some(world)), signer=signer))) == "unknown_key"


def test_a_false_signature_is_refused(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)))
    head, body, signature = made.token.split(".")
    made.token = ".".join((head, body, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")))
    assert refused(world, tmp_path, Given(made)) == "bad_signature"


@pytest.mark.parametrize("cut_off", [None, -60, 60], ids=["for ever", "since before it", "since after it"])
def test_a_key_that_was_denied_signs_none_whatever_its_dates(world: World, tmp_path: Path, cut_off: int | None) -> None:
    """Unlike an event: after an event comes a chain that vouches for it."""
    made = snapshot(world, folded(world, some(world)))
    moment = None if cut_off is None else seconds(world.now) + cut_off
    body = denial(world.event_key, KeyPurpose.EVENT, moment)
    trust = FixedTrust(world.trust())
    trust.deny(world.issuer, [body.denied])
    assert refused(world, tmp_path, Given(made), trust=trust) == "key_compromised"


def test_a_key_that_is_denied_while_its_snapshot_comes_is_found_out(world: World, tmp_path: Path) -> None:
    made, trust = snapshot(world, folded(world, some(world))), FixedTrust(world.trust())
    source = Given(made)
    key = denial(world.event_key, KeyPurpose.EVENT).denied

    def denied(place: int) -> None:
        if place == 2:
            trust.deny(world.issuer, [key])

    source.before = denied
    assert refused(world, tmp_path, source, trust=trust) == "key_compromised"


def altered(place: int, change: Callable[[bytes], bytes]) -> Callable[[Snapshot], None]:
    def alter(made: Snapshot) -> None:
        made.chunks[place] = change(made.chunks[place])

    return alter


def swapped(made: Snapshot) -> None:
    made.chunks[0], made.chunks[1] = made.chunks[1], made.chunks[0]


@pytest.mark.parametrize(
    "alter",
    [
        altered(0, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        altered(3, lambda data: data + b"\0"),
        altered(-1, lambda data: data[:-1]),
        altered(1, lambda data: b""),
        swapped,
    ],
    ids=["a bit", "longer", "shorter", "empty", "another one"],
)
def test_a_chunk_that_is_not_the_named_one_is_refused(
    world: World, tmp_path: Path, alter: Callable[[Snapshot], None]
) -> None:
    made = snapshot(world, folded(world, some(world)))
    alter(made)
    assert refused(world, tmp_path, Given(made)) == "feed_snapshot_altered"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.CREDENTIALS, b"\0\0"),
        (Kind.CREDENTIALS, b"\0\x05abc"),
        (Kind.CREDENTIALS, b"\0\x03abc"),
        (Kind.CREDENTIALS, b"\xff\xff" + bytes(0xFFFF)),
        (Kind.STATUSES, b"\x80"),
        (Kind.STATUSES, b"\x03"),
        (Kind.STATUSES, b"\x80\x00"),
        (Kind.DENIED_KEYS, bytes(39)),
        (Kind.DENIED_KEYS, b"\xff" * 40),
        (Kind.DENIED_KEYS, bytes(80)),  # the same twice
    ],
)
def test_rows_that_no_fold_has_are_refused_though_they_are_signed(
    world: World, tmp_path: Path, kind: Kind, data: bytes
) -> None:
    made = snapshot(world, folded(world, some(world)), chunks=(Chunk.of(kind, data),))
    made.chunks = [data]
    assert refused(world, tmp_path, Given(made)) in ("bad_feed_snapshot", "bad_cwt")


def test_the_same_rows_in_two_chunks_are_refused(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)), size=1000)
    twice = [chunk for chunk in made.manifest.chunks for _ in range(2)]
    again = snapshot(world, folded(world, []), seq=60, digest=made.manifest.digest, chunks=tuple(twice))
    again.chunks = [data for data in made.chunks for _ in range(2)]
    assert refused(world, tmp_path, Given(again)) == "bad_feed_snapshot"


def test_a_manifest_that_is_no_manifest_is_refused(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)))
    for place, token in enumerate(("", "a.b.c", "x" * 5_000_000, signed(world, change(world, EcardStatus.VALID), 61))):
        folder = tmp_path / str(place)
        folder.mkdir()
        made.token = token
        assert refused(world, folder, Given(made)) in ("bad_feed_snapshot", "wrong_type")


def test_a_broken_download_goes_on_at_the_chunk_that_is_missing(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)))
    source = Given(made)
    away = Unavailable("feed_snapshot_unavailable", "broke off")
    source.faults = {2: [away], 4: [away, away]}
    elapsed = [0.0]
    mirror, begin = beginning(world, tmp_path, source, monotonic=lambda: elapsed[0])
    for elapsed[0] in (0.0, PATIENCE - 1, PATIENCE + 5):  # each chunk begins the patience anew
        with pytest.raises(Unavailable):
            begin.make(GO)
        assert mirror.empty
    begin.make(GO)
    assert (mirror.position, begin.error) == (60, None)
    assert [place for _, place in source.asked] == [0, 1, 2, 2, 3, 4, 4, 4, *range(5, len(made.chunks))]
    assert source.manifests == 1


def test_a_source_that_stays_away_holds_nobody_up(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elapsed = [0.0]
    mirror, begin = beginning(world, tmp_path, Away(), monotonic=lambda: elapsed[0])
    for elapsed[0] in (0.0, 1.0, PATIENCE - 1):
        with pytest.raises(Unavailable):
            begin.make(GO)
    elapsed[0] = PATIENCE
    begin.make(GO)
    assert (mirror.empty, begin.error) == (True, "feed_snapshot_unavailable")
    assert [record.getMessage() for record in caplog.records] == [
        "feed: the snapshot was refused (feed_snapshot_unavailable); folding from event 1"
    ]


def test_a_snapshot_that_was_replaced_meanwhile_is_begun_anew(world: World, tmp_path: Path) -> None:
    tokens = some(world)
    old, new = snapshot(world, folded(world, tokens[:40])), snapshot(world, folded(world, tokens), number=2)
    source = Given(old)

    def replaced(place: int) -> None:
        if place == 3:
            source.snapshots = [new]

    source.before = replaced
    mirror, begin = beginning(world, tmp_path, source)
    begin.make(GO)
    assert (mirror.position, begin.error, source.manifests) == (60, None, 2)
    assert rows_of(mirror)["status"] == rows_of(folded(world, tokens))["status"]


def test_an_issuer_whose_snapshots_never_stay_is_not_followed_for_ever(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)))
    source = Given(made)
    source.faults = {1: [NotFound("feed_snapshot_gone", "gone")] * 20}
    assert refused(world, tmp_path, source) == "feed_snapshot_gone"
    assert source.manifests == MOST_BEGUN


def test_whoever_stops_meanwhile_goes_on_after_a_restart(world: World, tmp_path: Path) -> None:
    made, stop = snapshot(world, folded(world, some(world))), threading.Event()
    source = Given(made)

    def stopped(place: int) -> None:
        if place == 2:
            stop.set()

    source.before = stopped
    mirror, begin = beginning(world, tmp_path, source)
    begin.make(stop)
    assert mirror.empty
    mirror.close()
    mirror, begin = beginning(world, tmp_path, source)
    begin.make(GO)
    assert mirror.position == 60
    assert [place for _, place in source.asked] == list(range(len(made.chunks)))


@pytest.mark.parametrize("spoil", ["denied", "old", "damaged"])
def test_a_part_that_may_no_longer_be_taken_is_thrown_away(world: World, tmp_path: Path, spoil: str) -> None:
    tokens = some(world)
    first, stop = snapshot(world, folded(world, tokens[:40])), threading.Event()
    source = Given(first)
    source.before = lambda place: stop.set() if place == 2 else None
    mirror, begin = beginning(world, tmp_path, source)
    begin.make(stop)
    mirror.close()
    source.before = lambda place: None
    trust, moment = FixedTrust(world.trust()), world.now
    successor = EphemeralSigner()
    if spoil == "denied":
        trust = FixedTrust(world.trust([*world.records(), successor.record(KeyPurpose.EVENT)]))
        trust.deny(world.issuer, [denial(world.event_key, KeyPurpose.EVENT).denied])
        second = snapshot(world, folded(world, tokens), number=2, signer=successor)
    elif spoil == "old":
        moment = world.now + timedelta(seconds=LONGEST + 1)
        second = snapshot(world, folded(world, tokens), number=2, as_of=seconds(moment), issued_at=seconds(moment))
    else:
        copy = tmp_path / "mirror.sqlite3.snapshot"
        copy.write_bytes(b"x" * copy.stat().st_size)
        second = snapshot(world, folded(world, tokens), number=2)
    source.snapshots.append(second)
    source.asked.clear()
    mirror, begin = beginning(world, tmp_path, source, trust=trust, now=moment)
    begin.make(GO)
    assert (mirror.position, begin.error) == (60, None)
    assert source.asked == [(2, place) for place in range(len(second.chunks))]


def test_without_a_trust_list_nothing_is_settled(world: World, tmp_path: Path) -> None:
    source = Given(snapshot(world, folded(world, some(world))))
    mirror, begin = beginning(world, tmp_path, source, trust=FixedTrust(None))
    for _ in range(10):
        with pytest.raises(CheckFailed, match="trust_missing"):
            begin.make(GO)
    assert (mirror.empty, begin.error) == (True, None)


def test_a_newer_list_may_know_the_signer(world: World, tmp_path: Path) -> None:
    class Renewed(FixedTrust):
        def refresh(self) -> bool:
            self._trust: Trust | None = world.trust()
            return True

    old = Renewed(world.trust([world.status_key.record(KeyPurpose.STATUS)]))
    mirror, begin = beginning(world, tmp_path, Given(snapshot(world, folded(world, some(world)))), trust=old)
    begin.make(GO)
    assert (mirror.position, begin.error) == (60, None)


def test_a_disk_that_is_full_is_no_snapshots_fault_at_first(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise Unavailable("mirror_unavailable", "full")

    monkeypatch.setattr("ecard_verifier.mirror_copy.MirrorCopy.add", full)
    mirror, begin = beginning(world, tmp_path, Given(snapshot(world, folded(world, some(world)))))
    with pytest.raises(Unavailable, match="mirror_unavailable"):
        begin.make(GO)
    monkeypatch.undo()
    begin.make(GO)
    assert mirror.position == 60


def test_a_log_of_another_verifier_is_never_played_into_the_new_file(world: World, tmp_path: Path) -> None:
    made = snapshot(world, folded(world, some(world)))
    mirror, begin = beginning(world, tmp_path, Given(made))
    other = Mirror(tmp_path / "mirror.sqlite3", issuer=world.issuer)
    other.apply(believed(world, signed(world, change(world, EcardStatus.VALID), 1)))
    with pytest.raises(Unavailable, match="mirror_in_use"):
        begin.make(GO)
    assert rows_of(mirror) == rows_of(other)


def test_what_a_refusal_says_names_nobody(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = snapshot(world, folded(world, some(world)))
    swapped(made)
    assert refused(world, tmp_path, Given(made)) == "feed_snapshot_altered"
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "feed_snapshot_altered" in said
    assert made.manifest.digest not in said
    assert not any(chunk.sha256 in said for chunk in made.manifest.chunks)


@pytest.mark.parametrize(
    "where",
    [
        "ecard_verifier.mirror_copy.MirrorCopy.begin",
        "ecard_verifier.mirror_copy.MirrorCopy.add",
        "ecard_verifier.mirror_copy.MirrorCopy.complete",
        "ecard_verifier.mirror.Mirror.adopt",
        "os.replace",
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere_it_goes_on_and_comes_to_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, after: bool
) -> None:
    """By SIGKILL in a process of its own: no handler, no `finally`, no closing of files."""
    tokens = some(world)
    made = snapshot(world, folded(world, tokens))
    source = Given(made)
    child = os.fork()
    if child == 0:
        _, begin = beginning(world, tmp_path, source)
        kill_at(monkeypatch, where, after=after, turn=3 if where.endswith("add") else 1)
        begin.make(GO)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    mirror, begin = beginning(world, tmp_path, source)
    begin.make(GO)
    assert (mirror.position, begin.error) == (60, None)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(("snapshot", "journal"))] == []
    if where.endswith(".add"):  # the child asked for the others, in a memory of its own
        assert [place for _, place in source.asked] == list(range(2 + after, len(made.chunks)))
    named = [made.named(world, 61)]
    assert rows_of(reached(world, mirror, named)) == rows_of(reached(world, folded(world, tokens), named))


def kill_at(monkeypatch: pytest.MonkeyPatch, where: str, *, after: bool, turn: int) -> None:
    """Have the process end at the `turn`th call of `where`, before or after it is done."""
    home, _, name = where.rpartition(".")
    owner: object = os if home == "os" else getattr(sys.modules[home.rpartition(".")[0]], home.rpartition(".")[2])
    real, calls = getattr(owner, name), [0]

    def killed(*args: object) -> object:
        calls[0] += 1
        if calls[0] == turn and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*args)
        if calls[0] == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    monkeypatch.setattr(owner, name, killed)


@pytest.mark.parametrize(("lies", "asked", "error"), [(False, [1, 2], None), (True, [1, 0], "feed_snapshot_refuted")])
def test_the_follower_begins_with_it_and_says_how(
    world: World, tmp_path: Path, lies: bool, asked: list[int], error: str | None
) -> None:
    """All of it together, and a lie that the feed refutes: it folds from event 1 after all."""
    values = (EcardStatus.VALID, EcardStatus.SUSPENDED)
    tokens = [signed(world, change(world, value), seq) for seq, value in enumerate(values, 1)]
    true = snapshot(world, folded(world, tokens))
    false = snapshot(world, folded(world, []), seq=2, digest=true.manifest.digest)
    named, late = true.named(world, 3), signed(world, FeedBeat(seconds(world.now) + 62), 3)
    mirror, begin = beginning(world, tmp_path, Given(false if lies else true), now=world.now + timedelta(seconds=1))
    feed, trust, now = (
        ScriptedFeed([tokens[1], named, late], [*tokens, named, late]),
        FixedTrust(world.trust()),
        world.now,
    )
    follower = Follower(mirror, feed, trust, lambda: now + timedelta(seconds=5), jitter=lambda: 0.0, beginning=begin)
    follower.start()
    try:
        assert feed.finished.wait(10)
    finally:
        feed.stop.set()
        follower.stop()
    assert (feed.asked[:2], follower.state.snapshot_error) == (asked, error)
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED
