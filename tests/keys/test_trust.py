"""What a key in the trust list may have signed, and that odd keys hide no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import ES256, KeyPurpose, KeyRecord, KeyState
from ecard_keys.sm2 import keys as sm2
from ecard_keys.trust.trust import DeniedKey, Trust, TrustedKey
from ecard_keys.trust.trust_list import IssuerEntry, TrustList

POINT = EphemeralSigner().public
T = 1_800_000_000


def record(
    state: KeyState,
    *,
    not_before: int = T,
    retired_from: int | None = None,
    compromised_from: int | None = None,
    kid: str = "0a1b2c3d",
    public: bytes = POINT,
    algorithm: str = ES256,
    purpose: KeyPurpose = KeyPurpose.CREDENTIAL,
    user_id: bytes | None = None,
) -> KeyRecord:
    return KeyRecord(kid, purpose, state, algorithm, public, not_before, retired_from, compromised_from, user_id)


def issuer(name: str, *records: KeyRecord) -> IssuerEntry:
    return IssuerEntry(f"https://{name}.example", f"https://{name}.example/status-lists/{{list}}", (), records)


def trust(*issuers: IssuerEntry, skipped: int = 0) -> Trust:
    return Trust.of(TrustList(1, T, T + 1000, None, issuers, skipped=skipped))


def only(entry: KeyRecord) -> TrustedKey:
    (candidate,) = trust(issuer("a", entry)).candidates(entry.kid, entry.purpose)
    return candidate


@pytest.mark.parametrize(
    ("key", "signed_at", "refusal"),
    [
        (record(KeyState.ACTIVE), T, None),
        (record(KeyState.ACTIVE), T - 60, None),
        (record(KeyState.ACTIVE), T - 61, "key_not_active"),
        (record(KeyState.ACTIVE), T - 600, "key_not_active"),
        (record(KeyState.ACTIVE, retired_from=T + 100), T + 160, None),
        (record(KeyState.ACTIVE, retired_from=T + 100), T + 161, "key_retired"),
        (record(KeyState.NEXT, not_before=T - 500), T - 100, "key_not_active"),  # the list knows better
        (record(KeyState.NEXT, not_before=T - 500), T + 100, None),  # promoted since, for all this list can know
        (record(KeyState.NEXT, not_before=T + 500), T + 100, "key_not_active"),
        (record(KeyState.NEXT, not_before=T + 500), T + 500, None),
        (record(KeyState.VERIFY_ONLY, retired_from=T + 100), T + 100, None),
        (record(KeyState.VERIFY_ONLY, retired_from=T + 100), T + 160, None),
        (record(KeyState.VERIFY_ONLY, retired_from=T + 100), T + 161, "key_retired"),
        (record(KeyState.VERIFY_ONLY, retired_from=T + 100), T - 61, "key_not_active"),
        (record(KeyState.RETIRED), T, "key_retired"),
        (record(KeyState.RETIRED, retired_from=T + 100), T, "key_retired"),
        (record(KeyState.COMPROMISED), T, "key_compromised"),
        (record(KeyState.COMPROMISED, compromised_from=0), T, "key_compromised"),
        (record(KeyState.COMPROMISED, compromised_from=T + 10), T + 10, None),
        (record(KeyState.COMPROMISED, compromised_from=T + 10), T + 11, "key_compromised"),
        (record(KeyState.COMPROMISED, compromised_from=T + 10, retired_from=T - 90), T, "key_retired"),
        (record(KeyState.COMPROMISED, compromised_from=T + 10), T - 61, "key_not_active"),
        # A cut-off counts whatever the state says.
        (record(KeyState.ACTIVE, compromised_from=T + 10), T + 11, "key_compromised"),
        (record(KeyState.RETIRED, compromised_from=0), T, "key_compromised"),
    ],
)
def test_state_and_times_decide_what_a_key_may_have_signed(key: KeyRecord, signed_at: int, refusal: str | None) -> None:
    assert only(key).accepts(signed_at) == refusal


@given(st.integers(0, 2 * T), st.integers(0, 2 * T))
def test_a_retired_key_is_never_accepted(not_before: int, signed_at: int) -> None:
    assert only(record(KeyState.RETIRED, not_before=not_before)).accepts(signed_at) is not None


@pytest.mark.parametrize("other", [KeyState.ACTIVE, KeyState.COMPROMISED])
def test_a_key_listed_twice_is_good_for_nothing(other: KeyState) -> None:
    """Roots might sign an issuer's claim to another's key, or a compromised key once more as a living one."""
    listed = trust(issuer("a", record(KeyState.ACTIVE)), issuer("b", record(other)))
    assert listed.candidates("0a1b2c3d", KeyPurpose.CREDENTIAL) == ()
    assert listed.skipped == 2


def test_a_key_is_found_under_its_purpose_only() -> None:
    house = trust(issuer("a", record(KeyState.ACTIVE, purpose=KeyPurpose.STATUS)))
    assert len(house.candidates("0a1b2c3d", KeyPurpose.STATUS)) == 1
    for purpose in set(KeyPurpose) - {KeyPurpose.STATUS}:
        assert not house.candidates("0a1b2c3d", purpose)
    assert not house.candidates("ffffffff", KeyPurpose.STATUS)


def test_two_keys_of_one_kid_are_both_candidates_with_their_issuers() -> None:
    twin = record(KeyState.ACTIVE, public=EphemeralSigner().public)
    found = trust(issuer("a", record(KeyState.ACTIVE)), issuer("b", twin)).candidates(twin.kid, twin.purpose)
    assert [(key.issuer.issuer, key.record.public) for key in found] == [
        ("https://a.example", POINT),
        ("https://b.example", twin.public),
    ]


def test_odd_keys_are_skipped_one_by_one_and_counted() -> None:
    off_curve = POINT[:64] + bytes([POINT[64] ^ 1])
    house = trust(
        issuer(
            "a",
            record(KeyState.ACTIVE, public=off_curve),
            record(KeyState.ACTIVE),
            record(KeyState.ACTIVE, algorithm="SM2", public=b"\x04" + bytes(64), user_id=b""),
            record(KeyState.ACTIVE, algorithm="ML-DSA-65", public=bytes(1952)),
            record(KeyState.ACTIVE, algorithm="SM9", public=bytes(64)),
        ),
        skipped=2,
    )
    assert [key.record.public for key in house.candidates("0a1b2c3d", KeyPurpose.CREDENTIAL)] == [POINT]
    assert house.skipped == 6


def test_a_throwaway_key_stands_in_under_the_name_of_a_real_one() -> None:
    stand_in = EphemeralSigner("0a1b2c3d")
    (found,) = trust(issuer("a", stand_in.record(KeyPurpose.CREDENTIAL))).candidates("0a1b2c3d", KeyPurpose.CREDENTIAL)
    assert found.record.public == stand_in.public == stand_in.public_key("0a1b2c3d")
    assert found.accepts(T) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "0A1B2C3D"},
        {"kid": "0a1b2c3"},
        {"kid": "0a1b2c3d\n"},
        {"public": POINT[:33]},
        {"public": b""},
        {"algorithm": ""},
        {"not_before": -1},
        {"not_before": True},
        {"retired_from": 2**53},
        {"algorithm": "SM2"},
        {"algorithm": "SM2", "user_id": bytes(257)},
        {"algorithm": "SM2", "user_id": b"", "public": POINT[:64]},
        {"user_id": b"1234567812345678"},
        {"algorithm": "ML-DSA-65", "public": bytes(1952), "user_id": b""},
    ],
)
def test_a_key_record_out_of_bounds_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        record(KeyState.ACTIVE, **change)  # type: ignore[arg-type]
    assert refusal.value.code == "bad_key_record"


def test_a_verify_only_key_says_since_when() -> None:
    with pytest.raises(InvalidInput):
        record(KeyState.VERIFY_ONLY)


THUMBPRINT = jose.thumbprint(jose.jwk_of(POINT))


def denied(entry: KeyRecord, *cut_offs: int | None) -> TrustedKey:
    house = trust(issuer("a", entry)).denying([DeniedKey(THUMBPRINT, cut_off) for cut_off in cut_offs])
    (candidate,) = house.candidates(entry.kid, entry.purpose)
    return candidate


@pytest.mark.parametrize(
    ("entry", "cut_offs", "good_until"),
    [
        (record(KeyState.ACTIVE), (T + 50,), T + 50),
        (record(KeyState.ACTIVE), (T + 50, T + 20), T + 20),
        (record(KeyState.ACTIVE), (T + 50, None), None),
        (record(KeyState.ACTIVE), (None,), None),
        (record(KeyState.ACTIVE), (0,), None),
        (record(KeyState.NEXT, not_before=T - 500), (None,), None),
        (record(KeyState.VERIFY_ONLY, retired_from=T + 500), (T + 50,), T + 50),
        (record(KeyState.COMPROMISED, compromised_from=T + 20), (T + 50,), T + 20),
        (record(KeyState.COMPROMISED, compromised_from=T + 90), (T + 50,), T + 50),
        (record(KeyState.COMPROMISED), (T + 50,), None),
        (record(KeyState.COMPROMISED, compromised_from=0), (T + 50,), None),
        (record(KeyState.ACTIVE, compromised_from=T + 20), (T + 50,), T + 20),
    ],
)
def test_of_list_and_denials_the_stricter_word_holds(
    entry: KeyRecord, cut_offs: tuple[int | None, ...], good_until: int | None
) -> None:
    key = denied(entry, *cut_offs)
    for moment in range(T, T + 120, 10):
        expected = None if good_until is not None and moment <= good_until else "key_compromised"
        assert key.accepts(moment) == expected


def test_a_denial_takes_nothing_from_other_keys_and_gives_nothing_back() -> None:
    other = record(KeyState.ACTIVE, public=EphemeralSigner().public)
    retired = record(KeyState.RETIRED, kid="11111111", public=EphemeralSigner().public)
    house = trust(issuer("a", record(KeyState.ACTIVE), other, retired))
    later = house.denying([DeniedKey(THUMBPRINT, None), DeniedKey(bytes(32), None)])
    refusals = {key.record.public: key.accepts(T) for key in later.candidates("0a1b2c3d", KeyPurpose.CREDENTIAL)}
    assert refusals == {POINT: "key_compromised", other.public: None}
    assert later.candidates("11111111", KeyPurpose.CREDENTIAL)[0].accepts(T) == "key_retired"
    assert house.candidates("0a1b2c3d", KeyPurpose.CREDENTIAL)[0].accepts(T) is None  # the old one is as it was
    assert later.denying([]) is later.denying([DeniedKey(THUMBPRINT, None)]) is later
    assert len(later.denying([DeniedKey(THUMBPRINT, T)]).denied) == 3


def test_a_denial_of_a_retired_key_still_says_why() -> None:
    assert denied(record(KeyState.RETIRED), None).accepts(T) == "key_compromised"


@pytest.mark.parametrize("state", [KeyState.GENERATED, KeyState.DESTROYED])
def test_a_key_in_a_state_that_is_never_published_is_no_candidate(state: KeyState) -> None:
    house = trust(issuer("a", record(state)))
    assert (house.candidates("0a1b2c3d", KeyPurpose.CREDENTIAL), house.skipped) == ((), 1)


def test_an_sm2_key_stays_a_candidate_where_nobody_can_compute_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown and not computable are two things: the one refuses, the other leaves undecided."""
    entry = EphemeralSigner(algorithm=Algorithm.SM2).record(KeyPurpose.CREDENTIAL)
    assert only(entry).loaded() is not None
    monkeypatch.setattr(sm2, "_found", lambda: None)
    with pytest.raises(Unavailable) as refusal:
        only(entry).loaded()
    assert refusal.value.code == "algorithm_unavailable"
