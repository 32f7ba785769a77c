"""The key ring: first start, rotation, and the trust list that tells of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import CheckFailed, Conflict, InvalidInput, NotFound, RuleViolation
from ecard_issuer.assembly import build
from ecard_issuer.config import load
from ecard_issuer.keyring import PURPOSES, KeyRing
from ecard_issuer.rows import TrustListRow
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose, KeyState
from tests.issuer.service import START, Service, open_service


def test_first_start_makes_one_active_key_per_purpose_and_a_trust_list_that_names_them(service: Service) -> None:
    records = service.issuer.keys.records()
    assert [(record.purpose, record.state) for record in records] == [
        (purpose, KeyState.ACTIVE) for purpose in sorted(PURPOSES)
    ]
    trust = service.issuer.keys.trust(service.clock())
    assert trust.version == 1
    for record in records:
        assert [key.record for key in trust.candidates(record.kid, record.purpose)] == [record]


def test_a_restart_keeps_keys_root_and_trust_list(tmp_path: Path) -> None:
    first = open_service(tmp_path)
    before = first.issuer.keys.records(), first.issuer.keys.root(), first.issuer.keys.document()
    first.issuer.close()
    again = open_service(tmp_path)
    assert (again.issuer.keys.records(), again.issuer.keys.root(), again.issuer.keys.document()) == before
    again.issuer.close()


def test_the_root_keys_lie_in_a_file_of_their_own(service: Service, tmp_path: Path) -> None:
    root = service.issuer.keys.root()
    assert (len(root.holders), root.threshold) == (3, 2)
    held = {key.public for key in service.issuer.signer.held()}
    assert held.isdisjoint(key for holder in root.holders for key in (holder.es256, holder.ml_dsa_65))
    assert (tmp_path / "root-keys.json").stat().st_mode & 0o077 == 0


def test_a_next_key_is_published_and_does_not_sign(service: Service) -> None:
    keys = service.issuer.keys
    active = keys.active(KeyPurpose.CREDENTIAL)
    made = keys.create_next(KeyPurpose.CREDENTIAL, service.clock.advance(1))
    assert made.state is KeyState.NEXT
    assert keys.active(KeyPurpose.CREDENTIAL) == active
    (found,) = keys.trust(service.clock()).candidates(made.kid, KeyPurpose.CREDENTIAL)
    assert found.record == made
    assert found.accepts(int(service.clock().timestamp()) - 61) == "key_not_active"


def test_promotion_swaps_both_keys_in_one_published_step(service: Service) -> None:
    keys = service.issuer.keys
    old = keys.active(KeyPurpose.CREDENTIAL)
    made = keys.create_next(KeyPurpose.CREDENTIAL, service.clock.advance(10))
    keys.promote(made.kid, service.clock.advance(100))
    now = int(service.clock().timestamp())
    assert keys.active(KeyPurpose.CREDENTIAL).kid == made.kid
    trust = keys.trust(service.clock())
    assert trust.version == 3
    (retired,) = trust.candidates(old.kid, KeyPurpose.CREDENTIAL)
    assert retired.record.state is KeyState.VERIFY_ONLY
    assert retired.accepts(now - 10) is None
    assert retired.accepts(now + 61) == "key_retired"
    assert trust.candidates(made.kid, KeyPurpose.CREDENTIAL)[0].accepts(now) is None


def test_a_new_event_key_waits_until_followers_have_heard_of_its_promotion(service: Service) -> None:
    keys = service.issuer.keys
    old = keys.active(KeyPurpose.EVENT)
    made = keys.create_next(KeyPurpose.EVENT, service.clock.advance(1))
    keys.promote(made.kid, service.clock.advance(1))
    assert keys.event_key(service.clock()).kid == old.kid
    assert keys.event_key(service.clock.advance(11)).kid == made.kid


@pytest.mark.parametrize("kid", ["00000000", "active"])
def test_only_a_waiting_key_can_be_promoted(service: Service, kid: str) -> None:
    keys = service.issuer.keys
    wanted = keys.active(KeyPurpose.STATUS).kid if kid == "active" else kid
    with pytest.raises((NotFound, RuleViolation)) as refused:
        keys.promote(wanted, START)
    assert refused.value.code in ("key_unknown", "key_change_impossible")


def test_a_second_waiting_key_and_a_foreign_purpose_are_refused(service: Service) -> None:
    service.issuer.keys.create_next(KeyPurpose.STATUS, START)
    with pytest.raises(Conflict, match="next_key_exists"):
        service.issuer.keys.create_next(KeyPurpose.STATUS, START)
    with pytest.raises(InvalidInput, match="bad_key_purpose"):
        service.issuer.keys.create_next(KeyPurpose.TRUST, START)


def test_of_two_processes_that_make_a_waiting_key_at_once_one_does_and_the_others_key_is_destroyed(
    service: Service, tmp_path: Path
) -> None:
    issuer, rivals = service.issuer, []

    class Late(FileKeyHome):
        """While it makes its key, another process has made one."""

        def create(self, purpose: KeyPurpose, now: datetime) -> str:
            kid = super().create(purpose, now)
            rivals.append(issuer.keys.create_next(purpose, now))
            return kid

    home = Late(tmp_path / "late.json", b"only for tests")
    with pytest.raises(Conflict, match="next_key_exists"):
        KeyRing(issuer.register, home, issuer.keys.board, issuer.identity).create_next(KeyPurpose.STATUS, START)
    waiting = [record for record in issuer.keys.records() if record.state is KeyState.NEXT]
    assert waiting == rivals
    assert home.held() == ()


def test_a_list_published_with_what_another_process_changed_meanwhile_is_followed_by_one_that_says_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process is faster with its change, and slower with its list."""
    keys, register = service.issuer.keys, service.issuer.register
    made = keys.create_next(KeyPurpose.STATUS, service.clock())
    publish = keys.board.publish
    changed: list[object] = []

    def late(*given: Any) -> bool:
        if not changed:
            changed.append(register.activate_key("status", made.kid, service.clock.advance(1)))
        return publish(*given)

    monkeypatch.setattr(keys.board, "publish", late)
    keys.publish(service.clock())
    assert keys.board.is_current(keys.entry())
    (found,) = keys.trust(service.clock()).candidates(made.kid, KeyPurpose.STATUS)
    assert found.record.state is KeyState.ACTIVE


def test_the_trust_list_is_renewed_at_half_its_life_and_only_then(service: Service) -> None:
    keys = service.issuer.keys
    assert not keys.refresh(service.clock.advance(14 * 86400))
    assert keys.refresh(service.clock.advance(2 * 86400))
    assert keys.trust(service.clock()).version == 2


def test_an_expired_trust_list_is_succeeded_after_a_long_stop(tmp_path: Path) -> None:
    first = open_service(tmp_path)
    first.issuer.close()
    first.clock.advance(90 * 86400)
    again = open_service(tmp_path, first.clock)
    assert again.issuer.keys.trust(again.clock()).version == 2
    again.issuer.close()


def test_a_trust_list_written_behind_our_back_is_noticed(service: Service) -> None:
    forged = service.issuer.keys.document().replace(b'"signature":"', b'"signature":"AA')
    service.issuer.register.add_trust_list(TrustListRow(2, forged, START))
    with pytest.raises(CheckFailed, match="trust_"):
        service.issuer.keys.refresh(START)


def test_a_register_of_another_issuer_is_not_opened(tmp_path: Path) -> None:
    open_service(tmp_path).issuer.close()
    with pytest.raises(Conflict, match="issuer_changed"):
        build(load(data_dir=tmp_path, public_origin="https://other.example"))


def test_without_a_configured_origin_the_register_says_who_we_are(tmp_path: Path) -> None:
    open_service(tmp_path).issuer.close()
    again = build(load(data_dir=tmp_path, port=1234))
    assert (again.identity.issuer, again.identity.regions) == ("https://issuer.example", ("000000",))
    assert again.keys.trust(again.clock()).version == 1  # a command without settings publishes nothing new
    again.close()


def test_a_crash_between_a_promotion_and_its_publishing_is_mended_at_the_next_start(tmp_path: Path) -> None:
    first = open_service(tmp_path)
    made = first.issuer.keys.create_next(KeyPurpose.CREDENTIAL, first.clock())
    first.issuer.register.activate_key("credential", made.kid, first.clock.advance(1))
    first.issuer.close()
    again = open_service(tmp_path, first.clock)
    (found,) = again.issuer.keys.trust(again.clock()).candidates(made.kid, KeyPurpose.CREDENTIAL)
    assert found.record.state is KeyState.ACTIVE
    again.issuer.close()
