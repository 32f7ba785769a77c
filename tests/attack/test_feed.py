"""The live feed under attack: a host without keys, an event key stolen after its time, numbers out of place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import CheckFailed, EcardError
from ecard_card.status import EcardStatus
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust.trust import Trust
from ecard_qr import payload
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import CredentialIssued, FeedBeat, OtherEvent, TrustListPublished, verify_event
from ecard_verifier.follower import Follower
from ecard_verifier.http_feed import HttpFeed
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome
from tests.attack.kit import judge, jws
from tests.verifier.feed_kit import ScriptedFeed, beat, believed, caught_up, change, signed
from tests.world import NOW, World, seconds

WORLD = World()
DEVICE = DeviceKey.generate()
COMPACT = WORLD.compact(WORLD.credential(DEVICE))
LIST_1 = WORLD.status_uri.replace("{list}", "1")
LONG_AGO = NOW - timedelta(days=3)


def fold(mirror: Mirror, texts: list[str], trust: Trust | None = None, now: datetime = NOW) -> None:
    """As the follower does: verify, fold, and stop at the first message that is refused."""
    try:
        for text in texts:
            mirror.apply(verify_event(text, trust or WORLD.trust(), now))
    except EcardError:
        return


def scan(mirror: Mirror, now: datetime = NOW) -> Outcome:
    return judge(WORLD, DEVICE.offline_code(COMPACT, now), now=now, statuses=mirror, policy=ONLINE_POLICY).outcome


def rotated(state: KeyState, **times: int) -> Trust:
    """A list on which the event key is no longer in use, with a new one beside it."""
    credential, status, event = WORLD.records()
    new = World().event_key.record(KeyPurpose.EVENT)
    return WORLD.trust((credential, status, replace(event, state=state, **times), new))  # type: ignore[arg-type]


RETIRED = [
    (KeyState.VERIFY_ONLY, {"retired_from": seconds(NOW - timedelta(days=1))}),
    (KeyState.COMPROMISED, {"compromised_from": seconds(NOW - timedelta(days=1))}),
]


@pytest.mark.parametrize(("state", "times"), RETIRED)
def test_an_event_key_that_signs_no_more_cannot_say_what_is_true_now(state: KeyState, times: dict[str, int]) -> None:
    """The thief dates the token into the key's life; the time that the beat vouches for is today."""
    trust = rotated(state, **times)
    mirror = Mirror(issuer=WORLD.issuer)
    fold(mirror, [signed(WORLD, FeedBeat(seconds(NOW)), 0, at=LONG_AGO)], trust)
    assert mirror.as_of is None or mirror.as_of < seconds(NOW) - 900
    code = DEVICE.offline_code(COMPACT, NOW)
    verdict = judge(WORLD, code, trust=trust, statuses=mirror, policy=ONLINE_POLICY)
    assert verdict.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(("state", "times"), RETIRED)
def test_an_event_key_that_signs_no_more_cannot_go_on_with_the_stream(state: KeyState, times: dict[str, int]) -> None:
    """A lost card was reported under the new key; a release dated before the rotation must not follow it."""
    trust = rotated(state, **times)
    lost = believed(WORLD, signed(WORLD, change(WORLD, EcardStatus.SUSPENDED), 1))
    mirror = caught_up(WORLD)
    mirror.apply(lost)
    fold(mirror, [signed(WORLD, change(WORLD, EcardStatus.VALID), 2, at=LONG_AGO)], trust)
    assert mirror.read(LIST_1, 7).value == EcardStatus.SUSPENDED


def history(count: int, at: datetime) -> list[str]:
    return [signed(WORLD, OtherEvent("nothing-public"), seq, at=at) for seq in range(1, count + 1)]


def test_an_old_feed_replayed_to_a_new_mirror_knows_nothing_of_today() -> None:
    """A host without keys: everything it plays was once signed. The report of the loss came after."""
    mirror = Mirror(issuer=WORLD.issuer)
    fold(mirror, [*history(3, LONG_AGO), beat(WORLD, 3, LONG_AGO)])
    assert mirror.read(LIST_1, 7).as_of == seconds(LONG_AGO)
    assert scan(mirror) is Outcome.UNDECIDED


def test_todays_beat_does_not_freshen_an_old_feed_that_was_cut_short() -> None:
    mirror = Mirror(issuer=WORLD.issuer)
    fold(mirror, [*history(3, LONG_AGO), beat(WORLD, 3, LONG_AGO), beat(WORLD, 4, NOW)])
    assert (scan(mirror), mirror.live) == (Outcome.UNDECIDED, False)


def test_an_old_beat_of_the_empty_stream_does_not_open_a_new_mirror() -> None:
    mirror = Mirror(issuer=WORLD.issuer)
    fold(mirror, [beat(WORLD, 0, LONG_AGO)])
    assert scan(mirror) is Outcome.UNDECIDED


def test_a_new_event_does_not_make_older_silence_younger() -> None:
    """Only a beat says that nothing is missing: a report still held by a fallen worker is older than this event."""
    mirror = caught_up(WORLD)
    later = NOW + timedelta(minutes=20)
    fold(mirror, [signed(WORLD, OtherEvent("nothing-public"), 1, at=later)], now=later)
    assert mirror.position == 1
    assert mirror.read(LIST_1, 7).as_of == seconds(NOW)


@pytest.mark.parametrize("seq", [0, -1, True, 1.0, "1", None, 2, 3, 2**53 - 1, 2**53, 2**64, [1]])
def test_a_signed_event_with_a_number_out_of_place_changes_nothing(seq: object) -> None:
    mirror = caught_up(WORLD)
    name = f"{WORLD.issuer}/secevent/ecard/event-type/status-changed"
    where = {"uri": LIST_1, "idx": 7}
    members = {"status": 2, "status_list": where, "card_event": "report_loss", "sequence": 1}
    claims = {"iss": WORLD.issuer, "jti": "x", "iat": seconds(NOW), "feed": {"stream": "0", "seq": seq, "prev": "-"}}
    header = {"alg": "ES256", "kid": WORLD.event_key.key_id, "typ": "secevent+jwt"}
    text = jws(WORLD.event_key, header, claims | {"events": {name: members}})
    with pytest.raises(EcardError):
        mirror.apply(verify_event(text, WORLD.trust(), NOW))
    assert (mirror.position, mirror.read(LIST_1, 7).value) == (0, EcardStatus.VALID)


def test_a_change_for_another_list_of_the_issuer_touches_only_that_list() -> None:
    mirror = caught_up(WORLD)
    fold(mirror, [signed(WORLD, change(WORLD, EcardStatus.INVALID, 7, list_id=2), 1)])
    assert mirror.read(LIST_1, 7).value == EcardStatus.VALID
    assert mirror.read(WORLD.status_uri.replace("{list}", "2"), 7).value == EcardStatus.INVALID


@pytest.mark.parametrize("number", ["01", "0000000001"])
def test_another_spelling_of_a_lists_number_does_not_hide_what_is_known_of_it(number: str) -> None:
    mirror = caught_up(WORLD)
    fold(mirror, [signed(WORLD, change(WORLD, EcardStatus.SUSPENDED), 1)])
    try:
        assert mirror.read(WORLD.status_uri.replace("{list}", number), 7).value == EcardStatus.SUSPENDED
    except EcardError:
        return


@pytest.mark.parametrize("number", ["１", "1/", "1?x", "+1", "-1", " 1", "1\n", "1_0", "", "99999999999", "1%31", "²"])
def test_an_address_that_is_no_list_of_the_issuer_is_unknown(number: str) -> None:
    with pytest.raises(EcardError, match="status_unknown"):
        caught_up(WORLD).read(WORLD.status_uri.replace("{list}", number), 7)


def test_a_credential_that_an_event_key_thief_announces_is_not_valid_without_the_credential_keys_signature() -> None:
    forged = WORLD.compact(WORLD.credential(DEVICE), WORLD.event_key)
    mirror = caught_up(WORLD)
    fold(mirror, [signed(WORLD, CredentialIssued(forged), 1), beat(WORLD, 1, NOW + timedelta(seconds=1))])
    code = DEVICE.online_code(forged, NOW)
    verdict = judge(WORLD, code, statuses=mirror, credentials=mirror, policy=ONLINE_POLICY)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "key_wrong_purpose")


def test_a_line_kept_open_without_beats_is_a_broken_line() -> None:
    """Else the mirror counts as live for ever, and a card issued meanwhile is refused as one that does not exist."""
    clock = [0.0]
    pulled = 0

    class Comments(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal pulled
            for _ in range(20_000):
                pulled += 1
                clock[0] += 1.0
                yield b": still here\n\n"

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Comments())

    feed = HttpFeed(
        "https://issuer.example/v1/feed", "token", transport=httpx2.MockTransport(answer), monotonic=lambda: clock[0]
    )
    with pytest.raises(EcardError, match="feed_unavailable"):
        list(feed.events(0))
    assert pulled < 100


def test_a_feed_that_announces_huge_versions_and_odd_events_does_not_end_the_follower() -> None:
    mirror = Mirror(issuer=WORLD.issuer)
    feed = ScriptedFeed(
        [signed(WORLD, TrustListPublished(2**53 - 1), 1), "\ud800", signed(WORLD, OtherEvent("x" * 400), 2)],
        ["." * 20_000, "{}", ""],
        [signed(WORLD, OtherEvent("later"), 2), beat(WORLD, 2)],
    )
    follower = Follower(mirror, feed, FixedTrust(WORLD.trust()), lambda: NOW, jitter=lambda: 0.0)
    follower.start()
    try:
        assert feed.finished.wait(10)
        assert (mirror.position, mirror.as_of) == (2, seconds(NOW))
    finally:
        feed.stop.set()
        follower.stop()


@pytest.mark.parametrize("kid", [None, "", "\x00", "0" * 300, 7])
def test_an_event_with_an_odd_key_id_is_refused_with_our_error(kid: object) -> None:
    header = {"alg": "ES256", "typ": "secevent+jwt", "kid": kid}
    claims = {"iss": WORLD.issuer, "jti": "x", "iat": seconds(NOW), "feed": {"stream": "0", "seq": 0, "prev": "-"}}
    name = f"{WORLD.issuer}/secevent/ecard/event-type/feed-beat"
    text = jws(WORLD.event_key, header, claims | {"events": {name: {"at": seconds(NOW)}}})
    with pytest.raises(EcardError):
        verify_event(text, WORLD.trust(), NOW)


def test_a_short_code_names_a_credential_and_not_a_text() -> None:
    """Nothing in an id can be read as part of a question to the mirror's file."""
    mirror = caught_up(WORLD)
    for sixteen in (b"' OR 1=1 --     ", bytes(16), b"\xff" * 16):
        assert mirror.get(sixteen) is None
    assert payload.decode(DEVICE.online_code(COMPACT, NOW))[0] is payload.Form.ONLINE


def test_a_record_of_a_key_in_state_compromised_without_a_date_is_believed_in_nothing() -> None:
    credential, status, event = WORLD.records()
    for lost in (replace(event, state=KeyState.COMPROMISED), replace(event, compromised_from=0)):
        assert isinstance(lost, KeyRecord)
        trust = WORLD.trust((credential, status, lost))
        for at in (NOW, LONG_AGO, datetime.fromtimestamp(0, tz=NOW.tzinfo)):
            with pytest.raises(EcardError, match="key_compromised"):
                verify_event(signed(WORLD, FeedBeat(seconds(at)), 0, at=at), trust, NOW)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["change", "beat"]),
        st.integers(0, 4),
        st.sampled_from(list(EcardStatus)),
        st.integers(-90, 60),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_no_order_of_signed_messages_revives_a_card_or_makes_old_knowledge_young(
    steps: list[tuple[str, int, EcardStatus, int]],
) -> None:
    """A host without keys may drop, repeat and reorder what the issuer signed, and nothing else."""
    mirror = Mirror(issuer=WORLD.issuer)
    ended, beats, position, as_of = False, [0], 0, 0
    for kind, seq, status, offset in steps:
        at = NOW + timedelta(seconds=offset)
        text = beat(WORLD, seq, at) if kind == "beat" else signed(WORLD, change(WORLD, status), seq, at=at)
        before = mirror.position
        try:
            mirror.apply(believed(WORLD, text))
        except EcardError:
            assert mirror.position == before
            continue
        if kind == "beat":
            beats.append(seconds(at))
        ended = ended or (mirror.position > before and status is EcardStatus.INVALID)
        assert mirror.position >= position
        assert (mirror.as_of or 0) >= as_of
        assert (mirror.as_of or 0) <= max(beats)
        position, as_of = mirror.position, mirror.as_of or 0
        if mirror.as_of is not None and ended:
            assert mirror.read(LIST_1, 7).value == EcardStatus.INVALID
    mirror.close()


def test_a_fresh_mirror_believes_no_past_that_the_present_key_refutes() -> None:
    """A host with a stolen old event key makes up a past without the loss, and relays the issuer's real beats."""
    world = World()
    honest = signed(world, change(world, EcardStatus.SUSPENDED), 1)
    real_beat = beat(world, 1)
    forged = signed(world, OtherEvent("nothing-public"), 1)
    mirror = Mirror(issuer=world.issuer)
    mirror.apply(verify_event(forged, world.trust(), NOW))
    with pytest.raises(CheckFailed, match="feed_rolled_back"):
        mirror.apply(verify_event(real_beat, world.trust(), NOW))
    assert mirror.as_of is None
    assert not mirror.live
    truthful = Mirror(issuer=world.issuer)
    truthful.apply(verify_event(honest, world.trust(), NOW))
    assert truthful.apply(verify_event(real_beat, world.trust(), NOW))
