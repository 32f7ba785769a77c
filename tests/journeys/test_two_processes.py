"""Journeys through the real services, issuer and verifier as two processes: what a desk, a phone and a counter see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from ecard_card import cwt
from ecard_card.status import CardChange
from ecard_demo.services import Services, running, until
from ecard_demo.stage import Desk, Phone, PlasticCard
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipAuthority, piv_style, synthetic
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import open_trust_list
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.errors import ECardError
from ecard_sdk.models import Verification
from ecard_verifier.statuses import accept_status_token
from tests.ecard import ecard

SERVED = ("statuslist+jwt", "statuslist+cwt")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Town:
    """One authority, one desk and one counter; every test brings its own card."""

    services: Services
    authority: ChipAuthority
    client: AuthorityClient
    counter: AuthorityClient
    folder: Path

    @property
    def desk(self) -> Desk:
        return Desk(self.client, self.services.issuer_url, self.client)

    def card(self, serial: int) -> PlasticCard:
        data = synthetic(serial)
        return PlasticCard(piv_style(now=now(), authority=self.authority, data=data), data)

    def issued(self, serial: int) -> tuple[str, Phone]:
        """A registered and proven card, its e-card on a phone, known to the verifier."""
        card, phone = self.card(serial), Phone()
        card_ref = self.desk.register(card, self.desk.read(card))
        self.desk.issue(self.desk.prove(card), phone)
        assert self.scanned(phone, "valid").outcome == "valid"
        return card_ref, phone

    def scanned(self, phone: Phone, outcome: str) -> Verification:
        """Fresh codes until the verifier says `outcome`; the last verdict either way."""
        return until(
            lambda: self.counter.verify(phone.short_code(), counter="counter 1"), lambda seen: seen.outcome == outcome
        )

    def command(self, *arguments: str) -> dict[str, object]:
        """`ecard …` on the issuer's machine, while its service runs."""
        done = ecard(*arguments, "--data-dir", str(self.folder / "issuer"), "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    authority = ChipAuthority.create(now())
    with (
        running(folder, authority, now()) as services,
        AuthorityClient(services.issuer_url, services.operator_token) as client,
        AuthorityClient(services.issuer_url, services.counter_token, verifier_url=services.verifier_url) as counter,
    ):
        yield Town(services, authority, client, counter, folder)


def test_a_loss_typed_at_the_command_line_is_refused_by_the_other_process(town: Town) -> None:
    card_ref, phone = town.issued(100)
    assert town.command("card", "change", card_ref, "report_temporary_loss")["applied"] is True
    assert town.scanned(phone, "invalid").reason == "suspended"
    town.command("card", "change", card_ref, "release")
    assert town.scanned(phone, "valid").outcome == "valid"
    town.command("card", "change", card_ref, "cancel")
    assert town.scanned(phone, "invalid").reason == "ended"


def test_events_of_a_card_do_the_right_thing_repeated_late_and_impossible(town: Town) -> None:
    card_ref, phone = town.issued(101)
    first = town.client.change_card(card_ref, CardChange.REPORT_LOSS, sequence=10, event_id="e-10")
    again = town.client.change_card(card_ref, CardChange.REPORT_LOSS, sequence=10, event_id="e-10")
    assert (first.applied, first.missed, first.sequence) == (True, 9, 1)
    assert (again.applied, again.source_sequence) == (False, 10)
    with pytest.raises(ECardError) as late:
        town.client.change_card(card_ref, CardChange.LOCK, sequence=4, event_id="e-4")
    assert late.value.code == "card_change_superseded"
    with pytest.raises(ECardError) as impossible:
        town.client.change_card(card_ref, CardChange.ENABLE, sequence=11, event_id="e-11")
    assert impossible.value.code == "card_change_impossible"
    assert town.scanned(phone, "invalid").reason == "suspended"


@pytest.mark.parametrize("form", SERVED)
def test_the_published_status_list_follows_the_card_in_both_forms(town: Town, form: str) -> None:
    serial = 102 + SERVED.index(form)
    card_ref, phone = town.issued(serial)
    verdict = phone.credential
    listed, uri = placed(town, verdict)
    headers = {"Accept": f"application/{form}"}
    before = httpx2.get(uri, headers=headers)
    assert before.headers["content-type"].startswith(f"application/{form}")
    assert httpx2.get(uri, headers=headers | {"If-None-Match": before.headers["etag"]}).status_code == 304
    town.client.change_card(card_ref, CardChange.REPORT_LOSS)
    after = until(lambda: httpx2.get(uri, headers=headers), lambda answer: value_in(town, answer, listed) == 2)
    assert value_in(town, after, listed) == 2
    assert after.headers["etag"] != before.headers["etag"]


def placed(town: Town, credential: bytes) -> tuple[int, str]:
    read = cwt.parse(credential)
    return read.status_index, f"{town.services.issuer_url}/status-lists/{read.status_list}"


def value_in(town: Town, answer: httpx2.Response, index: int) -> int:
    """What a stranger reads who has the pinned root and nothing else."""
    document = httpx2.get(f"{town.services.issuer_url}/.well-known/ecard-trust-list").content
    trust = Trust.of(open_trust_list(document, town.services.root, now=int(now().timestamp())))
    token = answer.text if "jwt" in answer.headers["content-type"] else answer.content
    return accept_status_token(token, trust, now()).statuses.get(index)


def test_a_clone_at_the_desk_gets_a_clear_refusal_and_no_ecard(town: Town) -> None:
    """Same identification code and card number, a certificate of the same authority, another key."""
    card_ref, phone = town.issued(104)
    with pytest.raises(ECardError) as refused:
        town.desk.prove(town.card(104))
    assert refused.value.code == "chip_key_differs"
    assert town.client.card(card_ref).ecard_id is not None
    assert town.scanned(phone, "valid").outcome == "valid"


def test_an_answer_that_was_recorded_before_is_refused(town: Town) -> None:
    card = town.card(105)
    town.desk.register(card, town.desk.read(card))
    recorded = town.client.begin_enrolment("desk-1")
    with InProcessReader(card.chip) as reader:
        reading = read_chip(reader)
        evidence = Evidence(reading, prove_chip(reader, reading, recorded.challenge)).to_json()
    later = town.client.begin_enrolment("desk-1")
    with pytest.raises(ECardError) as refused:
        town.client.send_evidence(later.enrolment_id, evidence)
    assert refused.value.code == "chip_answer_replayed"


def test_two_counters_show_who_used_a_code_first(town: Town) -> None:
    _, phone = town.issued(106)
    code = phone.whole_code()
    first = town.counter.verify(code, counter="counter 1")
    second = town.counter.verify(code, counter="counter 2")
    assert (first.outcome, second.outcome, second.reason) == ("valid", "invalid", "replayed")
    assert second.first_seen is not None
    assert second.first_seen[1] == "counter 1"


@pytest.mark.parametrize("code", ["", "garbage", "EC1:", "EC0:AAAA", "https://elsewhere.example/pay", "\u0000", "~~~"])
def test_whatever_is_scanned_gets_a_verdict(town: Town, code: str) -> None:
    verdict = town.counter.verify(code)
    assert verdict.outcome == "invalid"
    assert verdict.reason
