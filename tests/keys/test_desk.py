"""The signing desk: what it writes down, when it refuses, and that it refuses rather than sign unrecorded."""

from __future__ import annotations

import shutil
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from ecard_card.errors import EcardError, InvalidInput, NotAllowed, NotFound, Unavailable
from ecard_keys.desk.desk import MAX_DRAFTS, LocalDesk, SigningProfile
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.desk.quotas import Quotas
from ecard_keys.key import KeyPurpose
from tests.keys.desk_support import NOW, RULES, Bench

CREDENTIAL = SigningProfile.CREDENTIAL


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def code(bench: Bench, *arguments: object) -> str:
    with pytest.raises(EcardError) as refused:
        bench.desk.sign(*arguments)  # type: ignore[arg-type]
    return refused.value.code


def test_what_is_signed_stands_in_the_journal_before_the_key_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    sign = bench.home.sign

    def watched(key_id: str, messages: object) -> list[bytes]:
        seen.append([draft for entry in Journal(bench.journal.folder).entries() for draft in entry.drafts])
        return sign(key_id, messages)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.home, "sign", watched)
    drafts = bench.pair()
    bench.desk.sign(CREDENTIAL, bench.kid, drafts, NOW)
    assert seen == [[sha256(draft).hexdigest() for draft in drafts]]


def test_no_journal_no_signature(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = bench.pair()
    monkeypatch.setattr(bench.home, "sign", lambda *_: pytest.fail("signed without a journal"))
    shutil.rmtree(bench.journal.folder)
    assert code(bench, CREDENTIAL, bench.kid, drafts, NOW) == "signing_journal_unavailable"


def test_a_home_that_is_away_says_so_and_the_journal_keeps_the_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> list[bytes]:
        raise Unavailable("key_home_sealed", "sealed")

    monkeypatch.setattr(bench.home, "sign", away)
    assert code(bench, CREDENTIAL, bench.kid, bench.pair(), NOW) == "key_home_sealed"
    assert [entry.outcome for entry in bench.journal.entries()] == [Outcome.SIGNING]


@pytest.mark.parametrize("seconds", [-601, 601])
def test_a_caller_in_another_time_gets_nothing(bench: Bench, seconds: int) -> None:
    drafts = bench.pair()
    assert code(bench, CREDENTIAL, bench.kid, drafts, NOW + timedelta(seconds=seconds)) == "clock_skew_too_large"
    assert list(bench.journal.entries()) == []


def test_what_is_no_request_is_refused(bench: Bench) -> None:
    drafts = bench.pair()
    assert code(bench, CREDENTIAL, bench.kid, drafts, NOW.replace(tzinfo=None)) == "time_without_zone"
    assert code(bench, CREDENTIAL, bench.kid, ["text"], NOW) == "bad_message"
    assert code(bench, CREDENTIAL, bench.kid, drafts * MAX_DRAFTS, NOW) == "too_many_drafts"
    assert code(bench, CREDENTIAL, "00000000", drafts, NOW) == "key_unknown"
    assert bench.desk.sign(CREDENTIAL, bench.kid, [], NOW) == []
    assert list(bench.journal.entries()) == []


def test_a_key_made_or_destroyed_later_is_noticed(bench: Bench) -> None:
    bench.desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    bench.keys[KeyPurpose.CREDENTIAL] = bench.home.create(KeyPurpose.CREDENTIAL, NOW)
    bench.desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    bench.home.destroy(bench.kid)
    with pytest.raises(NotFound):
        bench.desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)


def test_a_caller_has_the_profiles_it_was_given(bench: Bench) -> None:
    desk = LocalDesk(
        bench.home, [RULES], bench.journal, Quotas(), bench.clock, "lists", profiles=[SigningProfile.STATUS_LIST]
    )
    assert desk.sign(SigningProfile.STATUS_LIST, bench.keys[KeyPurpose.STATUS], [bench.status_jwt()], NOW)
    with pytest.raises(NotAllowed, match="signer_right_missing"):
        desk.sign(CREDENTIAL, bench.kid, bench.pair(), NOW)
    assert [entry.caller for entry in bench.journal.entries()] == ["lists"]


@pytest.mark.parametrize("purpose", [KeyPurpose.CHIP, KeyPurpose.TRUST, KeyPurpose.LOG])
def test_keys_of_other_purposes_never_sign_here(bench: Bench, purpose: KeyPurpose) -> None:
    other = bench.home.create(purpose, NOW)
    for profile in SigningProfile:
        with pytest.raises(InvalidInput, match="purpose"):
            bench.desk.sign(profile, other, bench.pair(), NOW)
