"""Quotas: so many documents per caller, profile and hour; a restart gives nothing away."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.desk import quotas
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.quotas import Quotas, load, start_of_hour, store
from ecard_keys.key import KeyPurpose
from tests.keys.desk_support import NOW, Bench


def spent(limit: Quotas, count: int, caller: str = "issuer", profile: str = "credential", after: int = 0) -> bool:
    try:
        limit.take(caller, profile, count, NOW + timedelta(minutes=after))
    except Unavailable as error:
        return error.code == "signing_quota_spent"
    return False


def test_each_caller_and_profile_has_its_own_hour() -> None:
    limit = Quotas(limits={("issuer", "credential"): 10, ("other", "credential"): 5})
    assert not spent(limit, 10)
    assert spent(limit, 1)
    assert not spent(limit, 5, "other")
    assert not spent(limit, 7, profile="event")
    assert not spent(limit, 10, after=30)  # 13:00: the next hour
    assert spent(limit, 1, after=0)  # a clock set back gives nothing


def test_what_does_not_fit_costs_nothing() -> None:
    limit = Quotas(limits={("issuer", "credential"): 10})
    assert spent(limit, 11)
    assert not spent(limit, 10)


def test_a_restart_counts_again_from_the_journal(tmp_path: Path) -> None:
    limits = {("issuer", "credential"): 3}
    bench = Bench(tmp_path, quotas=Quotas(limits=limits))
    bench.desk.sign(SigningProfile.CREDENTIAL, bench.kid, bench.pair() * 2, NOW)
    with pytest.raises(InvalidInput):
        bench.desk.sign(SigningProfile.CREDENTIAL, bench.kid, [b"refused", b"costs nothing"], NOW)
    again = Quotas(limits=limits, spent=bench.journal.entries(since=start_of_hour(NOW)))
    assert not spent(again, 1)
    assert spent(again, 1)
    assert not spent(Quotas(limits=limits, spent=bench.journal.entries()), 3, after=30)


def test_a_spent_quota_signs_nothing_and_is_no_journal_line(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quotas=Quotas(limits={("issuer", "event"): 1}))
    key = bench.keys[KeyPurpose.EVENT]
    bench.desk.sign(SigningProfile.EVENT, key, [bench.event()], NOW)
    with pytest.raises(Unavailable) as refused:
        bench.desk.sign(SigningProfile.EVENT, key, [bench.event()], NOW)
    assert (refused.value.code, refused.value.retryable) == ("signing_quota_spent", True)
    assert len(list(bench.journal.entries())) == 1


def test_the_file_of_limits_is_obeyed_from_the_next_request_on(tmp_path: Path) -> None:
    path = tmp_path / quotas.FILE
    limit = Quotas(path, {("issuer", "credential"): 1})
    assert load(path) == {}
    assert spent(limit, 2)
    store(path, {("issuer", "credential"): 2})
    assert load(path) == {("issuer", "credential"): 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert not spent(limit, 2)
    assert limit.limit("issuer", "credential") == 2
    path.unlink()
    assert limit.limit("issuer", "credential") == 1
    assert limit.limit("issuer", "unheard-of") == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"format":"ecard-quotas/1"}',
        '{"format":"ecard-quotas/1","limits":[{"caller":"a","profile":"b","per_hour":-1}]}',
        '{"format":"ecard-quotas/1","limits":[{"caller":"a","profile":"b","per_hour":true}]}',
        '{"format":"ecard-quotas/1","limits":[{"caller":"a","profile":"b"}]}',
        '{"format":"ecard-quotas/1","limits":[],"more":1}',
        '{"format":"ecard-quotas/2","limits":[]}',
    ],
)
def test_a_file_that_cannot_be_read_is_no_permission(tmp_path: Path, text: str) -> None:
    path = tmp_path / quotas.FILE
    path.write_text(text)
    with pytest.raises(Unavailable, match="signing_quotas_unreadable"):
        Quotas(path).take("issuer", "credential", 1, NOW)


@pytest.mark.parametrize("limit", [-1, 10**9 + 1, True])
def test_only_whole_numbers_are_stored(tmp_path: Path, limit: int) -> None:
    with pytest.raises(InvalidInput, match="bad_quota"):
        store(tmp_path / quotas.FILE, {("issuer", "credential"): limit})
    assert not (tmp_path / quotas.FILE).exists()
