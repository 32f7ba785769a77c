"""The mirror: the fold of a feed, never ahead of it and never behind without saying so."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import CheckFailed, EcardError, InvalidInput, Unavailable
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust import Trust
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.feed import CredentialIssued, FeedBeat, OtherEvent, TrustListPublished, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.verdict import Outcome, Verdict
from tests.verifier.feed_kit import beat, believed, caught_up, change, denial, signed
from tests.world import NOW, World, seconds

LIST_1 = "https://issuer.example/status-lists/1"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def code_of(error: pytest.ExceptionInfo[EcardError]) -> str:
    return error.value.code


def refusal(mirror: Mirror, uri: str = LIST_1, index: int = 7) -> str:
    with pytest.raises(EcardError) as caught:
        mirror.read(uri, index)
    return code_of(caught)


def test_before_the_first_beat_no_status_is_known(world: World) -> None:
    mirror = Mirror()
    assert refusal(mirror) == "status_unknown"
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.VALID), 1)))
    assert refusal(mirror) == "status_unknown"
    mirror.apply(believed(world, beat(world, 2)))  # event 2 has not come yet
    assert refusal(mirror) == "status_unknown"
    mirror.apply(believed(world, beat(world, 1)))
    assert mirror.read(LIST_1, 7).value == EcardStatus.VALID


def test_a_change_is_what_the_next_reading_says(world: World) -> None:
    mirror = caught_up(world)
    for seq, status in enumerate((EcardStatus.SUSPENDED, EcardStatus.VALID, EcardStatus.SUSPENDED), 1):
        assert mirror.apply(believed(world, signed(world, change(world, status), seq)))
        assert mirror.read(LIST_1, 7).value == status
    assert mirror.read(LIST_1, 8).value == EcardStatus.VALID


def test_as_of_is_the_time_of_the_last_beat_that_was_reached(world: World) -> None:
    mirror = caught_up(world)
    later = NOW + timedelta(seconds=20)
    mirror.apply(believed(world, beat(world, 0, later)))
    reading = mirror.read(LIST_1, 7)
    assert (reading.as_of, reading.expires_at) == (seconds(later), None)
    mirror.apply(believed(world, beat(world, 1, NOW + timedelta(seconds=40))))
    assert mirror.read(LIST_1, 7).as_of == seconds(later), "a beat whose events have not come proves nothing"


def test_final_means_final(world: World) -> None:
    mirror = caught_up(world)
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.INVALID), 1)))
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.VALID), 2)))
    assert mirror.read(LIST_1, 7).value == EcardStatus.INVALID


def test_a_list_of_somebody_else_is_unknown(world: World) -> None:
    mirror = caught_up(world)
    for uri in ("https://other.example/status-lists/1", LIST_1 + "/x", "https://issuer.example/status-lists/", ""):
        assert refusal(mirror, uri) == "status_unknown"


@pytest.mark.parametrize("index", [-1, 1 << 20, 1 << 40])
def test_an_index_past_the_end_is_never_valid(world: World, index: int) -> None:
    assert refusal(caught_up(world), index=index) == "status_index_out_of_range"


def test_a_gap_is_refused_and_changes_nothing(world: World) -> None:
    mirror = caught_up(world)
    with pytest.raises(CheckFailed) as caught:
        mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 2)))
    assert code_of(caught) == "feed_gap"
    assert (mirror.position, mirror.read(LIST_1, 7).value) == (0, EcardStatus.VALID)


def test_an_old_event_replayed_changes_nothing(world: World) -> None:
    mirror = caught_up(world)
    released = believed(world, signed(world, change(world, EcardStatus.VALID), 1))
    lost = believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 2))
    mirror.apply(released)
    mirror.apply(lost)
    assert mirror.apply(released) is False
    assert mirror.apply(lost) is False
    assert (mirror.position, mirror.read(LIST_1, 7).value) == (2, EcardStatus.SUSPENDED)


def test_an_old_beat_replayed_makes_nothing_younger(world: World) -> None:
    mirror = caught_up(world)
    old = believed(world, beat(world, 0, NOW))
    mirror.apply(believed(world, beat(world, 0, NOW + timedelta(seconds=30))))
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1)))
    assert mirror.apply(old) is False
    assert mirror.as_of == seconds(NOW) + 30


def test_an_event_of_another_issuer_or_stream_is_refused(world: World) -> None:
    other = World(issuer="https://other.example", status_uri="https://other.example/s/{list}")
    mirror = caught_up(world)
    foreign = believed(other, signed(other, change(other, EcardStatus.SUSPENDED), 1))
    side = believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1, stream="1"))
    for event in (foreign, side):
        with pytest.raises(CheckFailed) as caught:
            mirror.apply(event)
        assert code_of(caught) == "issuer_mismatch"
    assert mirror.position == 0


def test_a_stream_that_was_set_back_is_noticed(world: World) -> None:
    mirror = caught_up(world)
    for seq in (1, 2):
        mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), seq)))
    later = NOW + timedelta(seconds=90)
    for text in (
        beat(world, 1, later),
        signed(world, change(world, EcardStatus.VALID), 2, event_id="another"),
    ):
        with pytest.raises(CheckFailed) as caught:
            mirror.apply(verify_event(text, world.trust(), later))
        assert code_of(caught) == "feed_rolled_back"
    assert mirror.as_of == seconds(NOW)


def test_a_beat_from_before_the_last_event_proves_nothing_either_way(world: World) -> None:
    mirror = caught_up(world)
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1)))
    assert mirror.apply(believed(world, beat(world, 0, NOW + timedelta(seconds=2)))) is False
    assert (mirror.as_of, mirror.live) == (seconds(NOW), False)
    mirror.apply(believed(world, beat(world, 1, NOW + timedelta(seconds=3))))
    assert (mirror.as_of, mirror.live) == (seconds(NOW) + 3, True)


def test_events_without_a_status_take_their_place_in_the_count(world: World) -> None:
    mirror = caught_up(world)
    mirror.apply(believed(world, signed(world, TrustListPublished(1), 1)))
    mirror.apply(believed(world, signed(world, OtherEvent("of-tomorrow"), 2)))
    assert mirror.position == 2


def test_a_credential_is_found_by_its_id_and_its_absence_is_only_known_to_a_live_mirror(world: World) -> None:
    credential = world.credential(DeviceKey.generate())
    compact = world.compact(credential)
    mirror = Mirror()
    with pytest.raises(CheckFailed) as caught:
        mirror.get(credential.credential_id)
    assert code_of(caught) == "mirror_behind"
    mirror.apply(believed(world, signed(world, CredentialIssued(compact), 1)))
    assert mirror.get(credential.credential_id) == compact
    mirror.apply(believed(world, beat(world, 1)))
    assert mirror.get(bytes(16)) is None
    mirror.disconnected()
    with pytest.raises(CheckFailed):
        mirror.get(bytes(16))


def test_what_was_folded_survives_a_restart_with_its_true_age(world: World, tmp_path: Path) -> None:
    path = tmp_path / "mirror.sqlite3"
    first = caught_up(world, Mirror(path, issuer=world.issuer))
    first.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1)))
    first.close()
    second = Mirror(path, issuer=world.issuer)
    assert second.position == 1
    reading = second.read(LIST_1, 7)
    assert (reading.value, reading.as_of) == (EcardStatus.SUSPENDED, seconds(NOW))
    assert second.live is False
    second.close()
    with pytest.raises(Unavailable):
        Mirror(path, issuer="https://other.example")


def test_a_broken_file_is_unavailable_and_never_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "mirror.sqlite3"
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(Unavailable):
        Mirror(path)


def judge(world: World, mirror: Mirror, after: float) -> Verdict:
    now = NOW + timedelta(seconds=after)
    device = DeviceKey.generate()
    code = device.offline_code(world.compact(world.credential(device)), now)
    return check(code, world.trust(), mirror, now, ONLINE_POLICY)


def test_a_silent_feed_ages_to_check_and_then_to_undecided(world: World) -> None:
    mirror = caught_up(world)
    assert judge(world, mirror, 2).outcome is Outcome.VALID
    aging, stale = judge(world, mirror, 30), judge(world, mirror, 16 * 60)
    assert (aging.outcome, aging.reason) == (Outcome.CHECK, "status_aging")
    assert (stale.outcome, stale.reason) == (Outcome.UNDECIDED, "status_stale")
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.INVALID), 1)))
    assert judge(world, mirror, 16 * 60).reason == "ended", "final is final however old"


def test_a_code_whose_index_is_past_the_end_is_not_valid(world: World) -> None:
    device = DeviceKey.generate()
    credential = world.credential(device)
    beyond = replace(credential, status=replace(credential.status, index=1 << 20))
    verdict = check(device.offline_code(world.compact(beyond), NOW), world.trust(), caught_up(world), NOW)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "status_index_out_of_range")


def test_many_readers_and_one_writer_never_see_a_state_between_two_events(world: World) -> None:
    mirror = caught_up(world)
    events = [
        believed(world, signed(world, change(world, (EcardStatus.SUSPENDED, EcardStatus.VALID)[seq % 2]), seq))
        for seq in range(1, 101)
    ]
    seen: set[int] = set()
    faults: list[BaseException] = []
    done = threading.Event()

    def reader() -> None:
        try:
            while not done.is_set():
                seen.add(mirror.read(LIST_1, 7).value)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            faults.append(error)

    threads = [threading.Thread(target=reader) for _ in range(4)]
    for thread in threads:
        thread.start()
    for event in events:
        mirror.apply(event)
    done.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert seen <= {0, 2}
    assert mirror.position == 100


def test_a_beat_is_not_an_event(world: World) -> None:
    mirror = caught_up(world)
    assert mirror.apply(believed(world, signed(world, FeedBeat(seconds(NOW) + 1), 0))) is True
    assert mirror.position == 0


def test_reading_is_strict_about_the_index_type(world: World) -> None:
    with pytest.raises(InvalidInput):
        caught_up(world).read(LIST_1, 1 << 62)


def test_an_event_that_follows_another_past_is_refused(world: World) -> None:
    mirror = caught_up(world)
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1)))
    elsewhere = signed(world, change(world, EcardStatus.VALID), 2, previous="another-past")
    with pytest.raises(CheckFailed, match="feed_rolled_back"):
        mirror.apply(believed(world, elsewhere))
    assert mirror.position == 1


def test_two_mirrors_on_one_file_do_not_undo_each_other(world: World, tmp_path: Path) -> None:
    """A slower one would fold an older state over a newer one, and the faster would read it as its own."""
    fast, slow = Mirror(tmp_path / "mirror"), Mirror(tmp_path / "mirror")
    lost = believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1))
    fast.apply(lost)
    with pytest.raises(Unavailable, match="mirror_in_use"):
        slow.apply(lost)
    fast.apply(believed(world, beat(world, 1)))
    assert fast.read("https://issuer.example/status-lists/1", 7).value == EcardStatus.SUSPENDED


def cut_offs(mirror: Mirror) -> list[int | None]:
    return [key.cut_off for key in mirror.denied()]


def test_denied_keys_survive_a_restart_and_only_the_strictest_word_counts(world: World, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", issuer=world.issuer)
    assert mirror.denied() == ()
    moments = (seconds(NOW) - 10, seconds(NOW) - 60, seconds(NOW) - 5)
    for seq, cut_off in enumerate(moments, 1):
        mirror.apply(believed(world, signed(world, denial(world.credential_key, KeyPurpose.CREDENTIAL, cut_off), seq)))
    assert cut_offs(mirror) == [moments[1]]
    mirror.close()
    again = Mirror(tmp_path / "mirror", issuer=world.issuer)
    assert cut_offs(again) == [moments[1]]
    again.apply(believed(world, signed(world, denial(world.credential_key, KeyPurpose.CREDENTIAL, None), 4)))
    assert cut_offs(again) == [None]


class Successor:
    """The world after its event key was stolen: events 1 and 2 are by the stolen key, what follows by the next."""

    def __init__(self) -> None:
        self.world, self.fresh = World(), EphemeralSigner()
        stolen = replace(self.world.event_key.record(KeyPurpose.EVENT), state=KeyState.COMPROMISED)
        others = self.world.records()[:2]
        self.trust: Trust = self.world.trust([*others, stolen, self.fresh.record(KeyPurpose.EVENT)])
        self.past = [
            signed(self.world, change(self.world, EcardStatus.SUSPENDED), 1),
            signed(self.world, denial(self.world.status_key, KeyPurpose.STATUS), 2),
        ]

    def apply(self, mirror: Mirror, text: str) -> bool:
        return mirror.apply(verify_event(text, self.trust, NOW + timedelta(seconds=5)))

    def beat(self, seq: int, previous: str | None = None) -> str:
        body = FeedBeat(seconds(NOW) + 5)
        return signed(self.world, body, seq, signer=self.fresh, previous=previous)


def test_a_new_mirror_gets_past_a_stolen_event_key_and_knows_nothing_before_a_good_one_vouches_for_it() -> None:
    after = Successor()
    mirror = Mirror(issuer=after.world.issuer)
    for text in after.past:
        after.apply(mirror, text)
    assert (refusal(mirror), mirror.denied()) == ("status_unknown", ())
    assert after.apply(mirror, after.beat(2))
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED
    assert cut_offs(mirror) == [None]


def test_a_past_that_the_thief_wrote_is_refuted_by_the_first_beat_of_the_successor() -> None:
    after = Successor()
    mirror = Mirror(issuer=after.world.issuer)
    true_past = after.beat(2)
    forged = signed(after.world, change(after.world, EcardStatus.VALID), 1, event_id="the thief's", previous="-")
    after.apply(mirror, forged)
    after.apply(mirror, signed(after.world, denial(after.world.credential_key, KeyPurpose.CREDENTIAL), 2))
    with pytest.raises(CheckFailed, match="feed_rolled_back"):
        after.apply(mirror, true_past)
    assert (refusal(mirror), mirror.denied()) == ("status_unknown", ())


def test_a_mirror_that_knew_a_lot_knows_nothing_while_a_stolen_key_has_the_last_word() -> None:
    after = Successor()
    mirror = caught_up(after.world)
    assert mirror.live
    after.apply(mirror, after.past[0])
    assert (refusal(mirror), mirror.live, mirror.as_of) == ("status_unknown", False, None)
    after.apply(mirror, after.past[1])
    after.apply(mirror, after.beat(2))
    assert (mirror.read(LIST_1, 7).value, mirror.live) == (EcardStatus.SUSPENDED, True)
