"""The key holder: the published recipe, signed statements, and a master key that never comes out."""

from __future__ import annotations

import copy
import pickle
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from ecard_card.errors import ChipFault, EcardError, InvalidInput, Unavailable
from ecard_card.jose import UnsignedJws, compact_signing_input, parse_compact, parse_json
from ecard_keys.chip_key import STATEMENT_TYPE, ChipAnswer, FileChipKeyHolder, LocalChipKeyHolder, open_statement
from ecard_keys.chip_recipe import RECIPES, card_key, internal_authentication
from ecard_keys.homes.ephemeral import EphemeralSigner

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SIGNER = EphemeralSigner()
KEYS = {SIGNER.key_id: SIGNER.public}
MASTER = secrets.token_bytes(16)
CODE = "000000" + "D156000005" + "00000001" + "00000000"
HISTORICAL = bytes.fromhex("00544553548600" + "A1A2A3A4A5A6")
R1, R2 = bytes(range(8)), bytes(range(8, 16))


def sign(message: bytes) -> bytes:
    return SIGNER.sign(SIGNER.key_id, [message])[0]


def holder() -> LocalChipKeyHolder:
    return LocalChipKeyHolder("test:holder", MASTER, kid=SIGNER.key_id, sign=sign)


def answered(recipe: str = "ssse-3des-region-card", **change: object) -> ChipAnswer:
    key = card_key(MASTER, recipe, CODE, HISTORICAL)
    honest = ChipAnswer(CODE, HISTORICAL, recipe, R1, R2, internal_authentication(recipe, key, R1, R2))
    return replace(honest, **change)  # type: ignore[arg-type]


def des(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(TripleDES(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block)


def test_single_des_is_3des_with_one_key_thrice() -> None:
    """FIPS 81, table B1: key 0123456789ABCDEF, text `Now is t`; and the same through the whole 3DES recipe."""
    key = bytes.fromhex("0123456789ABCDEF")
    assert des(key * 3, b"Now is t").hex().upper() == "3FA40E8A984D4815"
    # With K1 = K2 the process key is DES(K, R1); choose R1 so that it is K itself, and R2 the sample's text.
    decryptor = Cipher(TripleDES(key * 3), modes.ECB()).decryptor()  # noqa: S305
    r1 = decryptor.update(key)
    answer = internal_authentication("ssse-3des-card", key + key, r1, b"Now is t")
    assert answer.hex().upper() == "3FA40E8A984D4815"


def test_the_3des_answer_is_r2_under_the_process_key_made_of_r1() -> None:
    irk = secrets.token_bytes(16)
    process_key = des(irk + irk[:8], R1)
    assert internal_authentication("ssse-3des-card", irk, R1, R2) == des(process_key * 3, R2)


def test_card_keys_are_diversified_by_region_then_card() -> None:
    def step(key: bytes, factor: bytes) -> bytes:
        three = key + key[:8]
        return des(three, factor) + des(three, bytes(255 - byte for byte in factor))

    card = HISTORICAL[7:] + b"\0\0"
    assert card_key(MASTER, "ssse-3des-card", CODE, HISTORICAL) == step(MASTER, card)
    assert card_key(MASTER, "ssse-3des-region-card", CODE, HISTORICAL) == step(step(MASTER, b"000000sx"), card)


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_part_of_what_was_asked_matters(recipe: str) -> None:
    honest = answered(recipe)
    assert holder().judge(honest, now=NOW).genuine
    changes: list[dict[str, object]] = [
        {"answer": bytes(8)},
        {"r1": R2},
        {"r2": R1},
        {"atr_historical": HISTORICAL[:-1] + b"\0"},
    ]
    if "region" in recipe:
        changes.append({"identification_code": "110000" + CODE[6:]})
    for change in changes:
        assert not holder().judge(replace(honest, **change), now=NOW).genuine  # type: ignore[arg-type]
    other = LocalChipKeyHolder("test:other", secrets.token_bytes(16), kid=SIGNER.key_id, sign=sign)
    assert not other.judge(honest, now=NOW).genuine


def test_a_statement_is_signed_says_yes_or_no_and_names_no_card() -> None:
    for question, genuine in ((answered(), True), (answered(answer=bytes(8)), False)):
        statement = holder().judge(question, now=NOW)
        assert (statement.holder, statement.genuine, statement.issued_at) == ("test:holder", genuine, NOW.timestamp())
        assert open_statement(statement.token, question, KEYS) == statement
        payload = parse_json(parse_compact(statement.token, typ=STATEMENT_TYPE).payload)
        assert isinstance(payload, dict)
        assert payload.keys() == {"iss", "iat", "answer", "genuine"}
        assert CODE not in str(payload)


def signed(payload: dict[str, object], typ: str = STATEMENT_TYPE, kid: str = SIGNER.key_id) -> str:
    unsigned = UnsignedJws(compact_signing_input({"alg": "ES256", "kid": kid, "typ": typ}, payload))
    return unsigned.complete(sign(unsigned.signing_input))


def test_a_statement_that_is_not_exactly_ours_is_refused() -> None:
    question = answered()
    honest = holder().judge(question, now=NOW).token
    payload = parse_json(parse_compact(honest, typ=STATEMENT_TYPE).payload)
    assert isinstance(payload, dict)
    assert open_statement(signed(payload), question, KEYS).genuine
    refused = [
        "",
        "a.b.c",
        honest + "A",
        honest[:-4],
        "x" * 3000,
        signed(payload, typ="JWT"),
        signed(payload, kid="00000000"),
        signed({**payload, "genuine": 1}),
        signed({**payload, "iat": True}),
        signed({**payload, "iss": None}),
        signed({**payload, "answer": "AA"}),
        signed({**payload, "sub": "x"}),
        signed({key: payload[key] for key in ("iss", "iat", "answer")}),
    ]
    for token in refused:
        with pytest.raises(ChipFault) as fault:
            open_statement(token, question, KEYS)
        assert fault.value.code == "chip_statement_invalid"
    for question_of_others, keys in ((answered(answer=bytes(8)), KEYS), (question, {}), (question, {"x": b"bad"})):
        with pytest.raises(ChipFault):
            open_statement(honest, question_of_others, keys)
    stranger = {SIGNER.key_id: EphemeralSigner().public}
    with pytest.raises(ChipFault):
        open_statement(honest, question, stranger)


def test_the_master_key_never_shows() -> None:
    secret = holder()
    attributes = [name for name in dir(secret) if not name.startswith("_")]
    assert attributes == ["judge"]
    for text in (repr(secret), str(secret), repr([secret])):
        assert MASTER.hex() not in text.lower()
        assert repr(MASTER) not in text
    for leak in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            leak(secret)
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: LocalChipKeyHolder("x", bytes(15), kid="k", sign=sign), "bad_chip_key"),
        (lambda: LocalChipKeyHolder("x", bytes(24), kid="k", sign=sign), "bad_chip_key"),
        (lambda: answered(r1=bytes(7)), "bad_chip_challenge"),
        (lambda: answered(r2=bytes(9)), "bad_chip_challenge"),
        (lambda: answered(answer=bytes(7)), "chip_answer_truncated"),
        (lambda: answered(answer=bytes(16)), "chip_answer_truncated"),
        (lambda: answered(atr_historical=bytes(16)), "chip_atr_malformed"),
        (lambda: holder().judge(answered(atr_historical=bytes(12)), now=NOW), "chip_atr_malformed"),
        (lambda: holder().judge(answered(algorithm="sm4"), now=NOW), "chip_algorithm_unsupported"),
        (lambda: holder().judge(answered(identification_code="x"), now=NOW), "chip_answer_malformed"),
        (lambda: internal_authentication("ssse-3des-card", bytes(8), R1, R2), "bad_chip_key"),
        (lambda: internal_authentication("ssse-3des-card", bytes(16), R1, b""), "bad_chip_challenge"),
    ],
)
def test_what_cannot_be_judged_is_said_so(make: Callable[[], object], code: str) -> None:
    with pytest.raises(EcardError) as error:
        make()
    assert error.value.code == code


def test_a_holder_from_a_file_judges_alike(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(MASTER.hex() + "\n", encoding="ascii")
    path.chmod(0o600)
    from_file = FileChipKeyHolder("test:holder", path, kid=SIGNER.key_id, sign=sign)
    assert from_file.judge(answered(), now=NOW).genuine


def test_a_key_file_that_is_open_to_others_absent_or_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(Unavailable):
        FileChipKeyHolder("x", path, kid="k", sign=sign)
    path.write_bytes(b"\xff" * 32)
    path.chmod(0o600)
    for content in (b"\xff" * 32, b"00" * 15, b"00" * 1000, b""):
        path.write_bytes(content)
        with pytest.raises(InvalidInput) as error:
            FileChipKeyHolder("x", path, kid="k", sign=sign)
        assert error.value.code == "bad_chip_key"
    path.chmod(0o640)
    with pytest.raises(Unavailable) as refused:
        FileChipKeyHolder("x", path, kid="k", sign=sign)
    assert refused.value.code == "chip_key_holder_unavailable"
