"""The register's contract: what happens to keys, their schedules, trust lists and roots."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.jose import b64url_encode
from ecard_issuer.ports import Register
from ecard_issuer.rows import KeyScheduleRow, KeyUsage, TrustListRow, TrustRootRow
from ecard_issuer.states import OutboxKind
from tests.contracts.register_world import LATER, NOW, World, refused
from tests.contracts.register_world import key_row as key

DAY = timedelta(days=1)


def states(register: Register, purpose: str = "credential") -> dict[str, str]:
    return {item.kid: item.state for item in register.list_keys([purpose])}


class KeysContract:
    def test_one_key_of_a_purpose_is_active(self, register: Register) -> None:
        register.add_key(key("aaaa0001", "active"))
        register.add_key(key("aaaa0002"))
        register.add_key(key("aaaa0001", "active", "status"))
        with refused(Conflict, "key_exists"):
            register.add_key(key("aaaa0002"))
        with refused(Conflict, "key_already_active"):
            register.add_key(key("aaaa0003", "active"))
        assert register.activate_key("credential", "aaaa0002", LATER).activated_at == LATER
        assert states(register) == {"aaaa0001": "verify-only", "aaaa0002": "active"}
        assert states(register, "status") == {"aaaa0001": "active"}
        assert register.list_keys(["credential"])[0].retired_from == LATER
        with refused(RuleViolation, "key_change_impossible"):
            register.activate_key("credential", "aaaa0001", LATER)
        with refused(NotFound, "key_unknown"):
            register.activate_key("credential", "ffff0000", LATER)

    def test_one_key_of_a_purpose_waits_generated_or_next(self, register: Register) -> None:
        register.add_key(key("aaaa0001"))
        for state in ("next", "generated"):
            with refused(Conflict, "next_key_exists"):
                register.add_key(key("aaaa0002", state))
        with refused(Conflict, "key_exists"):
            register.add_key(key("aaaa0001"))
        register.add_key(key("aaaa0002", purpose="status"))
        register.activate_key("credential", "aaaa0001", LATER)
        register.add_key(key("aaaa0003", "generated"))
        assert states(register) == {"aaaa0001": "active", "aaaa0003": "generated"}

    def test_an_sm2_key_keeps_its_user_id(self, register: Register) -> None:
        made = replace(key("aaaa0001"), algorithm="SM2", user_id=b"1234567812345678")
        register.add_key(made)
        assert register.list_keys(["credential"]) == (made,)

    def test_a_generated_key_is_published_by_the_list_that_names_it(self, register: Register) -> None:
        register.add_key(key("aaaa0001", "active"))
        register.add_key(key("aaaa0002", "generated"))
        with refused(RuleViolation, "key_change_impossible"):
            register.activate_key("credential", "aaaa0002", LATER)
        register.add_trust_list(TrustListRow(1, b"one", NOW), [("credential", "aaaa0001")])
        assert states(register)["aaaa0002"] == "generated"
        both = [("credential", "aaaa0001"), ("credential", "aaaa0002"), ("credential", "ffffffff")]
        register.add_trust_list(TrustListRow(2, b"two", LATER), both)
        found = {item.kid: (item.state, item.published_at) for item in register.list_keys(["credential"])}
        assert found == {"aaaa0001": ("active", NOW), "aaaa0002": ("next", LATER)}
        with refused(Conflict, "trust_list_version_taken"):
            register.add_trust_list(TrustListRow(2, b"other", LATER), both)

    def test_a_key_that_live_credentials_or_plans_name_is_not_retired(self, register: Register, world: World) -> None:
        kid = world.signing_key()
        with refused(RuleViolation, "key_change_impossible"):
            register.retire_key("credential", kid, NOW)
        plan = world.plan(world.card())
        ended, voided = world.issue(world.card()), world.plan(world.card())
        assert register.key_usage("credential", kid, NOW) == KeyUsage(1, ended.expires_at, 2)
        register.add_key(key("aaaa0002"))
        register.activate_key("credential", "aaaa0002", NOW)
        register.void_plan(voided.card_ref, voided.plan_id, NOW)
        with refused(RuleViolation, "key_still_named"):
            register.retire_key("credential", kid, ended.expires_at)  # the open plan alone
        credential = world.commit(plan)  # begun before the rotation, and kept after it
        with refused(RuleViolation, "key_still_named"):
            register.retire_key("credential", kid, credential.expires_at - timedelta(microseconds=1))
        assert register.key_usage("credential", kid, credential.expires_at) == KeyUsage(0, credential.expires_at, 0)
        assert register.key_usage("status", kid, NOW) == KeyUsage(0, None, 0)
        retired = register.retire_key("credential", kid, credential.expires_at)
        assert (retired.state, retired.retired_at, retired.retired_from) == ("retired", credential.expires_at, NOW)
        with refused(NotFound, "key_unknown"):
            register.retire_key("credential", "ffffffff", LATER)

    def test_nothing_is_planned_or_kept_under_a_key_that_does_not_sign(self, register: Register, world: World) -> None:
        card = world.card()
        kid = world.signing_key()
        draft, plan = world.draft(card, world.prove(card)), world.plan(world.card())
        register.add_key(key("aaaa0002"))
        register.activate_key("credential", "aaaa0002", NOW)
        register.add_key(key("aaaa0003"))
        register.add_key(key("aaaa0004", "active", "status"))
        for wrong in (kid, "aaaa0003", "aaaa0004", "ffffffff"):
            with refused(RuleViolation, "key_not_active"):
                register.plan_issuance(replace(draft, key_id=wrong), NOW)
        assert register.find_binding(card.card_ref) is None
        register.compromise_key("credential", kid, None, LATER)
        with refused(RuleViolation, "key_not_active"):
            world.commit(plan)
        assert register.find_credential(plan.credential_id) is None

    def test_a_stolen_key_has_its_successor_and_its_news_in_one_step(self, register: Register, world: World) -> None:
        register.add_key(key("aaaa0001", "active"))
        register.add_key(key("aaaa0002", "generated"))
        with refused(NotFound, "key_unknown"):
            register.compromise_key("credential", "aaaa0001", NOW, LATER, successor="ffffffff")
        assert states(register) == {"aaaa0001": "active", "aaaa0002": "generated"}
        assert world.outbox() == []
        stolen = register.compromise_key("credential", "aaaa0001", NOW, LATER, successor="aaaa0002")
        assert (stolen.state, stolen.compromised_from, stolen.compromised_at) == ("compromised", NOW, LATER)
        assert states(register) == {"aaaa0001": "compromised", "aaaa0002": "active"}
        (told,) = world.outbox()
        assert (told.kind, told.body) == (
            OutboxKind.KEY_COMPROMISED,
            {
                "purpose": "credential",
                "kid": "aaaa0001",
                "public": b64url_encode(stolen.public),
                "algorithm": "ES256",
                "cut_off": int(NOW.timestamp()),
            },
        )
        for change in (register.retire_key, register.destroy_key, register.activate_key):
            with refused(RuleViolation, "key_change_impossible"):
                change("credential", "aaaa0001", LATER)

    @pytest.mark.parametrize("state", ["generated", "next", "retired"])
    def test_the_theft_of_a_key_that_does_not_sign_gives_back_nothing(self, register: Register, state: str) -> None:
        """A cut-off lets through what was signed before it; of such a key nothing was believed before the theft."""
        register.add_key(key("aaaa0001", state))
        assert register.compromise_key("credential", "aaaa0001", NOW, LATER).compromised_from is None

    def test_what_was_said_of_a_stolen_key_only_gets_stricter(self, register: Register, world: World) -> None:
        register.add_key(key("aaaa0001", "active"))
        register.compromise_key("credential", "aaaa0001", LATER, LATER)
        for cut_off in (LATER, LATER + DAY):
            with refused(RuleViolation, "key_change_impossible"):
                register.compromise_key("credential", "aaaa0001", cut_off, LATER + DAY)
        earlier = register.compromise_key("credential", "aaaa0001", NOW, LATER + DAY)
        assert (earlier.compromised_from, earlier.compromised_at) == (NOW, LATER)
        assert register.compromise_key("credential", "aaaa0001", None, LATER + DAY).compromised_from is None
        with refused(RuleViolation, "key_change_impossible"):
            register.compromise_key("credential", "aaaa0001", NOW, LATER + DAY)
        told = [row.body["cut_off"] for row in world.outbox(LATER + 2 * DAY)]
        assert told == [int(LATER.timestamp()), int(NOW.timestamp()), None]

    def test_the_next_key_signs_after_the_active_one_was_stolen(self, register: Register) -> None:
        register.add_key(key("aaaa0001", "active"))
        register.compromise_key("credential", "aaaa0001", None, NOW)
        register.add_key(key("aaaa0002"))
        assert register.activate_key("credential", "aaaa0002", LATER).state == "active"
        register.add_key(key("aaaa0003"))
        with refused(RuleViolation, "key_change_impossible"):  # the active key was not the stolen one
            register.compromise_key("credential", "aaaa0001", None, LATER, successor="aaaa0003")
        register.add_key(key("bbbb0001", "verify-only"))
        with refused(RuleViolation, "key_change_impossible"):
            register.compromise_key("credential", "bbbb0001", None, LATER, successor="aaaa0003")
        assert states(register)["bbbb0001"] == "verify-only"

    def test_only_what_nobody_needs_is_destroyed(self, register: Register) -> None:
        register.add_key(key("aaaa0001", "generated"))
        gone = register.destroy_key("credential", "aaaa0001", LATER)
        assert (gone.state, gone.destroyed_at) == ("destroyed", LATER)
        for kid, state in (("aaaa0002", "next"), ("aaaa0003", "active"), ("aaaa0004", "verify-only")):
            register.add_key(key(kid, state))
            with refused(RuleViolation, "key_change_impossible"):
                register.destroy_key("credential", kid, LATER)
        register.retire_key("credential", "aaaa0004", LATER)
        assert register.destroy_key("credential", "aaaa0004", LATER).state == "destroyed"
        with refused(RuleViolation, "key_change_impossible"):
            register.destroy_key("credential", "aaaa0004", LATER)
        with refused(NotFound, "key_unknown"):
            register.destroy_key("credential", "ffffffff", LATER)

    def test_a_schedule_is_set_replaced_and_cleared(self, register: Register) -> None:
        first = KeyScheduleRow("status", 30 * DAY, "anna", NOW)
        register.set_schedule(KeyScheduleRow("credential", 90 * DAY, "anna", NOW))
        register.set_schedule(first)
        changed = replace(first, every=7 * DAY, set_by="ben", set_at=LATER)
        register.set_schedule(changed)
        assert [(row.purpose, row.every) for row in register.schedules()] == [
            ("credential", 90 * DAY),
            ("status", 7 * DAY),
        ]
        assert register.schedules()[1] == changed
        register.clear_schedule("credential", LATER)
        assert register.schedules() == (changed,)
        with refused(NotFound, "key_schedule_unknown"):
            register.clear_schedule("credential", LATER)
        with refused(Conflict, "register_conflict"):
            register.set_schedule(replace(first, purpose="event", every=timedelta()))

    def test_trust_lists_only_grow_and_are_told(self, register: Register, world: World) -> None:
        assert register.latest_trust_list() is None
        register.add_trust_list(TrustListRow(1, b"one", NOW))
        register.add_trust_list(TrustListRow(3, b"three", NOW))
        for version in (3, 2, 0):
            with refused(Conflict, "trust_list_version_taken"):
                register.add_trust_list(TrustListRow(version, b"other", NOW))
        assert register.latest_trust_list() == TrustListRow(3, b"three", NOW)
        assert [(row.kind, row.body) for row in world.outbox()] == [
            (OutboxKind.TRUST_LIST, {"version": 1}),
            (OutboxKind.TRUST_LIST, {"version": 3}),
        ]

    def test_roots_follow_each_other_without_a_gap(self, register: Register) -> None:
        assert register.trust_roots() == ()
        with refused(Conflict, "trust_root_version_taken"):
            register.add_trust_root(TrustRootRow(0, b"zero", NOW))
        second, third = TrustRootRow(2, b"two", NOW), TrustRootRow(3, b"three", LATER)
        register.add_trust_root(second)
        for version in (1, 2, 4):
            with refused(Conflict, "trust_root_version_taken"):
                register.add_trust_root(TrustRootRow(version, b"other", NOW))
        register.add_trust_root(third)
        assert register.trust_roots() == (second, third)
