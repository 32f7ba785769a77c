"""Several homes as one: where keys are made, found and destroyed, and what is said while one home is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.homes.several import Homes
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey
from ecard_keys.verify import load_public_key, verify
from tests.contracts.home_in_check import HomeInCheckContract
from tests.contracts.signer_contract import NOW, KeyHomeContract, SignerContract

PASSPHRASE = b"correct horse battery"


class SometimesAway:
    """A key home in a file that can go away, as Vault or a token does."""

    def __init__(self, path: Path) -> None:
        self.file = FileKeyHome(path, PASSPHRASE)
        self.away = False
        self.asked = 0

    def _reached(self) -> FileKeyHome:
        self.asked += 1
        if self.away:
            raise Unavailable("key_token_missing", "pulled by the test")
        return self.file

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        return self._reached().sign(key_id, messages)

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        return self._reached().create(purpose, now)

    def public_key(self, key_id: str) -> bytes:
        return self._reached().public_key(key_id)

    def held(self) -> tuple[HeldKey, ...]:
        return self._reached().held()

    def destroy(self, key_id: str) -> None:
        self._reached().destroy(key_id)


class TestContract(SignerContract, KeyHomeContract, HomeInCheckContract):
    """The known key is the other home's: moving is one rotation."""

    @pytest.fixture(scope="class")
    @classmethod
    def old(cls, tmp_path_factory: pytest.TempPathFactory) -> FileKeyHome:
        return FileKeyHome(tmp_path_factory.mktemp("old") / "keys.json", PASSPHRASE)

    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, old: FileKeyHome, tmp_path_factory: pytest.TempPathFactory) -> Homes:
        return Homes(FileKeyHome(tmp_path_factory.mktemp("new") / "keys.json", PASSPHRASE), old)

    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls, home: Homes) -> Homes:
        return home

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, old: FileKeyHome) -> str:
        return old.create(KeyPurpose.CREDENTIAL, NOW)

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, home: Homes, known_key: str) -> bytes:
        return home.public_key(known_key)


@pytest.fixture
def new(tmp_path: Path) -> SometimesAway:
    return SometimesAway(tmp_path / "new.json")


@pytest.fixture
def old(tmp_path: Path) -> SometimesAway:
    return SometimesAway(tmp_path / "old.json")


@pytest.fixture
def homes(new: SometimesAway, old: SometimesAway) -> Homes:
    return Homes(new, old)


def signs(homes: Homes, key_id: str) -> bool:
    return verify(load_public_key(homes.public_key(key_id)), b"message", homes.sign(key_id, [b"message"])[0])


def test_keys_are_made_in_the_first_and_found_in_each(homes: Homes, new: SometimesAway, old: SometimesAway) -> None:
    younger = old.create(KeyPurpose.STATUS, NOW + timedelta(hours=1))
    oldest = old.create(KeyPurpose.STATUS, NOW - timedelta(hours=1))
    made = homes.create(KeyPurpose.STATUS, NOW)
    assert [key.key_id for key in new.file.held()] == [made]
    assert [key.key_id for key in homes.held()] == [oldest, made, younger]
    assert all(signs(homes, key.key_id) for key in homes.held())
    homes.destroy(oldest)
    assert [key.key_id for key in old.file.held()] == [younger]
    old.away = True
    assert [key.key_id for key in homes.held()] == [made, younger]


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "never seen"])
def test_the_first_being_away_hides_no_key_of_the_second(
    homes: Homes, new: SometimesAway, old: SometimesAway, seen: bool
) -> None:
    theirs, ours = old.create(KeyPurpose.STATUS, NOW), new.create(KeyPurpose.EVENT, NOW)
    if seen:
        homes.held()
    new.away = True
    assert signs(homes, theirs)
    assert {key.key_id for key in homes.held()} == ({theirs, ours} if seen else {theirs})
    for act in (lambda: homes.sign(ours, [b"m"]), lambda: homes.destroy(ours), lambda: homes.sign("ffffffff", [b"m"])):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.code == "key_token_missing"
    with pytest.raises(Unavailable):
        homes.create(KeyPurpose.EVENT, NOW)
    new.away = False
    assert signs(homes, ours)
    with pytest.raises(NotFound):
        homes.sign("ffffffff", [b"m"])


def test_no_key_is_made_beside_a_home_that_was_never_seen(homes: Homes, new: SometimesAway, old: SometimesAway) -> None:
    """Else whoever makes a key because it sees none would make a second one."""
    old.away = True
    with pytest.raises(Unavailable):
        homes.create(KeyPurpose.CHIP, NOW)
    assert new.file.held() == ()
    old.away = False
    homes.held()
    old.away = True
    assert signs(homes, homes.create(KeyPurpose.CHIP, NOW))


def test_nothing_known_of_any_home_is_an_error_and_not_an_empty_list(
    homes: Homes, new: SometimesAway, old: SometimesAway
) -> None:
    new.away = old.away = True
    with pytest.raises(Unavailable) as caught:
        homes.held()
    assert caught.value.code == "key_token_missing"


def test_a_key_is_asked_for_where_it_was_met(homes: Homes, new: SometimesAway, old: SometimesAway) -> None:
    theirs = old.create(KeyPurpose.STATUS, NOW)
    assert signs(homes, theirs)
    before = new.asked
    assert all(signs(homes, theirs) for _ in range(5))
    assert new.asked == before


def test_an_id_that_another_home_uses_is_not_given_again(
    homes: Homes, new: SometimesAway, old: SometimesAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = old.create(KeyPurpose.STATUS, NOW)
    offered = [taken, taken, "0badcafe"]
    destroyed: list[str] = []
    monkeypatch.setattr(new, "create", lambda purpose, now: offered.pop(0))
    monkeypatch.setattr(new, "destroy", destroyed.append)
    assert homes.create(KeyPurpose.STATUS, NOW) == "0badcafe"
    assert destroyed == [taken, taken]
    monkeypatch.setattr(new, "create", lambda purpose, now: taken)
    with pytest.raises(Unavailable):
        homes.create(KeyPurpose.STATUS, NOW)


def test_a_key_that_moved_away_is_found_again(homes: Homes, new: SometimesAway, old: SometimesAway) -> None:
    theirs = old.create(KeyPurpose.STATUS, NOW)
    assert signs(homes, theirs)
    old.file.destroy(theirs)
    for _ in range(2):
        with pytest.raises(NotFound):
            homes.sign(theirs, [b"m"])
    assert homes.held() == ()


def test_a_bad_batch_is_not_carried_from_home_to_home(homes: Homes, old: SometimesAway) -> None:
    theirs = old.create(KeyPurpose.STATUS, NOW)
    with pytest.raises(InvalidInput):
        homes.sign(theirs, ["text"])  # type: ignore[list-item]


def test_a_purpose_can_have_a_home_of_its_own(new: SometimesAway, old: SometimesAway) -> None:
    homes = Homes(new, old, made_in={KeyPurpose.EVENT: old})
    event, status = (homes.create(purpose, NOW) for purpose in (KeyPurpose.EVENT, KeyPurpose.STATUS))
    assert [key.key_id for key in old.held()] == [event]
    assert [key.key_id for key in new.held()] == [status]
    new.away = True
    assert verify(load_public_key(homes.public_key(event)), b"beat", homes.sign(event, [b"beat"])[0])
    assert homes.create(KeyPurpose.EVENT, NOW) != event  # the far home was seen: its ids are remembered
    with pytest.raises(Unavailable):
        homes.create(KeyPurpose.STATUS, NOW)
