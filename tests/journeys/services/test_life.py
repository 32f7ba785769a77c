"""Loss, replacement and cancelling as the brochure tells them, over HTTP and up to the verifier's verdict.

Tests are named after the lines of the brochure that they walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_card.acting import Channel
from ecard_card.jose import b64url_decode
from ecard_card.life import LifeStatus
from ecard_card.region_policy import STRICT, LossEnd, LossRules, RegionPolicy, ReplacementRules
from ecard_card.status import CardStatus, Effect
from ecard_issuer.life.subject import CardBusiness
from ecard_issuer.web.app import create_app
from ecard_keys.trust.root import root_from_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import open_bundle
from ecard_verifier.callers import Role
from ecard_verifier.check import check
from tests.issuer.intake.kit import foreign_source
from tests.issuer.people_kit import application, mandate
from tests.issuer.service import ORIGIN, START, Service, open_service
from tests.issuer.web.test_journey import enrol, issue, post

Json = dict[str, Any]


@dataclass
class Policies:
    """The policies of a test's regions; `at` says when each came into force."""

    everywhere: RegionPolicy = STRICT
    at: list[tuple[datetime, RegionPolicy]] = field(default_factory=list)

    def policy_of(self, region: str, now: datetime) -> RegionPolicy:
        in_force = [policy for since, policy in self.at if since <= now]
        return in_force[-1] if in_force else self.everywhere

    def changes(self, since: datetime, until: datetime) -> list[str]:
        return ["000000" for at, _ in self.at if since < at <= until]

    def from_now(self, now: datetime, policy: RegionPolicy) -> None:
        self.at.append((now, policy))


@dataclass
class Town:
    """A service, its callers, and a counter that verifies what a phone shows."""

    service: Service
    app: FastAPI
    policies: Policies
    base: int = 0  # so that tests that share a service have cards of their own
    clients: dict[Role, TestClient] = field(default_factory=dict)

    def __getitem__(self, role: Role) -> TestClient:
        if role not in self.clients:
            headers = {"Authorization": f"Bearer {self.service.token(role)}"}
            self.clients[role] = TestClient(self.app, raise_server_exceptions=False, headers=headers)
        return self.clients[role]

    @property
    def operator(self) -> TestClient:
        return self[Role.OPERATOR]

    def holder(self, serial: int) -> Json:
        holder: Json = self.body(serial)["holder"]
        return holder

    def card(self, serial: int, holder: Json | None = None, **other: Any) -> str:
        body = self.body(serial) | other | ({"holder": holder} if holder else {})
        return str(post(self.operator, "/v1/cards", body, 201)["card_ref"])

    def issued(self, serial: int) -> tuple[str, Phone]:
        """A card and a phone with its e-card."""
        card_ref = self.card(serial)
        return card_ref, self.phone(serial)

    def phone(self, serial: int, device: DeviceKey | None = None) -> Phone:
        device = device or DeviceKey.generate()
        return Phone(self, device, issue(self.service, self.operator, self.base + serial, device))

    def body(self, serial: int) -> Json:
        return self.service.card_body(self.base + serial)

    def shown(self, card_ref: str) -> Json:
        answer: Json = self.operator.get(f"/v1/cards/{card_ref}").json()
        return answer

    def later(self, **span: float) -> None:
        self.service.clock.now += timedelta(**span)

    def upkeep(self) -> int:
        return self.service.issuer.life.upkeep.finish(self.service.clock())


@dataclass
class Phone:
    town: Town
    device: DeviceKey
    credential: Json

    def verdict(self) -> tuple[str, str]:
        """What a counter says to a code of this phone."""
        now, client = self.town.service.clock(), self.town.operator
        root = root_from_json(client.get("/v1/trust-root").json())
        bundle = open_bundle(client.get("/v1/bundle").content, now, root)
        code = self.device.offline_code(b64url_decode(self.credential["cwt"]), now)
        verdict = check(code, bundle.trust, bundle.statuses, now)
        return verdict.outcome.value, verdict.reason

    def fetch(self) -> Phone:
        """What the phone gets by itself, with the key and the credential that it has."""
        answer = self.ask_for_successor()
        assert answer.status_code == 200, answer.text
        return Phone(self.town, self.device, answer.json())

    def ask_for_successor(self) -> Any:
        credential_id = self.credential["credential_id"]
        proof = self.device.proof(ORIGIN, credential_id, self.town.service.clock())
        return self.town.operator.post(f"/v1/credentials/{credential_id}/successor", json={"proof": proof})


def opened(folder: Path) -> Town:
    policies = Policies()
    service = open_service(folder, policy_of=policies.policy_of, policy_changes=policies.changes)
    return Town(service, create_app(service.issuer), policies)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = opened(tmp_path_factory.mktemp("town"))
    yield town
    town.service.issuer.close()


@pytest.fixture
def town(shared: Town) -> Town:
    """For tests in which no time passes. Request ids are a caller's own, so each test has callers of its own."""
    shared.base += 10
    shared.policies.everywhere = STRICT
    shared.clients.clear()
    return shared


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Town]:
    """A town whose clock a test may move."""
    town = opened(tmp_path)
    yield town
    town.service.issuer.close()


def ask(client: TestClient, path: str, body: Mapping[str, Any], status: int = 201, language: str = "en") -> Json:
    response = client.post(f"/v1/{path}", json=dict(body), headers={"Accept-Language": language})
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


def refusal(client: TestClient, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
    response = client.post(f"/v1/{path}", json=dict(body))
    return response.status_code, response.json()["code"]


WAYS = [
    (Role.HOTLINE, None),
    (Role.DESK, None),
    *((Role.CHANNEL, channel) for channel in ("website", "app", "wechat", "alipay")),
]


def test_lines_35_36_37_a_loss_by_every_way_stops_card_and_ecard(town: Town) -> None:
    for serial, (role, channel) in enumerate(WAYS, 1):
        card_ref, phone = town.issued(serial)
        assert phone.verdict()[0] == "valid"
        body = {"request_id": f"loss-{serial}", "holder": town.holder(serial), "channel": channel}
        loss = ask(town[role], "losses", body)
        assert (loss["card_ref"], loss["status"], loss["ecard_status"], loss["state"]) == (
            card_ref,
            4,
            "suspended",
            "open",
        )
        assert loss["channel"] == channel or role is not Role.CHANNEL
        assert phone.verdict() == ("invalid", "suspended")
        assert ask(town[role], "losses", body) == loss  # sent twice
        found = ask(
            town[role], "releases", body | {"request_id": f"found-{serial}", "holder": None, "card_ref": card_ref}
        )
        assert (found["status"], found["ecard_status"]) == (1, "valid")
        assert phone.verdict()[0] == "valid"


def test_line_38_a_loss_says_what_it_did_not_touch_in_both_languages(town: Town) -> None:
    town.issued(1)
    body = {"request_id": "r", "holder": town.holder(1), "kind": "formal"}
    loss = ask(town[Role.HOTLINE], "losses", body)
    assert loss["touched"] == {"card": True, "ecard": True, "bank_account": False, "phone": False}
    codes = [item["code"] for item in loss["remains"]]
    assert codes == ["remains_bank_loss", "remains_phone_loss", "remains_replacement"]
    chinese = ask(town[Role.HOTLINE], "losses", body, language="zh")
    assert "银行" in chinese["remains"][0]["text"]
    assert "bank" in loss["remains"][0]["text"]
    with_case = town[Role.HOTLINE].get(f"/v1/losses/{loss['case_id']}").json()
    assert with_case["touched"] == loss["touched"]


def test_a_formal_loss_ends_by_a_new_card_only_unless_the_region_says_otherwise(town: Town) -> None:
    card_ref, _ = town.issued(1)
    ask(town[Role.DESK], "losses", {"request_id": "1", "card_ref": card_ref, "kind": "formal"})
    assert refusal(town[Role.DESK], "releases", {"request_id": "2", "card_ref": card_ref}) == (422, "replacement_only")
    town.policies.everywhere = RegionPolicy(loss=LossRules(formal_may_release=True))
    assert ask(town[Role.DESK], "releases", {"request_id": "2", "card_ref": card_ref})["status"] == 1
    town.policies.everywhere = RegionPolicy(loss=LossRules(holder_may_release=False))
    ask(town[Role.DESK], "losses", {"request_id": "3", "card_ref": card_ref})
    refused = refusal(town[Role.DESK], "releases", {"request_id": "4", "card_ref": card_ref})
    assert refused == (422, "release_not_permitted")


def test_a_region_says_which_channels_may_and_a_caller_speaks_for_its_own(town: Town) -> None:
    card_ref = town.card(1)
    town.policies.everywhere = RegionPolicy(loss=LossRules(channels=frozenset({Channel.DESK})))
    body = {"request_id": "1", "card_ref": card_ref}
    assert refusal(town[Role.HOTLINE], "losses", body) == (422, "channel_not_permitted")
    assert refusal(town[Role.CHANNEL], "losses", body) == (400, "channel_needed")
    assert refusal(town[Role.CHANNEL], "losses", body | {"channel": "desk"}) == (403, "channel_not_yours")
    assert refusal(town[Role.HOTLINE], "losses", body | {"channel": "desk"}) == (403, "channel_not_yours")
    mandate = {"ground": "mandate", "mandate_id": "m-1"}
    assert refusal(town[Role.DESK], "losses", body | {"acting": mandate}) == (422, "mandate_unknown")
    assert refusal(town[Role.DESK], "losses", body | {"acting": {"ground": "mandate"}}) == (400, "bad_acting")
    loss = ask(town[Role.DESK], "losses", body)
    assert town[Role.CHANNEL].get(f"/v1/losses/{loss['case_id']}").json()["code"] == "case_unknown"
    assert town[Role.HOTLINE].get(f"/v1/losses/{loss['case_id']}").status_code == 200
    assert town[Role.HOTLINE].get(f"/v1/releases/{loss['case_id']}").json()["code"] == "case_unknown"


def test_who_guesses_learns_nothing_and_several_cards_ask_for_a_region(town: Town) -> None:
    card_ref, holder = town.card(1), town.holder(1)
    code = town.body(2)["identification_code"]
    other = town.card(2, holder, identification_code="410100" + code[6:])
    body = {"request_id": "1", "holder": holder}
    refused = town[Role.HOTLINE].post("/v1/losses", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "several_cards")
    assert "000000, 410100" in refused.text
    assert holder["name"] not in refused.text
    assert ask(town[Role.HOTLINE], "losses", body | {"region": "410100"})["card_ref"] == other
    assert ask(town[Role.HOTLINE], "losses", body | {"request_id": "2", "region": "000000"})["card_ref"] == card_ref
    for wrong in (
        holder | {"name": "王小明"},
        town.holder(3),
    ):
        assert refusal(town[Role.HOTLINE], "losses", body | {"holder": wrong, "request_id": "3"}) == (
            404,
            "card_unknown",
        )
    odd = refusal(town[Role.HOTLINE], "losses", {"request_id": "3", "holder": holder, "card_ref": card_ref})
    assert odd == (400, "bad_search")
    bad = refusal(town[Role.HOTLINE], "losses", body | {"holder": holder | {"id_number": "11010519491231002Y"}})
    assert bad == (400, "bad_id_number")
    differs = refusal(town[Role.HOTLINE], "losses", body | {"region": "000000"})
    assert differs == (409, "request_differs")


@pytest.mark.parametrize(
    ("end", "status", "verdict"),
    [
        (LossEnd.RELEASE, 1, ("valid", "ok")),
        (LossEnd.ESCALATE, 2, ("invalid", "suspended")),
        (LossEnd.CANCEL, 9, ("invalid", "ended")),
    ],
)
def test_a_temporary_loss_ends_by_the_regions_term_once_also_after_a_long_pause(
    moving: Town, end: LossEnd, status: int, verdict: tuple[str, str]
) -> None:
    town = moving
    town.policies.everywhere = RegionPolicy(loss=LossRules(temporary_days=15, temporary_end=end))
    card_ref, phone = town.issued(1)
    loss = ask(town[Role.HOTLINE], "losses", {"request_id": "1", "card_ref": card_ref})
    assert (loss["ends_at"], loss["ends_by"]) == ("2026-12-08T10:00:00.000Z", end.value)
    assert f"remains_term_{end.value}" in [item["code"] for item in loss["remains"]]
    town.later(days=14, hours=23)
    town.upkeep()
    assert town.shown(card_ref)["status"] == 4
    town.later(hours=1, days=40 if end is not LossEnd.RELEASE else 0)
    town.service.issuer.keys.refresh(town.service.clock())
    town.upkeep()
    assert town.shown(card_ref)["status"] == status
    assert phone.verdict()[0] == verdict[0]
    before = town.shown(card_ref)
    town.upkeep()
    assert town.shown(card_ref) == before
    after = town[Role.HOTLINE].get(f"/v1/losses/{loss['case_id']}").json()
    assert (after["state"], after["ends_at"]) == ("ended", None)


def test_a_term_does_not_touch_a_card_that_was_lost_anew(moving: Town) -> None:
    town = moving
    town.policies.everywhere = RegionPolicy(loss=LossRules(temporary_days=10))
    card_ref, _ = town.issued(1)
    ask(town[Role.DESK], "losses", {"request_id": "1", "card_ref": card_ref})
    post(town.operator, f"/v1/cards/{card_ref}/changes", {"change": "release"})  # outside of any case
    town.later(days=9)
    again = ask(town[Role.DESK], "losses", {"request_id": "2", "card_ref": card_ref})
    assert again["ends_at"] == "2026-12-12T10:00:00.000Z"
    town.later(days=2)
    town.upkeep()
    assert town.shown(card_ref)["status"] == 4
    town.later(days=9)
    town.upkeep()
    assert town.shown(card_ref)["status"] == 2


def replaced(town: Town, card_ref: str, reason: str, *, prove: bool = True, **more: Any) -> tuple[Json, str]:
    """A new card ordered, made, ready and collected; the last answer and the new card."""
    body = {"request_id": "order", "card_ref": card_ref, "reason": reason, **more}
    order = ask(town[Role.DESK], "replacements", body)
    new = town.card(2, town.holder(1), status=0)
    path = f"replacements/{order['case_id']}"
    assert ask(town[Role.SOURCE], f"{path}/made", {"card_ref": new}, 200)["state"] == "made"
    assert ask(town[Role.SOURCE], f"{path}/ready", {}, 200)["state"] == "ready"
    return ask(town[Role.DESK], f"{path}/collected", {}, 200), new


def test_a_card_system_makes_the_new_cards_of_its_own_regions_only(town: Town) -> None:
    card_ref, _ = town.issued(1)
    order = ask(town[Role.DESK], "replacements", {"request_id": "order", "card_ref": card_ref, "reason": "damage"})
    new, path = town.card(2, town.holder(1), status=0), f"replacements/{order['case_id']}"
    county = foreign_source(town.service, town.operator)
    assert refusal(county, f"{path}/made", {"card_ref": new}) == (403, "region_not_of_source")
    ask(town[Role.SOURCE], f"{path}/made", {"card_ref": new}, 200)
    assert refusal(county, f"{path}/ready", {}) == (403, "region_not_of_source")
    assert town.operator.get(f"/v1/{path}", headers=dict(town[Role.DESK].headers)).json()["state"] == "made"


def test_lines_39_40_a_lost_card_is_replaced_and_the_ecard_goes_on_with_the_new_one(town: Town) -> None:
    card_ref, phone = town.issued(1)
    order = {"request_id": "order", "card_ref": card_ref, "reason": "loss"}
    assert refusal(town[Role.DESK], "replacements", order) == (422, "formal_loss_needed")
    ask(town[Role.DESK], "losses", {"request_id": "loss", "card_ref": card_ref, "kind": "formal"})
    ecard_id = town.shown(card_ref)["ecard_id"]
    ordered = ask(town[Role.DESK], "replacements", order)
    assert (ordered["status"], ordered["ecard_status"], ordered["state"]) == (9, "invalid", "ordered")
    assert phone.verdict() == ("invalid", "ended")
    assert town.shown(card_ref)["ecard_id"] == ecard_id  # it waits
    assert refusal(town[Role.DESK], "replacements", order | {"request_id": "two"}) == (409, "replacement_under_way")
    done, new = replaced(town, card_ref, "loss")
    assert (done["state"], done["status"], done["ecard_status"], done["new_card_ref"]) == ("collected", 1, "valid", new)
    assert [step["state"] for step in done["steps"]] == ["ordered", "made", "ready", "collected"]
    assert town.shown(new)["ecard_id"] == ecard_id
    assert phone.ask_for_successor().json()["code"] == "enrolment_not_proven"  # nobody has read the new chip yet
    renewed = town.phone(2)
    assert phone.fetch().verdict()[0] == "valid"
    assert renewed.credential["ecard_id"] == ecard_id
    assert renewed.verdict()[0] == "valid"
    assert phone.verdict() == ("invalid", "ended")
    again = ask(town[Role.DESK], f"replacements/{done['case_id']}/collected", {}, 200)
    assert again["state"] == "collected"


def test_line_41_a_damaged_card_is_replaced_online_and_serves_until_the_new_one_is_there(town: Town) -> None:
    card_ref, phone = town.issued(1)
    order = {"request_id": "1", "ecard_id": phone.credential["ecard_id"], "reason": "damage", "channel": "wechat"}
    ordered = ask(town[Role.CHANNEL], "replacements", order)
    assert (ordered["card_ref"], ordered["status"], ordered["ecard_status"]) == (card_ref, 1, "valid")
    assert ordered["touched"] == {"card": False, "ecard": False, "bank_account": False, "phone": False}
    assert phone.verdict()[0] == "valid"
    path = f"replacements/{ordered['case_id']}"
    assert refusal(town[Role.DESK], f"{path}/collected", {}) == (422, "replacement_step_impossible")
    stranger = town.card(3)
    made = refusal(town[Role.SOURCE], f"{path}/made", {"card_ref": stranger})
    assert made == (422, "replacement_of_other_holder")
    new = town.card(2, town.holder(1))
    ask(town[Role.SOURCE], f"{path}/made", {"card_ref": new}, 200)
    assert ask(town[Role.SOURCE], f"{path}/made", {"card_ref": new}, 200)["state"] == "made"
    proven = enrol(town.service, town.operator, town.base + 2)
    done = ask(town[Role.DESK], f"{path}/collected", {"enrolment_id": proven["enrolment_id"]}, 200)
    assert (done["state"], town.shown(new)["binding"], town.shown(card_ref)["status"]) == ("collected", "live", 9)
    assert phone.verdict() == ("invalid", "ended")
    fetched = phone.fetch()
    assert fetched.credential["ecard_id"] == phone.credential["ecard_id"]
    assert (fetched.verdict()[0], phone.verdict()[0]) == ("valid", "invalid")
    assert phone.fetch() == fetched  # the answer was lost: asked for again
    assert fetched.ask_for_successor().json()["code"] == "credential_not_replaced"


def test_the_card_system_may_cancel_a_card_whose_successor_is_being_made(town: Town) -> None:
    card_ref, phone = town.issued(1)
    ecard_id = phone.credential["ecard_id"]
    ask(town[Role.DESK], "replacements", {"request_id": "order", "card_ref": card_ref, "reason": "damage"})
    post(town[Role.SOURCE], f"/v1/cards/{card_ref}/changes", {"change": "cancel", "sequence": 4})
    assert phone.verdict() == ("invalid", "ended")
    done, new = replaced(town, card_ref, "damage")
    assert (done["state"], town.shown(new)["ecard_id"]) == ("collected", ecard_id)
    event = {"new_card_ref": new, "sequence": 5}
    assert post(town[Role.SOURCE], f"/v1/cards/{card_ref}/replacement", event)["previous"] == 9


def test_an_order_withdrawn_leaves_a_whole_card_and_ends_a_lost_one(town: Town) -> None:
    card_ref, phone = town.issued(1)
    order = ask(town[Role.DESK], "replacements", {"request_id": "1", "card_ref": card_ref, "reason": "damage"})
    gone = ask(town[Role.DESK], f"replacements/{order['case_id']}/withdrawn", {}, 200)
    assert (gone["state"], gone["status"]) == ("withdrawn", 1)
    assert phone.verdict()[0] == "valid"
    ask(town[Role.DESK], "losses", {"request_id": "2", "card_ref": card_ref, "kind": "formal"})
    order = ask(town[Role.DESK], "replacements", {"request_id": "3", "card_ref": card_ref, "reason": "loss"})
    ask(town[Role.DESK], f"replacements/{order['case_id']}/withdrawn", {}, 200)
    assert town.shown(card_ref)["ecard_id"] is None
    assert refusal(town[Role.DESK], f"replacements/{order['case_id']}/made", {"card_ref": card_ref}) == (
        422,
        "replacement_step_impossible",
    )


def test_line_39_changed_data_a_new_name_and_a_new_number(town: Town) -> None:
    card_ref, phone = town.issued(1)
    body = {"request_id": "0", "card_ref": card_ref, "reason": "changed_data"}
    assert refusal(town[Role.DESK], "replacements", body) == (400, "changed_data_missing")
    assert refusal(town[Role.DESK], "replacements", body | {"reason": "damage", "new_name": "李四"}) == (
        400,
        "changed_data_missing",
    )
    assert refusal(town[Role.DESK], "replacements", body | {"new_name": "a\nb"}) == (400, "bad_name")
    _, new = replaced(town, card_ref, "changed_data", new_name="𠮷田·阿依古丽")
    fetched = town.phone(2)
    identity = town.service.issuer.cards.identity(town.service.issuer.register.get_card(new))
    assert identity.holder.name == "𠮷田·阿依古丽"
    assert fetched.verdict()[0] == "valid"
    number = town.holder(7)["id_number"]
    order = ask(
        town[Role.DESK],
        "replacements",
        {"request_id": "n", "card_ref": new, "reason": "changed_data", "new_id_number": number},
    )
    third = town.card(7)  # under the new number: another person of the register
    path = f"replacements/{order['case_id']}"
    ask(town[Role.DESK], f"{path}/made", {"card_ref": third}, 200)
    ask(town[Role.DESK], f"{path}/collected", {}, 200)
    assert town.shown(third)["ecard_id"] == phone.credential["ecard_id"]
    assert (town.shown(new)["status"], town.shown(new)["ecard_id"]) == (9, None)


def test_a_card_is_renewed_within_its_window_and_stops_after_its_last_day(moving: Town) -> None:
    town = moving
    town.policies.everywhere = RegionPolicy(replacement=ReplacementRules(renewal_window_days=30))
    card_ref = town.card(1, issued_on="2017-01-01", expires_on="2026-12-24")
    phone = town.phone(1)
    order = {"request_id": "1", "card_ref": card_ref, "reason": "expiry"}
    assert refusal(town[Role.DESK], "replacements", order) == (422, "renewal_too_early")
    town.later(hours=6, minutes=1)  # it is the 24th in China
    ordered = ask(town[Role.DESK], "replacements", order)
    assert ordered["state"] == "ordered"
    town.later(days=30, hours=23, minutes=58)  # one minute before midnight of the 24th
    town.upkeep()
    assert town.shown(card_ref)["ecard_status"] == "valid"
    town.later(minutes=1)
    assert town.shown(card_ref)["ecard_status"] == "suspended"
    assert town.upkeep() >= 1
    listed = town.shown(card_ref)
    assert (listed["status"], listed["sequence"]) == (1, 1)
    slot = phone.credential["status"]
    snapshot = town.service.issuer.register.status_snapshot(slot["list_id"])
    assert dict(snapshot.entries)[slot["index"]] == 2
    assert town.upkeep() == 0


DEATH = {"cause": "death", "proof": "死亡医学证明 4100-2026-000123"}


def test_lines_43_45_46_47_death_ends_card_and_ecard_at_once(town: Town) -> None:
    card_ref, phone = town.issued(1)
    second = town.card(2, town.holder(1))
    body = {"request_id": "1", "card_ref": card_ref, **DEATH}
    assert refusal(town[Role.DESK], "cancellations", body | {"proof": ""}) == (400, "proof_needed")
    before = town.shown(card_ref)["sequence"]
    ended = ask(town[Role.DESK], "cancellations", body, language="zh")
    assert (ended["status"], ended["ecard_status"], ended["also"]) == (9, "invalid", [second])
    assert ended["touched"] == {"card": True, "ecard": True, "bank_account": False, "phone": False}
    assert [item["code"] for item in ended["remains"]] == ["remains_bank_closing"]
    assert phone.verdict() == ("invalid", "ended")
    (event,) = town.service.issuer.register.events_of(card_ref)
    (credential,) = town.service.issuer.register.credentials_of(card_ref)
    assert (event.sequence, event.status, credential.state) == (before + 1, CardStatus.CANCELLED, "ended")
    assert refusal(town[Role.DESK], "cancellations", body | {"request_id": "2"}) == (422, "card_change_impossible")
    other = {"request_id": "3", "cause": "end_of_business", "proof": ""}
    assert refusal(town[Role.DESK], "cancellations", body | other) == (422, "holder_dead")
    assert ask(town[Role.DESK], "cancellations", body)["case_id"] == ended["case_id"]
    assert refusal(town[Role.DESK], "losses", {"request_id": "4", "card_ref": card_ref}) == (
        422,
        "holder_dead",
    )
    case = town.service.issuer.life.office.cases.find_case(ended["case_id"])
    assert case is not None
    assert town.service.issuer.life.office.details(case) == {"proof": DEATH["proof"]}
    assert "4100-2026" not in str(case)


@pytest.mark.parametrize(("line", "cause"), [(42, "emigration"), (44, "end_of_business")])
def test_lines_42_44_emigration_and_end_of_business(town: Town, line: int, cause: str) -> None:
    card_ref, phone = town.issued(1)
    other = town.card(2, town.holder(1))
    body = {"request_id": "1", "card_ref": card_ref, "cause": cause, "proof": "出境记录 1"}
    ended = ask(town[Role.DESK], "cancellations", body)
    assert (ended["also"], ended["left"]) == ([], [other])
    assert [item["code"] for item in ended["remains"]] == ["remains_bank_closing", "remains_other_cards"]
    assert phone.verdict() == ("invalid", "ended")
    assert town.shown(other)["status"] == 1
    issuer = town.service.issuer
    life = issuer.applications.lives.of(issuer.register.get_card(card_ref).holder_ref)
    assert life is (LifeStatus.EMIGRATED if cause == "emigration" else LifeStatus.NORMAL)
    last = ask(town[Role.DESK], "cancellations", body | {"request_id": "2", "card_ref": other})
    assert (last["left"], [item["code"] for item in last["remains"]]) == ([], ["remains_bank_closing"])


def test_line_55_a_further_ecard_only_within_what_the_region_permits_of_cards_elsewhere(town: Town) -> None:
    holder = town.holder(1)
    town.card(1)
    code = town.body(2)["identification_code"]
    elsewhere = town.card(2, holder, identification_code="410100" + code[6:])
    town.policies.everywhere = RegionPolicy(cards_elsewhere=0)
    opened = post(town.operator, "/v1/enrolments", {"terminal_id": "desk-1"}, 201)
    evidence = town.service.evidence(town.base + 1, bytes.fromhex(opened["challenge"]))
    path = f"enrolments/{opened['enrolment_id']}/evidence"
    assert refusal(town.operator, path, evidence) == (422, "too_many_cards_elsewhere")
    cancelled = {"request_id": "1", "card_ref": elsewhere, "cause": "end_of_business"}
    ask(town[Role.DESK], "cancellations", cancelled)
    post(town.operator, f"/v1/{path}", evidence)


def test_a_person_reads_what_was_done_with_their_cards(town: Town) -> None:
    card_ref, _ = town.issued(1)
    ask(town[Role.DESK], "losses", {"request_id": "1", "card_ref": card_ref})
    ask(town[Role.DESK], "cancellations", {"request_id": "2", "card_ref": card_ref, **DEATH})
    issuer = town.service.issuer
    holder = issuer.people.get(issuer.register.get_card(card_ref).holder_ref)
    section = CardBusiness(issuer.register, issuer.life.office.cases)
    (card,) = section.of_holder(holder, issuer.people.seal_of(holder))
    cases: Any = card["cases"]
    told = {case["kind"]: case["details"] for case in cases}  # both in one moment of this clock
    assert told == {"loss": {}, "cancellation": {"proof": DEATH["proof"]}}
    events: Any = card["events"]
    assert [event["change"] for event in events] == ["report_temporary_loss", "cancel"]


def test_the_dead_neither_act_nor_apply_and_their_mandates_end(town: Town) -> None:
    card_ref, _ = town.issued(1)
    issuer, desk = town.service.issuer, town[Role.DESK]
    dead, other = (
        {"document": {"kind": "01", "number": said["id_number"]}, "name": said["name"]}
        for said in (town.holder(1), town.holder(5))
    )
    written: Json = {"ground": "mandate", "cause": "elderly", "relation": "child", "ends_at": "2027-01-01T00:00:00Z"}
    papers: Json = {"proof": {"form": "written", "reference": "委托书 1", "given_at": "2026-11-01T00:00:00Z"}}
    given, had = (
        post(desk, "/v1/mandates", mandate(pair[0], pair[1], name, **written, **papers), 201)["mandate_id"]
        for name, pair in (("m-1", (dead, other)), ("m-2", (other, dead)))
    )
    body = {"request_id": "1", "card_ref": card_ref, **DEATH}
    assert ask(desk, "cancellations", body)["left"] == []
    holder_ref = issuer.register.get_card(card_ref).holder_ref
    assert issuer.applications.lives.of(holder_ref) is LifeStatus.DEAD
    assert [issuer.acting.get(name).revoked_by is not None for name in (given, had)] == [True, True]
    assert refusal(desk, "mandates", mandate(dead, other, "m-3", **written, **papers)) == (422, "holder_dead")
    assert refusal(desk, "applications", application("a-1", who=dead)) == (422, "holder_dead")
    # An error is put right at a desk, and the first request, repeated late, does not bring it back.
    town.later(minutes=1)
    post(desk, "/v1/people/life", {"id_number": town.holder(1)["id_number"], "life": "normal", "since": "2026-11-01"})
    assert ask(desk, "cancellations", body)["status"] == 9
    assert issuer.applications.lives.of(holder_ref) is LifeStatus.NORMAL


def test_a_death_ends_an_ecard_that_waits_for_a_new_card(town: Town) -> None:
    card_ref, _ = town.issued(1)
    ask(town[Role.DESK], "losses", {"request_id": "1", "card_ref": card_ref, "kind": "formal"})
    order = ask(town[Role.DESK], "replacements", {"request_id": "2", "card_ref": card_ref, "reason": "loss"})
    ask(town[Role.DESK], "cancellations", {"request_id": "3", "card_ref": card_ref, **DEATH})
    assert town.shown(card_ref)["ecard_id"] is None
    now = town[Role.DESK].get(f"/v1/replacements/{order['case_id']}").json()
    assert now["state"] == "withdrawn"


def test_lines_15_55_the_holder_shuts_the_ecard_and_the_lock_moves_with_it(town: Town) -> None:
    card_ref, phone = town.issued(1)
    body = {"request_id": "1", "ecard_id": phone.credential["ecard_id"], "channel": "app", "locked": True}
    locked = ask(town[Role.CHANNEL], "holder-locks", body)
    assert (locked["status"], locked["ecard_status"]) == (1, "suspended")
    assert locked["touched"] == {"card": False, "ecard": True, "bank_account": False, "phone": False}
    assert [item["code"] for item in locked["remains"]] == ["remains_card_usable"]
    assert phone.verdict() == ("invalid", "suspended")
    assert not ask(town[Role.CHANNEL], "holder-locks", body | {"request_id": "2"})["applied"]
    done, new = replaced(town, card_ref, "damage")
    assert done["ecard_status"] == "suspended"
    opened = ask(town[Role.CHANNEL], "holder-locks", body | {"request_id": "3", "locked": False})
    assert (opened["card_ref"], opened["ecard_status"]) == (new, "valid")


MILD = RegionPolicy(
    effects={**STRICT.effects, CardStatus.TEMPORARILY_LOST: Effect.CONSENT}, loss=LossRules(temporary_days=None)
)


def test_consent_where_the_region_leaves_it_to_the_holder_and_for_this_loss_only(town: Town) -> None:
    card_ref, phone = town.issued(1)
    consent = {"request_id": "c1", "card_ref": card_ref, "channel": "app", "given": True}
    ask(town[Role.DESK], "losses", {"request_id": "1", "card_ref": card_ref})
    assert refusal(town[Role.CHANNEL], "consents", consent) == (422, "consent_not_asked")
    town.policies.everywhere = MILD
    given = ask(town[Role.CHANNEL], "consents", consent)
    assert (given["status"], given["ecard_status"]) == (4, "valid")
    assert phone.verdict()[0] == "valid"
    taken = ask(town[Role.CHANNEL], "consents", consent | {"request_id": "c2", "given": False})
    assert taken["ecard_status"] == "suspended"
    ask(town[Role.CHANNEL], "consents", consent | {"request_id": "c3"})
    ask(town[Role.DESK], "releases", {"request_id": "2", "card_ref": card_ref})
    ask(town[Role.DESK], "losses", {"request_id": "3", "card_ref": card_ref})
    assert phone.verdict() == ("invalid", "suspended")


def test_a_policy_that_comes_into_force_reaches_every_card_and_its_verifiers(moving: Town) -> None:
    town = moving
    phones = [town.issued(serial)[1] for serial in (1, 2, 3)]
    for serial in (1, 2):
        ask(town[Role.DESK], "losses", {"request_id": str(serial), "holder": town.holder(serial)})
    town.upkeep()
    assert [phone.verdict()[0] for phone in phones] == ["invalid", "invalid", "valid"]
    lenient = replace(MILD, effects={**MILD.effects, CardStatus.TEMPORARILY_LOST: Effect.ALLOW})
    town.policies.from_now(START + timedelta(minutes=5), lenient)
    town.later(minutes=4)
    town.upkeep()
    assert [phone.verdict()[0] for phone in phones] == ["invalid", "invalid", "valid"]
    town.later(minutes=2)
    town.upkeep()
    assert [phone.verdict()[0] for phone in phones] == ["valid"] * 3
    town.service.issuer.dispatcher.turn()
    feed = town.service.issuer.register.read_feed("0")
    payloads: list[Any] = [
        jose.parse_json(jose.parse_compact(row.token, typ="secevent+jwt").payload) for row in feed[-2:]
    ]
    told = [next(iter(payload["events"].values())) for payload in payloads]
    assert [(event["card_event"], event["status"], event["sequence"]) for event in told] == [("review", 0, 2)] * 2


def test_twenty_reports_of_one_loss_and_a_release_at_once(town: Town) -> None:
    card_ref, phone = town.issued(1)
    clients = [town[Role.HOTLINE], town[Role.DESK]]

    def report(number: int) -> tuple[int, bool]:
        body = {"request_id": f"r{number % 10}", "card_ref": card_ref}
        response = clients[number % 2].post("/v1/losses", json=body)
        return response.status_code, response.json()["applied"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(report, range(20)))
    assert {status for status, _ in answers} == {201}
    events = town.service.issuer.register.events_of(card_ref)
    assert [event.change for event in events] == ["report_temporary_loss"]

    def either(number: int) -> int:
        path = "releases" if number % 2 else "losses"
        kind = {} if number % 2 else {"kind": "formal"}
        body = {"request_id": f"e{number}", "card_ref": card_ref, **kind}
        return town[Role.DESK].post(f"/v1/{path}", json=body).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(either, range(10))) <= {201, 422}
    status = town.shown(card_ref)["status"]
    assert status == 2  # whatever came first: a formal loss is not released here
    assert phone.verdict() == ("invalid", "suspended")
