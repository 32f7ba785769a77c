"""The trust board: one list for all issuers here, signed at once or waiting for a ceremony."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from ecard_card.errors import CheckFailed, EcardError, NotFound, RuleViolation, Unavailable
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.rows import Grant, SigningKeyRow, TrustListRow
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust import trust_list
from ecard_keys.trust.content import canonical_json, digest_of
from ecard_keys.trust.root import RootHolder, TrustRoot
from ecard_keys.trust.root_chain import RootDraft, assemble_root, walk_roots
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.root_signature import Pair
from ecard_keys.trust.trust_list import IssuerEntry, TrustList, TrustListDraft, open_trust_list
from tests.issuer.template import place_register
from tests.root_holders import Holder, root_of, sign_list

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
T = int(NOW.timestamp())
HOLDERS = [Holder("Ana"), Holder("Bo"), Holder("Chen")]
ROOT = root_of(HOLDERS)
CREDENTIAL = KeyPurpose.CREDENTIAL


class MemoryHome:
    """A `RootHome` without a file."""

    def __init__(self, holders: Sequence[Holder]) -> None:
        self._holders = {holder.public: holder for holder in holders}

    def make(self, count: int, now: datetime) -> None:
        assert len(self._holders) == count

    def holders(self) -> tuple[RootHolder, ...]:
        return tuple(self._holders)

    def sign(self, holder: RootHolder, inputs: Pair) -> Pair:
        return self._holders[holder].sign(inputs)


def at_hand(holders: Sequence[Holder] = HOLDERS) -> RootKeys:
    return RootKeys(cast(RootHome, MemoryHome(holders)))


class Shaky(SqlRegister):
    """A register that may be away, or be overtaken by another process, just when a list is to be stored."""

    away = False

    def add_trust_list(self, trust_list: TrustListRow, published: object = (), *, grant: Grant | None = None) -> None:
        if self.away:
            raise Unavailable("register_unavailable", "away, for the test")
        super().add_trust_list(trust_list, published, grant=grant)  # type: ignore[arg-type]


def register(path: Path) -> Shaky:
    return Shaky(make_engine(place_register(path.parent, path.name)))


@pytest.fixture
def one(tmp_path: Path) -> Shaky:
    return register(tmp_path / "one.sqlite3")


@pytest.fixture
def two(tmp_path: Path) -> Shaky:
    return register(tmp_path / "two.sqlite3")


def key(in_register: SqlRegister, state: KeyState = KeyState.ACTIVE) -> EphemeralSigner:
    """A key of the register; the private half stays here."""
    signer = EphemeralSigner()
    in_register.add_key(
        SigningKeyRow(CREDENTIAL.value, signer.key_id, state.value, signer.public, "ES256", "file", NOW, NOW)
    )
    return signer


def entry(*signers: EphemeralSigner, name: str = "a") -> IssuerEntry:
    records = tuple(signer.record(CREDENTIAL, T) for signer in signers)
    return IssuerEntry(f"https://{name}.example", f"https://{name}.example/lists/{{list}}", (), records)


def named(*signers: EphemeralSigner) -> set[tuple[str, str]]:
    return {(CREDENTIAL.value, signer.key_id) for signer in signers}


def row(of: SqlRegister, signer: EphemeralSigner) -> SigningKeyRow:
    return next(row for row in of.list_keys([CREDENTIAL.value]) if row.kid == signer.key_id)


def signed(content: TrustList, holders: Sequence[Holder] = HOLDERS[:2]) -> bytes:
    return sign_list(trust_list.draft(content), holders)


def next_root(before: TrustRoot, old: Sequence[Holder], new: Sequence[Holder]) -> tuple[TrustRoot, bytes]:
    root = TrustRoot(tuple(holder.public for holder in new), 2, before.version + 1, before.digest)
    draft = RootDraft(root)
    signing = {holder.public: holder for holder in (*old, *new)}
    pairs = {public: holder.sign(draft.signing_inputs(public)) for public, holder in signing.items()}
    return root, assemble_root(draft, pairs)


def refusal(board: TrustBoard, document: bytes, now: datetime = NOW) -> str:
    before = board.latest()
    with pytest.raises(EcardError) as caught:
        board.accept(document, now)
    assert board.latest() == before
    return caught.value.code


def test_with_the_roots_at_hand_a_change_is_published_at_once(one: Shaky) -> None:
    rung: list[int] = []
    board = TrustBoard([one], at_hand(), ROOT, on_publish=lambda: rung.append(1))
    old, coming = key(one), key(one, KeyState.GENERATED)
    with pytest.raises(NotFound, match="no_trust_list"):
        board.document()
    assert board.publish(entry(old), named(old), NOW)
    assert row(one, coming).state == KeyState.GENERATED
    later = NOW + timedelta(hours=1)
    assert board.publish(entry(old, coming), named(old, coming), later)
    assert (row(one, coming).state, row(one, coming).published_at) == (KeyState.NEXT, later)
    assert row(one, old).published_at == NOW
    opened = open_trust_list(board.document(), ROOT, now=T + 3600)
    assert (opened.version, opened.issuers, rung) == (2, (entry(old, coming),), [1, 1])
    assert board.is_current(entry(old, coming))
    assert not board.is_current(entry(old))
    assert board.trust(later).candidates(coming.key_id, CREDENTIAL)


def test_issuers_keep_their_places_when_another_changes(one: Shaky, two: Shaky) -> None:
    board = TrustBoard([one, two], at_hand(), ROOT)
    first, second, third = key(one), key(two), EphemeralSigner()
    board.publish(entry(first, name="a"), named(first), NOW)
    board.publish(entry(second, name="b"), named(second), NOW)
    changed = replace(entry(first, third, name="a"), regions=("330000",))
    board.publish(changed, named(first), NOW)
    latest = board.latest()
    assert latest is not None
    assert latest.issuers == (changed, entry(second, name="b"))
    assert {held.latest_trust_list().version for held in (one, two)} == {3}  # type: ignore[union-attr]
    assert (row(one, first).published_at, row(two, second).published_at) == (NOW, NOW)


def test_a_copy_that_a_crash_kept_back_is_made_good(one: Shaky, two: Shaky) -> None:
    board = TrustBoard([one, two], at_hand(), ROOT)
    ours, theirs = key(one), key(two, KeyState.GENERATED)
    board.publish(entry(ours), named(ours), NOW)
    two.away = True
    with pytest.raises(Unavailable):
        board.publish(entry(theirs, name="b"), named(theirs), NOW)
    two.away = False
    for registers in ([one, two], [two, one]):
        latest = TrustBoard(registers, at_hand(), ROOT).latest()
        assert latest is not None
        assert latest.version == 2, "the newest copy counts, wherever it is"
    assert row(two, theirs).state == KeyState.GENERATED
    assert not board.refresh(entry(theirs, name="b"), named(theirs), NOW), "nothing is left to sign"
    assert two.latest_trust_list() == one.latest_trust_list()
    assert row(two, theirs).state == KeyState.NEXT


def test_a_list_is_renewed_after_half_its_life_and_when_it_says_less(one: Shaky) -> None:
    board = TrustBoard([one], at_hand(), ROOT, life=timedelta(days=10))
    ours = key(one)
    assert board.refresh(entry(ours), named(ours), NOW)
    assert not board.refresh(entry(ours), named(ours), NOW + timedelta(days=4, hours=23))
    assert board.refresh(entry(ours), named(ours), NOW + timedelta(days=5))
    more = key(one, KeyState.GENERATED)
    assert board.refresh(entry(ours, more), named(ours, more), NOW + timedelta(days=5))
    assert board.refresh(entry(ours, more), named(), NOW + timedelta(days=100)), "an expired list has a successor"


def test_two_boards_on_one_register_do_not_lose_each_others_issuers(one: Shaky) -> None:
    first, second = (TrustBoard([one], at_hand(), ROOT) for _ in range(2))
    ours = key(one)
    for number, board in enumerate((first, second, first)):
        another = entry(EphemeralSigner(), name=f"i{number}")
        assert board.publish(another if number else entry(ours), named(ours), NOW)
    latest = first.latest()
    assert latest is not None
    assert (latest.version, len(latest.issuers)) == (3, 3)


def test_another_process_that_is_faster_is_followed(one: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = (TrustBoard([one], at_hand(), ROOT) for _ in range(2))
    ours = key(one)
    drafted = slow.draft
    overtaken: list[int] = []

    def late(entries: Sequence[IssuerEntry], now: datetime) -> TrustList:
        content = drafted(entries, now)
        if not overtaken:
            overtaken.append(1)
            fast.publish(entry(EphemeralSigner(), name="fast"), (), now)
        return content

    monkeypatch.setattr(slow, "draft", late)
    assert slow.publish(entry(ours), named(ours), NOW)
    latest = slow.latest()
    assert latest is not None
    assert [known.issuer for known in latest.issuers] == ["https://fast.example", "https://a.example"]


def test_without_root_keys_a_change_waits_for_a_ceremony(one: Shaky) -> None:
    board = TrustBoard([one], None, ROOT)
    ours = key(one, KeyState.GENERATED)
    assert not board.signs()
    assert not board.publish(entry(ours), named(ours), NOW)
    assert not board.refresh(entry(ours), named(ours), NOW)
    assert board.latest() is None
    draft = board.draft([entry(ours)], NOW)
    assert board.accept(signed(draft), NOW) == draft
    assert row(one, ours).state == KeyState.NEXT
    assert board.is_current(entry(ours))
    assert board.root() == ROOT


@pytest.fixture
def offline(one: Shaky) -> tuple[TrustBoard, EphemeralSigner, TrustList]:
    """A board without roots, its issuer's key, and its first list."""
    board, ours = TrustBoard([one], None, ROOT), key(one)
    first = board.draft([entry(ours)], NOW)
    board.accept(signed(first), NOW)
    return board, ours, first


def test_a_list_is_accepted_only_as_a_client_would(offline: tuple[TrustBoard, EphemeralSigner, TrustList]) -> None:
    board, ours, first = offline
    following = board.draft([entry(ours), entry(EphemeralSigner(), name="b")], NOW)
    assert refusal(board, signed(following, HOLDERS[:1])) == "trust_undersigned"
    assert refusal(board, signed(following, [Holder(), Holder()])) == "trust_undersigned"
    assert refusal(board, signed(replace(following, previous=digest_of(b"")))) == "trust_unlinked"
    assert refusal(board, signed(replace(following, root_version=2))) == "trust_root_outdated"
    assert refusal(board, signed(following), NOW + timedelta(days=31)) == "trust_expired"
    assert refusal(board, signed(first)) == "trust_not_newer"
    assert refusal(board, b"{}") == "trust_malformed"
    board.accept(signed(following), NOW)
    assert refusal(board, signed(first)) == "trust_rolled_back"


def test_a_ceremony_cannot_slip_a_key_in_under_our_name(
    offline: tuple[TrustBoard, EphemeralSigner, TrustList],
) -> None:
    board, ours, _ = offline
    stranger = EphemeralSigner()
    assert refusal(board, signed(board.draft([entry(ours, stranger)], NOW))) == "trust_list_foreign_key"
    assert refusal(board, signed(board.draft([entry(stranger)], NOW))) == "trust_list_foreign_key"
    swapped = EphemeralSigner(ours.key_id)  # the same kid, another key
    assert refusal(board, signed(board.draft([entry(swapped)], NOW))) == "trust_malformed"
    board.accept(signed(board.draft([entry(stranger, name="b")], NOW)), NOW)


def test_a_ceremony_cannot_give_our_keys_to_another_issuer(one: Shaky) -> None:
    """Whose status lists speak of our cards is said by whose entry names the key that signed them."""
    board, ours = TrustBoard([one], None, ROOT, issuers=["https://a.example"]), key(one)
    board.accept(signed(board.draft([entry(ours)], NOW)), NOW)
    first = board.latest()
    assert first is not None
    renamed = replace(board.draft([], NOW), issuers=(entry(ours, name="b"),))
    assert refusal(board, signed(renamed)) == "trust_list_foreign_key"


def test_a_list_of_which_we_could_make_no_successor_is_not_accepted(one: Shaky) -> None:
    board, ours = TrustBoard([one], None, ROOT), key(one)
    content = json.loads(trust_list.draft(board.draft([entry(ours)], NOW)).payload)
    content["issuers"].append({"iss": "https://later.example", "what": "nobody here understands"})
    assert refusal(board, sign_list(TrustListDraft(canonical_json(content)), HOLDERS[:2])) == "trust_malformed"


def test_the_first_list_cannot_either_where_our_name_is_known(one: Shaky) -> None:
    key(one)
    board = TrustBoard([one], None, ROOT, issuers=["https://a.example"])
    assert refusal(board, signed(board.draft([entry(EphemeralSigner())], NOW))) == "trust_list_foreign_key"


def test_a_grant_that_is_not_approved_stores_nothing(
    offline: tuple[TrustBoard, EphemeralSigner, TrustList], one: Shaky
) -> None:
    board, ours, _ = offline
    _, document = next_root(ROOT, HOLDERS, [*HOLDERS[1:], Holder()])
    for paper in (signed(board.draft([entry(ours)], NOW)), document):
        with pytest.raises(RuleViolation, match="approval_not_usable"):
            board.accept(paper, NOW, grant=Grant("00" * 8, "00" * 32))
    latest = board.latest()
    assert latest is not None
    assert (latest.version, one.trust_roots()) == (1, ())


def test_a_new_root_takes_over_with_the_next_list(offline: tuple[TrustBoard, EphemeralSigner, TrustList]) -> None:
    board, ours, first = offline
    newcomers = [*HOLDERS[1:], Holder("Dai")]
    root, document = next_root(ROOT, HOLDERS, newcomers)
    assert board.accept(document, NOW) == root
    assert (board.root(), board.next_root()) == (ROOT, root), "the old list stands until its successor"
    assert board.latest() == first
    assert board.trust(NOW).version == 1
    assert board.chain() == (document,)
    assert refusal(board, document) == "root_unlinked"
    following = board.draft([entry(ours)], NOW)
    assert following.root_version == 2
    assert refusal(board, signed(following, HOLDERS[:1])) == "trust_undersigned"
    assert refusal(board, signed(replace(following, root_version=1), newcomers)) == "trust_rolled_back"
    board.accept(signed(following, newcomers[1:]), NOW)
    assert (board.root(), board.chain()) == (root, ())
    assert walk_roots(ROOT, board.root_documents()) == root
    assert board.root_document(2) == document
    for version in (1, 3):
        with pytest.raises(NotFound, match="trust_root_unknown"):
            board.root_document(version)


def test_a_root_that_is_not_signed_is_not_stored(offline: tuple[TrustBoard, EphemeralSigner, TrustList]) -> None:
    board, _, _ = offline
    strangers = [Holder() for _ in range(3)]
    _, document = next_root(ROOT, strangers, strangers)
    assert refusal(board, document) == "root_undersigned"


def test_roots_that_moved_offline_are_not_signed_for_any_more(one: Shaky) -> None:
    """The holders of the file on this machine sign themselves away; from then on it waits for ceremonies."""
    board, ours = TrustBoard([one], at_hand(), ROOT), key(one)
    board.publish(entry(ours), named(ours), NOW)
    outside = [Holder(), Holder()]
    _, document = next_root(ROOT, HOLDERS, outside)
    assert board.signs()
    board.accept(document, NOW)
    assert not board.signs()
    assert not board.refresh(entry(ours), named(ours), NOW)
    board.accept(signed(board.draft([entry(ours)], NOW), outside), NOW)
    assert board.is_current(entry(ours))


def test_a_list_written_behind_our_back_is_not_believed(one: Shaky) -> None:
    board, ours = TrustBoard([one], at_hand(), ROOT), key(one)
    board.publish(entry(ours), named(ours), NOW)
    forged = board.draft([entry(EphemeralSigner())], NOW)
    one.add_trust_list(TrustListRow(2, signed(forged, [Holder(), Holder()]), NOW))
    for verb in (board.latest, board.root, lambda: board.trust(NOW), lambda: board.publish(entry(ours), (), NOW)):
        with pytest.raises(CheckFailed, match="trust_undersigned"):
            verb()
