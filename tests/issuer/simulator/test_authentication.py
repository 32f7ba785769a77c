"""Internal and external authentication: the exact recipes, their counters, and challenges that die."""

from __future__ import annotations

import secrets

import pytest

from ecard_issuer.chip.simulator import CardKeys, card_keys, first_generation, synthetic, third_generation
from ecard_issuer.chip.simulator.authentication import (
    ALGORITHM_3DES,
    ALGORITHM_SM4,
    KEY_NAMES,
    SM4_PROFILE,
    TRIPLE_DES_PROFILE,
    CipherProfile,
    sm4,
    sm4_decrypt,
    triple_des,
    triple_des_decrypt,
)
from ecard_issuer.chip.simulator.chip import SimulatedChip
from ecard_issuer.chip.simulator.data import historical_bytes
from ecard_keys import chip_recipe
from tests.issuer.simulator.support import SELECT_SSSE, fetch, powered, send

CARDS = [
    pytest.param(first_generation, TRIPLE_DES_PROFILE, id="3des"),
    pytest.param(third_generation, SM4_PROFILE, id="sm4"),
]


def external(chip: SimulatedChip, profile: CipherProfile, key: bytes, challenge: str, key_id: str = "0A") -> str:
    """The status word of an EXTERNAL AUTHENTICATION with the PSAM frame: cryptogram, then the challenge itself."""
    raw = bytes.fromhex(challenge)
    return send(chip, f"008200{key_id}10" + (profile.answer(key, raw, raw) + raw).hex())


def challenge(chip: SimulatedChip) -> str:
    return send(chip, "0084000008")[:-4]


def test_single_des_matches_fips_81() -> None:
    """FIPS 81, table B1 (ECB): key 0123456789ABCDEF, "Now is t"."""
    cipher = triple_des(bytes.fromhex("0123456789ABCDEF"), b"Now is t")
    assert cipher.hex().upper() == "3FA40E8A984D4815"
    assert triple_des_decrypt(bytes.fromhex("0123456789ABCDEF"), cipher) == b"Now is t"


def test_sm4_matches_the_standard() -> None:
    """GB/T 32907-2016, A.1."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    assert sm4(key, key).hex().upper() == "681EDF34D206965E86B3E94F536E4246"
    assert sm4_decrypt(key, sm4(key, key)) == key


def test_internal_authentication_of_a_3des_card_step_by_step() -> None:
    """PK = 3DES(IRK, R1); answer = DES(PK, R2), announced with 61 08; with and without key version."""
    keys = CardKeys.fresh()
    chip = powered(first_generation(keys=keys))
    r1, r2 = secrets.token_bytes(8), secrets.token_bytes(8)
    process_key = triple_des(keys["IRK"], r1)
    expected = triple_des(process_key, r2).hex().upper()
    assert send(chip, "0088000010" + (r1 + r2).hex()) == "6108"
    assert send(chip, "00C0000008") == expected + "9000"
    assert fetch(chip, "0088000011" + (r1 + r2).hex() + "01") == expected + "9000"


@pytest.mark.parametrize(
    ("make", "algorithm", "recipe"),
    [
        pytest.param(first_generation, ALGORITHM_3DES, "ssse-3des-region-card", id="3des"),
        pytest.param(third_generation, ALGORITHM_SM4, "test:ssse-sm4-region-card", id="sm4"),
    ],
)
def test_card_and_key_holder_agree_though_written_apart(make, algorithm: int, recipe: str) -> None:  # type: ignore[no-untyped-def]
    """The key holder's arithmetic, derived from the same master key, expects just what the card answers."""
    master, data = secrets.token_bytes(16), synthetic(42)
    keys = card_keys({"IRK": master}, data.region, historical_bytes(data), algorithm)
    chip = powered(make(data=data, keys=keys))
    r1, r2 = secrets.token_bytes(8), secrets.token_bytes(8)
    theirs = chip_recipe.card_key(master, recipe, data.identification_code, chip.historical)
    expected = chip_recipe.internal_authentication(recipe, theirs, r1, r2)
    assert fetch(chip, "0088000010" + (r1 + r2).hex()) == expected.hex().upper() + "9000"


@pytest.mark.parametrize(("make", "profile"), CARDS)
def test_external_authentication_opens_the_holder_file_until_reset(make, profile: CipherProfile) -> None:  # type: ignore[no-untyped-def]
    """RKSSSE opens EF06 and EF08; reset, and SELECT of the MF, close them again."""
    keys = CardKeys.fresh()
    chip = powered(make(keys=keys))
    assert send(chip, "00B0880000") == "6982"
    assert external(chip, profile, keys["RKSSSE"], challenge(chip)) == "9000"
    assert send(chip, "00B0880000").endswith("9000")
    assert send(chip, "00B2083014").endswith("9000")
    fetch(chip, SELECT_SSSE)
    assert send(chip, "00B0880000").endswith("9000")  # the same environment
    send(chip, "00A40000023F00")
    fetch(chip, SELECT_SSSE)
    assert send(chip, "00B0880000") == "6982"
    assert external(chip, profile, keys["RKSSSE"], challenge(chip)) == "9000"
    chip.reset()
    fetch(chip, SELECT_SSSE)
    assert send(chip, "00B0880000") == "6982"


def test_hsm_frame_uses_the_latest_challenge_as_process_factor() -> None:
    """Two challenges: the first is the original data, the latest the process factor."""
    keys = CardKeys.fresh()
    chip = powered(third_generation(keys=keys))
    original, factor = bytes.fromhex(challenge(chip)), bytes.fromhex(challenge(chip))
    cryptogram = SM4_PROFILE.answer(keys["RKSSSE"], factor, original)
    assert send(chip, "0082000A10" + (cryptogram + original).hex()) == "9000"


def test_a_challenge_is_valid_once_and_only_the_latest() -> None:
    """Used, overtaken, of the wrong length, or lost in a reset: refused."""
    keys = CardKeys.fresh()
    chip = powered(first_generation(keys=keys))
    first = challenge(chip)
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], first) == "9000"
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], first) == "6984"
    stale = challenge(chip)
    challenge(chip)
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], stale) == "63C2"
    send(chip, "0084000004")
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], stale) == "6984"
    lost = challenge(chip)
    chip.reset()
    fetch(chip, SELECT_SSSE)
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], lost) == "6984"


def test_each_key_counts_its_own_tries_and_a_blocked_one_stays_blocked() -> None:
    """63C2, 63C1, 63C0, then 6983 even for the right key and after power off; other keys are untouched."""
    keys = CardKeys.fresh()
    chip = powered(first_generation(keys=keys))
    wrong = bytes(16)
    assert [external(chip, TRIPLE_DES_PROFILE, wrong, challenge(chip)) for _ in range(2)] == ["63C2", "63C1"]
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], challenge(chip)) == "9000"  # success restores the counter
    answers = [external(chip, TRIPLE_DES_PROFILE, wrong, challenge(chip)) for _ in range(4)]
    assert answers == ["63C2", "63C1", "63C0", "6983"]
    chip.power_off()
    powered(chip)
    assert external(chip, TRIPLE_DES_PROFILE, keys["RKSSSE"], challenge(chip)) == "6983"
    assert external(chip, TRIPLE_DES_PROFILE, keys["PUK"], challenge(chip), "06") == "9000"


def test_a_record_is_updated_only_under_its_update_key() -> None:
    """UPDATE RECORD before UKSSSE 6982, with it 9000; another length or tag is refused."""
    keys = CardKeys.fresh()
    chip = powered(first_generation(keys=keys))
    send(chip, "00A4020002EF05")
    assert send(chip, "00DC0600060604" + "20350102") == "6982"
    assert external(chip, TRIPLE_DES_PROFILE, keys["UKSSSE"], challenge(chip), "04") == "9000"
    assert send(chip, "00DC0600060604" + "20350102") == "9000"
    assert send(chip, "00B2060006") == "0604203501029000"
    assert send(chip, "00DC0600050603" + "203501") == "6700"
    assert send(chip, "00DC0600060704" + "20350102") == "6A80"


def test_diversification_separates_cards_regions_and_keys() -> None:
    """Another card, another region or another master key leads to other card keys, by both ciphers."""
    masters = {name: secrets.token_bytes(16) for name in KEY_NAMES}
    one, two = (historical_bytes(synthetic(serial)) for serial in (1, 2))
    for algorithm in (ALGORITHM_3DES, ALGORITHM_SM4):
        sets = [card_keys(masters, region, card, algorithm) for region in ("000000", "000001") for card in (one, two)]
        values = {keys[name] for keys in sets for name in KEY_NAMES}
        assert len(values) == 4 * len(KEY_NAMES)
        assert all(len(value) == 16 for value in values)
    assert masters["IRK"].hex() not in repr(sets[0])
