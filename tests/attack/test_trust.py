"""The trust list under attack: keys claimed twice, lists set back, documents that cost more than they are worth."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from ecard_card import cwt, jose
from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust import trust_list
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList, open_trust_list
from ecard_keys.verify import load_public_key, verify
from ecard_sdk.device import DeviceKey
from ecard_verifier.config import FetchStatuses
from ecard_verifier.feed import verify_event
from ecard_verifier.http_feed import HttpFeed
from ecard_verifier.http_statuses import HttpStatuses
from ecard_verifier.mirror import Mirror
from ecard_verifier.statuses import StatusSnapshot, accept_status_token
from ecard_verifier.trust_source import LONGEST_WAIT, FixedTrust, HttpTrustList, TrustSource
from ecard_verifier.verdict import Outcome
from tests.attack.kit import cost, entry, judge, other_world, trust_in
from tests.attack.second_key import second_key
from tests.root_holders import Holder, sign_list
from tests.verifier.feed_kit import beat
from tests.world import NOW, World, seconds

WORLD = World()
OTHER = other_world()
DEVICE = DeviceKey.generate()
COMPACT = WORLD.compact(WORLD.credential(DEVICE))


def snapshot(trust: Trust, *tokens: str) -> StatusSnapshot:
    return StatusSnapshot(accept_status_token(token, trust, NOW) for token in tokens)


def with_keys(world: World, *records: KeyRecord) -> IssuerEntry:
    return replace(entry(world), keys=records)


def trusted(*entries: IssuerEntry) -> Trust | None:
    """What a verifier makes of a list with these entries; None where it is refused as a whole."""
    try:
        return trust_in(*entries)
    except InvalidInput:
        return None


@pytest.mark.parametrize("thief_first", [True, False])
def test_an_issuer_that_lists_anothers_key_as_its_own_does_not_take_over_its_cards(thief_first: bool) -> None:
    """Else a dishonest issuer's status list says of a cancelled card that it is valid: the CWT names no issuer."""
    stolen = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    entries = [with_keys(OTHER, stolen, *OTHER.records()), entry(WORLD)]
    trust = trusted(*(entries if thief_first else reversed(entries)))
    code = DEVICE.offline_code(COMPACT, NOW)
    if trust is None:
        return
    statuses = snapshot(trust, WORLD.status_token({7: EcardStatus.INVALID}), OTHER.status_token())
    verdict = judge(WORLD, code, trust=trust, statuses=statuses)
    assert (verdict.outcome, verdict.issuer) != (Outcome.VALID, OTHER.issuer)
    assert verdict.outcome is not Outcome.VALID


@pytest.mark.parametrize("cut_off", [0, seconds(NOW) + 1, 2**53 - 1])
@pytest.mark.parametrize("thief_first", [True, False])
def test_an_issuer_that_lists_anothers_key_as_compromised_later_does_not_take_it_over(
    thief_first: bool, cut_off: int
) -> None:
    """A cut-off yet to come lets everything through that was signed before it."""
    record = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    stolen = replace(record, state=KeyState.COMPROMISED, compromised_from=cut_off)
    entries = [with_keys(OTHER, stolen, *OTHER.records()), entry(WORLD)]
    trust = trusted(*(entries if thief_first else reversed(entries)))
    if trust is None:
        return
    statuses = snapshot(trust, WORLD.status_token({7: EcardStatus.INVALID}), OTHER.status_token())
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, NOW), trust=trust, statuses=statuses)
    assert verdict.outcome is not Outcome.VALID


@pytest.mark.parametrize("revived_first", [True, False])
def test_a_compromised_key_that_is_listed_once_more_as_active_stays_compromised(revived_first: bool) -> None:
    record = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    lost = replace(record, state=KeyState.COMPROMISED)
    records = (record, lost) if revived_first else (lost, record)
    trust = trusted(with_keys(WORLD, *records, *WORLD.records()[1:]))
    assert trust is None or judge(WORLD, DEVICE.offline_code(COMPACT, NOW), trust=trust).outcome is not Outcome.VALID


def test_a_key_with_two_purposes_is_believed_for_none_or_refused() -> None:
    """One key, one purpose (a status host's key must never sign a card)."""
    both = WORLD.status_key.record(KeyPurpose.CREDENTIAL)
    trust = trusted(with_keys(WORLD, both, *WORLD.records()))
    code = DEVICE.offline_code(WORLD.compact(WORLD.credential(DEVICE), WORLD.status_key), NOW)
    assert trust is None or judge(WORLD, code, trust=trust).outcome is not Outcome.VALID


@pytest.mark.parametrize("lost_first", [True, False])
def test_of_two_keys_with_one_kid_the_state_of_the_one_that_signed_counts(lost_first: bool) -> None:
    good = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    twin = EphemeralSigner(good.kid)
    lost = replace(twin.record(KeyPurpose.CREDENTIAL), state=KeyState.COMPROMISED)
    records = (lost, good) if lost_first else (good, lost)
    trust = trust_in(with_keys(WORLD, *records, *WORLD.records()[1:]))
    assert judge(WORLD, DEVICE.offline_code(COMPACT, NOW), trust=trust).reason == "ok"
    by_twin = WORLD.compact(WORLD.credential(DEVICE), twin)
    assert judge(WORLD, DEVICE.offline_code(by_twin, NOW), trust=trust).reason == "key_compromised"


def test_a_kid_shared_with_another_issuer_does_not_move_a_card_to_that_issuers_lists() -> None:
    twin = EphemeralSigner(WORLD.credential_key.key_id)
    other = with_keys(OTHER, twin.record(KeyPurpose.CREDENTIAL), *OTHER.records())
    trust = trust_in(other, entry(WORLD))
    statuses = snapshot(trust, OTHER.status_token(), WORLD.status_token({7: EcardStatus.SUSPENDED}))
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, NOW), trust=trust, statuses=statuses)
    assert (verdict.reason, verdict.issuer) == ("suspended", WORLD.issuer)
    mine = OTHER.compact(OTHER.credential(DEVICE), twin)
    verdict = judge(WORLD, DEVICE.offline_code(mine, NOW), trust=trust, statuses=statuses)
    assert (verdict.reason, verdict.issuer) == ("ok", OTHER.issuer)


def test_an_issuers_key_cannot_sign_a_token_that_stands_on_another_issuers_status_list() -> None:
    trust = trust_in(entry(WORLD), entry(OTHER))
    statuses = snapshot(trust, WORLD.status_token(), OTHER.status_token())
    for issuer in (WORLD.issuer, OTHER.issuer):
        credential = OTHER.credential(DEVICE, issuer=issuer, status=WORLD.credential(DEVICE).status)
        shown = DEVICE.present(OTHER.selective(credential), [], audience="a", nonce="n", now=NOW)
        verdict = judge(WORLD, shown, trust=trust, statuses=statuses, audience="a", nonce="n")
        assert verdict.reason in ("status_list_foreign", "issuer_mismatch")


@pytest.mark.parametrize(
    "template", ["https://issuer.example/status-lists/{list}", "https://issuer.example/status-lists/1{list}"]
)
def test_an_issuer_whose_status_addresses_lie_over_anothers_cannot_answer_for_them(template: str) -> None:
    """Whoever signs the status of a card must be the issuer that signed the card."""
    squatter = World(issuer=OTHER.issuer, status_uri=template)
    trust = trusted(entry(squatter), entry(WORLD))
    if trust is None:
        return
    list_id = 1 if template == WORLD.status_uri else 11
    address = WORLD.status_uri.replace("{list}", str(list_id))
    credential = WORLD.credential(DEVICE)
    card = WORLD.compact(replace(credential, status=replace(credential.status, uri=address, list_id=list_id)))
    ended = WORLD.status_token({7: EcardStatus.SUSPENDED}, list_id=list_id)
    clean = squatter.status_token(uri=address, issued_at=NOW + timedelta(seconds=1))
    try:
        statuses = snapshot(trust, ended, clean)
    except EcardError:
        return
    verdict = judge(WORLD, DEVICE.offline_code(card, NOW), trust=trust, statuses=statuses)
    assert verdict.outcome is not Outcome.VALID


def signed(content: TrustList) -> bytes:
    return WORLD.trust_document(content)


class Server:
    """A host of trust lists without a key: it may serve whatever the roots once signed."""

    def __init__(self, document: bytes) -> None:
        self.document = document

    def __call__(self) -> bytes | None:
        return self.document


def _two_lists() -> tuple[TrustList, TrustList]:
    """A long-lived list, and the one that followed it with a shorter life."""
    old = replace(WORLD.trust_list(), expires_at=seconds(NOW + timedelta(days=30)))
    digest = trust_list.draft(old).digest
    new = replace(old, version=2, previous=digest, issued_at=seconds(NOW), expires_at=seconds(NOW + timedelta(days=1)))
    return old, new


@pytest.mark.parametrize("days", [0, 2])
def test_a_list_that_was_replaced_is_not_believed_again_after_a_restart(tmp_path: Path, days: int) -> None:
    """Also when the newer one in the cache has expired meanwhile: that it existed is still known."""
    old, new = _two_lists()
    cache = tmp_path / "trust.json"
    first = TrustSource(WORLD.root, Server(signed(new)), lambda: NOW, cache=cache)
    first.maintain()
    assert first.current() is not None
    later = NOW + timedelta(days=days)
    restarted = TrustSource(WORLD.root, Server(signed(old)), lambda: later, cache=cache)
    restarted.maintain()
    held = restarted.current()
    assert held is None or held.version == 2


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""', b"0"])
def test_a_trust_list_document_is_refused_before_it_costs_anything(item: bytes) -> None:
    """Whoever can answer for the host can send this; no key is needed."""
    count = (trust_list.MAX_DOCUMENT - 64) // (len(item) + 1)
    document = b'{"payload":[' + b",".join([item] * count) + b'],"signatures":[]}'
    assert len(document) <= trust_list.MAX_DOCUMENT
    spent = cost(lambda: open_trust_list(document, WORLD.root, now=seconds(NOW)))
    assert spent.megabytes < 64
    assert spent.milliseconds < 100


def test_a_trust_host_that_answers_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification waits for this answer, and the follower of the feed for its lock."""
    clock = [0.0]
    drops = 0

    class Drip(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal drops
            for _ in range(20_000):
                drops += 1
                clock[0] += 2.5
                yield b" "

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Drip())

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    host = HttpTrustList("https://issuer.example/list", transport=httpx2.MockTransport(answer))
    with pytest.raises(Unavailable):
        host()
    assert drops < 100


@pytest.mark.parametrize("moment", [NOW - timedelta(days=40), NOW + timedelta(days=40)])
def test_a_trust_list_of_another_time_gives_no_trust(moment: datetime) -> None:
    with pytest.raises(EcardError):
        open_trust_list(signed(WORLD.trust_list()), WORLD.root, now=seconds(moment))


def test_signatures_of_the_issuers_own_keys_do_not_make_a_trust_list() -> None:
    unsigned = trust_list.draft(WORLD.trust_list())
    stolen = []
    for key in (WORLD.credential_key, WORLD.status_key, WORLD.event_key):
        holder = Holder()
        holder.classical, holder.public = key, replace(holder.public, es256=key.public)
        stolen.append(holder)
    document = sign_list(unsigned, stolen)
    with pytest.raises(EcardError, match="trust_undersigned"):
        open_trust_list(document, WORLD.root, now=seconds(NOW))


def test_an_issuer_that_crowds_anothers_key_id_makes_no_check_slow() -> None:
    """Sixty-four keys with the kid of somebody else's: every one is tried, and the right one is found."""
    kid = WORLD.credential_key.key_id
    crowd = [EphemeralSigner(kid).record(KeyPurpose.CREDENTIAL) for _ in range(64)]
    trust, statuses = trust_in(with_keys(OTHER, *crowd), entry(WORLD)), WORLD.statuses()
    code = DEVICE.offline_code(COMPACT, NOW)
    assert judge(WORLD, code, trust=trust, statuses=statuses).reason == "ok"
    assert cost(lambda: judge(WORLD, code, trust=trust, statuses=statuses)).milliseconds < 100


@pytest.mark.parametrize("cut_off", [None, 0, 2**53 - 1])
def test_of_one_key_listed_in_two_states_only_a_refusal_is_left(cut_off: int | None) -> None:
    record = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    lost = replace(record, state=KeyState.COMPROMISED, compromised_from=cut_off)
    for records in ((record, lost), (lost, record), (record, record)):
        trust = trusted(with_keys(WORLD, *records, *WORLD.records()[1:]))
        code = DEVICE.offline_code(COMPACT, NOW)
        assert trust is None or judge(WORLD, code, trust=trust).outcome is not Outcome.VALID


def test_a_key_that_is_only_announced_signs_nothing_that_is_older_than_its_announcement() -> None:
    """Else whoever gets at a key before its time back-dates what it signs."""
    waiting = replace(WORLD.credential_key.record(KeyPurpose.CREDENTIAL), state=KeyState.NEXT)
    trust = trust_in(with_keys(WORLD, waiting, *WORLD.records()[1:]))
    verdict = judge(WORLD, DEVICE.offline_code(COMPACT, NOW), trust=trust)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "key_not_active")


@pytest.mark.parametrize(
    "template", ["https://issuer.example/status-lists/{list}", "https://issuer.example/status-lists/1{list}"]
)
def test_a_mirror_of_one_issuer_says_nothing_of_cards_of_another_at_the_same_addresses(template: str) -> None:
    """To this mirror every entry that its own issuer never spoke of is valid, also of a card cancelled elsewhere."""
    squatter = World(issuer=OTHER.issuer, status_uri=template)
    trust = trusted(entry(squatter), entry(WORLD))
    if trust is None:
        return
    mirror = Mirror(issuer=WORLD.issuer)
    mirror.apply(verify_event(beat(WORLD, 0), WORLD.trust(), NOW))  # before the squatter was listed
    code = DEVICE.offline_code(squatter.compact(squatter.credential(DEVICE)), NOW)
    assert judge(WORLD, code, trust=trust, statuses=mirror).outcome is not Outcome.VALID


def denied(record: KeyRecord, cut_off: int | None) -> DeniedKey:
    return DeniedKey(jose.thumbprint(jose.jwk_of(record.public)), cut_off)


@pytest.mark.parametrize("cut_off", [seconds(NOW), seconds(NOW) + 10**6, 2**53 - 1])
@pytest.mark.parametrize(
    "changes",
    [
        {"state": KeyState.RETIRED},
        {"state": KeyState.NEXT},
        {"state": KeyState.VERIFY_ONLY, "retired_from": 1},
        {"state": KeyState.COMPROMISED},
        {"state": KeyState.COMPROMISED, "compromised_from": 1},
        {"not_before": seconds(NOW) + 61},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)
def test_no_denial_gives_back_what_the_list_refuses(changes: dict[str, object], cut_off: int) -> None:
    """Whoever has the event key could else revive a key that was retired, or one that was only announced."""
    record = replace(WORLD.credential_key.record(KeyPurpose.CREDENTIAL), **changes)  # type: ignore[arg-type]
    trust = trust_in(with_keys(WORLD, record, *WORLD.records()[1:]))
    code = DEVICE.offline_code(COMPACT, NOW)
    before = judge(WORLD, code, trust=trust)
    assert before.outcome is Outcome.INVALID
    after = judge(WORLD, code, trust=trust.denying([denied(record, cut_off)]))
    assert after.outcome is Outcome.INVALID


@pytest.mark.parametrize("thief_first", [True, False])
def test_a_key_computed_from_a_cards_signature_takes_no_card_over(thief_first: bool) -> None:
    """For each ECDSA signature there is a second public key, and a list may name a key that nobody has proven."""
    parsed = cwt.parse(COMPACT)
    public = second_key(parsed.signing_input, parsed.signature, WORLD.credential_key.public)
    good = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)
    assert verify(load_public_key(public), parsed.signing_input, parsed.signature)
    thief = with_keys(OTHER, replace(good, public=public), *OTHER.records())
    entries = (thief, entry(WORLD)) if thief_first else (entry(WORLD), thief)
    code = DEVICE.offline_code(COMPACT, NOW)

    trust = trust_in(*entries)  # as if the kid were its own, which takes some 2^32 cards to come across
    statuses = snapshot(trust, WORLD.status_token({7: EcardStatus.INVALID}), OTHER.status_token())
    assert judge(WORLD, code, trust=trust, statuses=statuses).outcome is not Outcome.VALID

    content = TrustList(1, seconds(NOW) - 60, seconds(NOW) + 60, None, entries)
    opened = open_trust_list(WORLD.trust_document(content), WORLD.root, now=seconds(NOW))
    assert opened.skipped == 1, "a key under a kid that is not its own was read"
    statuses = snapshot(Trust.of(opened), WORLD.status_token(), OTHER.status_token())
    assert judge(WORLD, code, trust=Trust.of(opened), statuses=statuses).issuer == WORLD.issuer


def test_a_key_computed_from_an_event_does_not_stop_the_feed() -> None:
    text = beat(WORLD, 0)
    head, _, tail = text.rpartition(".")
    good = WORLD.event_key.record(KeyPurpose.EVENT)
    public = second_key(head.encode(), jose.b64url_decode(tail), good.public)
    trust = trust_in(with_keys(OTHER, replace(good, public=public)), entry(WORLD))
    assert verify_event(text, trust, NOW).issuer == WORLD.issuer


@pytest.mark.parametrize(
    ("template", "squatting", "list_id"),
    [
        ("https://status33.example/lists/{list}", "https://status{list}.example/lists/1", 1),
        ("https://s.example/33/lists/{list}", "https://s.example/{list}/lists/4", 4),
        ("https://s.example/{list}2", "https://s.example/3{list}", 3),
        ("https://s.example/{list}/of/33", "https://s.example/7/of/{list}", 7),
    ],
)
def test_a_template_whose_variable_stands_elsewhere_lies_over_anothers_too(
    template: str, squatting: str, list_id: int
) -> None:
    """Whoever carries a bundle may add any signed list: the squatter's would be the newest for that address."""
    world, squatter = World(status_uri=template), World(issuer=OTHER.issuer, status_uri=squatting)
    address = template.replace("{list}", str(list_id))
    assert belongs_to(address, template)
    assert belongs_to(address, squatting)
    credential = world.credential(DEVICE)
    card = world.compact(replace(credential, status=replace(credential.status, uri=address, list_id=list_id)))
    trust = trusted(entry(squatter), entry(world))
    if trust is None:
        return
    ended = world.status_token({7: EcardStatus.SUSPENDED}, uri=address)
    clean = squatter.status_token(uri=address, issued_at=NOW + timedelta(seconds=1))
    try:
        statuses = snapshot(trust, ended, clean)
    except EcardError:
        return
    assert judge(world, DEVICE.offline_code(card, NOW), trust=trust, statuses=statuses).outcome is not Outcome.VALID


def test_a_thousand_issuers_are_loaded_quickly_and_a_denial_costs_little() -> None:
    """A stream of denials would else keep a verifier busy: each makes a new trust."""
    key = EphemeralSigner()
    others = (EphemeralSigner().record(KeyPurpose.CREDENTIAL) for _ in range(1000))
    names = (f"https://province-{number}.example" for number in range(1000))
    entries = [
        IssuerEntry(name, f"{name}/lists/{{list}}", ("000000",), (record,))
        for name, record in zip(names, others, strict=True)
    ]
    mine = with_keys(WORLD, key.record(KeyPurpose.CREDENTIAL))
    trust = trust_in(*entries, mine)
    assert trust.skipped == 0
    word = denied(mine.keys[0], None)
    assert cost(lambda: trust.denying([word])).milliseconds < 300


def test_announcing_lists_that_never_come_does_not_make_a_verifier_ask_each_time() -> None:
    seconds_gone, asked = [0.0], []

    def host() -> bytes | None:
        asked.append(1)
        return signed(WORLD.trust_list()) if len(asked) == 1 else None

    source = TrustSource(WORLD.root, host, lambda: NOW, monotonic=lambda: seconds_gone[0])
    source.maintain()
    for version in range(2, 1002):
        seconds_gone[0] += 0.001
        source.published(version)
    assert len(asked) <= 5


def test_codes_of_unknown_keys_do_not_each_wait_for_a_slow_host() -> None:
    """Anybody can show such codes, and each would hold a thread of the service for two seconds."""
    gone, arrived, release = [0.0], threading.Event(), threading.Event()

    def slow() -> bytes | None:
        arrived.set()
        release.wait(10)
        return None

    source = TrustSource(WORLD.root, slow, lambda: NOW, monotonic=lambda: gone[0])
    asking = threading.Thread(target=source.maintain, daemon=True)
    asking.start()
    assert arrived.wait(10)
    gone[0] = LONGEST_WAIT
    began = time.monotonic()
    assert [source.refresh() for _ in range(20)] == [False] * 20
    assert time.monotonic() - began < 2
    release.set()
    asking.join(10)


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a host that sends its header byte by byte, each well within any timeout."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Wait: ")
                    while not over.wait(0.01):
                        peer.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_a_host_whose_header_never_ends_is_given_up(dripping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte starts the client's timeout anew: a check would wait for days, and the feed's follower behind it."""
    monkeypatch.setattr("ecard_verifier.trust_hosts.LONGEST_FETCH", 0.3)
    monkeypatch.setattr("ecard_verifier.http_statuses.TIMEOUT", 0.3)
    address = f"http://127.0.0.1:{dripping}/lists/"
    began = time.monotonic()
    with pytest.raises(Unavailable):
        HttpTrustList(f"{address}1")()
    with pytest.raises(Unavailable):
        next(iter(HttpFeed(f"{address}1", "token", longest_silence=0.3).events(0)))
    local = World(status_uri=f"{address}{{list}}")
    statuses = HttpStatuses(FixedTrust(local.trust()), lambda: NOW, allowed=FetchStatuses.LOOPBACK)
    with pytest.raises(EcardError, match="status_unknown"):
        statuses.read(f"{address}1", 7)
    assert time.monotonic() - began < 5
