"""Hashes at rest: bound to subject and purpose, worthless without the pepper, never cheaper than OWASP's minimum."""

from __future__ import annotations

import pytest

from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.pins.hashing import MIN_MEMORY_KIB, HashCost, SecretHash
from ecard_issuer.pins.secret import Purpose, Secret
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.pepper import FilePepper
from tests.contracts.register_world import refused
from tests.issuer.holding import PlainPepper

PIN, PASSWORD = Purpose.CARD_PIN, Purpose.ECARD_PASSWORD
GOOD = Secret("739184")


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> SecretHash:
    file = EncryptedFile(tmp_path_factory.mktemp("pepper") / "keys.json", b"correct horse battery")
    return SecretHash(FilePepper(file), HashCost())


def test_only_the_same_secret_of_the_same_subject_and_purpose_holds(hashing: SecretHash) -> None:
    stored = hashing.make(PIN, "card-1", GOOD)
    assert stored.startswith("1$argon2id$v=19$m=19456,t=2,p=1$")
    assert "739184" not in stored
    assert hashing.make(PIN, "card-1", GOOD) != stored
    assert hashing.holds(PIN, "card-1", GOOD, stored)
    assert not hashing.holds(PIN, "card-1", Secret("739185"), stored)
    assert not hashing.holds(PIN, "card-2", GOOD, stored)
    assert not hashing.holds(PASSWORD, "card-1", GOOD, stored)


def test_a_stolen_hash_opens_nothing_without_its_pepper(hashing: SecretHash) -> None:
    stored = hashing.make(PIN, "card-1", GOOD)
    assert not SecretHash(PlainPepper(), HashCost()).holds(PIN, "card-1", GOOD, stored)


def test_nothing_chosen_stands_for_the_initial_one(hashing: SecretHash) -> None:
    assert hashing.holds(PIN, "card-1", Secret("123456"), None)
    assert not hashing.holds(PIN, "card-1", GOOD, None)


def test_a_hash_of_lesser_cost_is_outdated(hashing: SecretHash) -> None:
    stored = hashing.make(PIN, "card-1", GOOD)
    assert not hashing.outdated(stored)
    assert SecretHash(PlainPepper(), HashCost(rounds=3)).outdated(stored)


@pytest.mark.parametrize(
    ("memory", "rounds"), [(MIN_MEMORY_KIB - 1, 2), (MIN_MEMORY_KIB, 1), (1 << 21, 2), (65536, 99)]
)
def test_a_cost_below_the_minimum_or_beyond_reason_is_refused(memory: int, rounds: int) -> None:
    with refused(InvalidInput, "hash_cost_out_of_bounds"):
        HashCost(memory, rounds)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "1",
        "2$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA",
        "1$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNo",
        "1$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNo",  # cheap enough to have been planted
        "1$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNo",  # 4 GiB
        "1$argon2id$v=19$m=19456,t=2,p=1$%%%$%%%",
        "1739184",
    ],
)
def test_what_we_never_wrote_is_damage_and_no_work(hashing: SecretHash, stored: str) -> None:
    with refused(Unavailable, "register_damaged"):
        hashing.holds(PIN, "card-1", GOOD, stored)
