"""Issuing for all that wait at once: each has the outcome that it would have had alone."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from ecard_card import sd_jwt
from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.issue_many import IssuingMany, Wanted, _Asked
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_issuer.rows import EnrolmentRow, Successor
from ecard_issuer.states import CredentialState, OutboxKind, PlanState
from ecard_issuer.together import Asked
from ecard_issuer.web.models import NewCard
from ecard_keys.desk.desk import SigningProfile
from ecard_sdk.device import DeviceKey
from tests.issuer.links_kit import evidence
from tests.issuer.service import Service, open_service
from tests.issuer.wallet_kit import proven


class Desk:
    """The real desk, counted; it refuses when it is told to."""

    def __init__(self, service: Service) -> None:
        self._desk = service.issuer.signing
        self.sizes: list[int] = []
        self.refuses = False

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        self.sizes.append(len(drafts))
        if self.refuses:
            raise InvalidInput("draft_refused", "told to")
        return self._desk.sign(profile, key_id, drafts, now)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("many"))
    yield opened
    opened.issuer.close()


@pytest.fixture
def desk(service: Service) -> Desk:
    return Desk(service)


@pytest.fixture
def many(service: Service, desk: Desk) -> IssuingMany:
    issuer = service.issuer
    drafter = issuer.issuing._drafter
    return IssuingMany(issuer.register, issuer.keys, desk, drafter, issuer.issuing, owner="test")


def device() -> bytes:
    return DeviceKey.generate().point


def card_of(service: Service, enrolment_id: str) -> str:
    return service.issuer.register.get_enrolment(enrolment_id).card_ref or ""


def test_keys_of_one_card_are_signed_in_two_calls_and_again_give_the_same(
    service: Service, many: IssuingMany, desk: Desk
) -> None:
    first = proven(service)
    ids = [first, *(service.issuer.enrolment.another(first, service.clock()) for _ in range(5))]
    wanted = [Wanted(one, device()) for one in ids]
    issued = many.issue(wanted, service.clock())
    assert desk.sizes == [2, 10]
    assert len({one.ecard_id for one in issued}) == 1
    assert len({(one.status.list_id, one.status.index) for one in issued}) == 6
    devices = [sd_jwt.parse(one.sd_jwt).payload["cnf"] for one in issued]
    again = many.issue(wanted, service.clock())
    assert [one.sd_jwt for one in again] == [one.sd_jwt for one in issued]
    assert [sd_jwt.parse(one.sd_jwt).payload["cnf"] for one in again] == devices
    assert desk.sizes == [2, 10]
    rows = service.issuer.register.credentials_of(card_of(service, first))
    assert {row.state for row in rows} == {CredentialState.LIVE}
    assert len(rows) == 6


def test_a_new_chip_that_is_proven_by_several_keys_at_once_is_told_of_once(service: Service, many: IssuingMany) -> None:
    issuer = service.issuer
    (issued,) = many.issue([Wanted(proven(service, 940), device())], service.clock())
    old_ref = issuer.register.card_of_ecard(issued.ecard_id) or ""
    body = service.card_body(941) | {"holder": service.card_body(940)["holder"], "status": 0}
    new_ref = issuer.cards.register(NewCard.model_validate(body).to_card(), CardStatus.SEALED, service.clock())
    issuer.lifecycle.replace(old_ref, new_ref, service.clock())
    issuer.lifecycle.change(new_ref, CardChange.ENABLE, service.clock())

    def again() -> Wanted:
        opened = issuer.enrolment.begin("desk 1", service.clock())
        answer = evidence(service, 941, opened.challenge.digest())
        return Wanted(issuer.enrolment.complete(opened.enrolment_id, answer, service.clock()).enrolment_id, device())

    for wanted in ([again(), again(), again()], [again()]):
        assert {one.ecard_id for one in many.issue(wanted, service.clock())} == {issued.ecard_id}
    outbox = tables.outbox
    with reading(issuer.engine) as connection:
        of_card = select(outbox.c.body).where(outbox.c.card_ref == new_ref, outbox.c.kind == OutboxKind.REBOUND.value)
        told = connection.scalars(of_card).all()
    assert sorted(body.get("proven", False) for body in told) == [False, True]


def test_twenty_at_once_each_have_their_own_and_share_the_work(service: Service, many: IssuingMany, desk: Desk) -> None:
    ids = [proven(service) for _ in range(20)]

    def issue(enrolment_id: str) -> str:
        (one,) = many.issue([Wanted(enrolment_id, device())], service.clock())
        return one.ecard_id

    with ThreadPoolExecutor(20) as pool:
        ecards = list(pool.map(issue, ids))
    assert len(set(ecards)) == 20
    assert sum(desk.sizes) == 40
    assert len(desk.sizes) < 20
    bound = [service.issuer.register.find_binding(card_of(service, one)) for one in ids]
    assert [one.ecard_id if one else None for one in bound] == ecards


def test_one_proof_asked_for_by_many_devices_at_once_goes_to_one(service: Service, many: IssuingMany) -> None:
    enrolment_id = proven(service)

    def issue(number: int) -> str:
        try:
            many.issue([Wanted(enrolment_id, device())], service.clock())
        except EcardError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(issue, range(20)))
    assert outcomes.count("ok") == 1
    assert set(outcomes) == {"ok", "enrolment_already_used"}
    assert len(service.issuer.register.credentials_of(card_of(service, enrolment_id))) == 1


def test_what_may_not_be_issued_is_refused_and_holds_up_nobody(service: Service, many: IssuingMany) -> None:
    lost, good, open_ = proven(service), proven(service), service.issuer.enrolment.begin("d", service.clock())
    service.issuer.lifecycle.change(card_of(service, lost), CardChange.REPORT_TEMPORARY_LOSS, service.clock())

    def issue(enrolment_id: str) -> str:
        try:
            many.issue([Wanted(enrolment_id, device())], service.clock())
        except EcardError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(issue, [lost, good, open_.enrolment_id, "00" * 16]))
    assert outcomes == ["card_not_issuable", "ok", "enrolment_not_proven", "enrolment_unknown"]


def test_a_desk_that_refuses_leaves_no_plan_and_a_free_card(service: Service, many: IssuingMany, desk: Desk) -> None:
    register = service.issuer.register
    enrolment_id, key = proven(service), device()
    desk.refuses = True
    # The desk refuses the batch; alone the issuer's own desk is asked, and it signs.
    (one,) = many.issue([Wanted(enrolment_id, key)], service.clock())
    assert one.ecard_id
    card_ref = card_of(service, enrolment_id)
    assert len(register.credentials_of(card_ref)) == 1
    assert register.stale_plans(service.clock.advance(3600)) == ()


@pytest.mark.parametrize("step", ["planned", "signed"])
def test_a_crash_between_steps_is_settled_as_a_single_issuance_is(tmp_path: Path, step: str) -> None:
    service = open_service(tmp_path)
    issuer = service.issuer

    class Crash(BaseException):
        pass

    def reached(name: str) -> None:
        if name == step:
            raise Crash

    drafter = issuer.issuing._drafter
    many = IssuingMany(
        issuer.register, issuer.keys, issuer.signing, drafter, issuer.issuing, owner="test", reached=reached
    )
    enrolment_id, key = proven(service), device()
    with pytest.raises(Crash):
        many.issue([Wanted(enrolment_id, key)], service.clock())
    (plan,) = issuer.register.stale_plans(service.clock(), "test")
    assert plan.state is PlanState.PLANNED
    assert issuer.issuing.settle(service.clock.advance(31), everything=False) == 1
    again = issuer.issuing.issue_to(enrolment_id, key, service.clock())
    assert again.ecard_id != plan.ecard_id
    issuer.close()


def one_by_one(many: IssuingMany, wanted: Sequence[Wanted], now: datetime) -> list[str]:
    """What became of each, all asked for in one batch."""
    asked: list[_Asked] = [Asked((one, now)) for one in wanted]
    many._waiting._waiting += asked
    with contextlib.suppress(BaseException):
        many._waiting._next()
    errors = [one.outcome.exception(timeout=0) for one in asked]
    return ["ok" if error is None else getattr(error, "code", type(error).__name__) for error in errors]


def test_a_fault_that_nobody_foresaw_is_of_its_own_request_alone(
    service: Service, many: IssuingMany, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [Wanted(proven(service), device()) for _ in range(16)]
    bad, drafter = wanted[7].device_key, service.issuer.issuing._drafter
    lay_out = drafter.lay_out

    def faulty(*parts: Any, **named: Any) -> Any:
        if parts[2] == bad:
            raise ZeroDivisionError
        return lay_out(*parts, **named)

    monkeypatch.setattr(drafter, "lay_out", faulty)
    assert one_by_one(many, wanted, service.clock()) == ["ok"] * 7 + ["ZeroDivisionError"] + ["ok"] * 8
    assert service.issuer.register.stale_plans(service.clock.advance(3600), "test") == ()


@pytest.mark.parametrize("step", ["planned", "signed", "committed"])
def test_a_batch_cut_short_is_told_so_to_all_and_asked_again_each_has_one(service: Service, step: str) -> None:
    issuer, crashes = service.issuer, iter([True])

    def reached(name: str) -> None:
        if name == step and next(crashes, False):
            raise SystemExit

    drafter = issuer.issuing._drafter
    many = IssuingMany(
        issuer.register, issuer.keys, issuer.signing, drafter, issuer.issuing, owner="test", reached=reached
    )
    wanted = [Wanted(proven(service), device()) for _ in range(4)]
    assert one_by_one(many, wanted, service.clock()) == ["outcome_unknown"] * 4
    issuer.issuing.settle(service.clock.advance(31), everything=False)
    issued = many.issue(wanted, service.clock())
    assert [one.sd_jwt for one in many.issue(wanted, service.clock())] == [one.sd_jwt for one in issued]
    for one, asked in zip(issued, wanted, strict=True):
        (row,) = issuer.register.credentials_of(card_of(service, asked.enrolment_id))
        assert row.credential_id == one.credential_id


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_of_which_nobody_knows_is_neither_undone_nor_tried_again(
    service: Service, many: IssuingMany, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    issuer = service.issuer
    wanted = [Wanted(proven(service), device()) for _ in range(3)]
    commit, done = issuer.register.commit_issuances, list[str]()

    def unheard(kept: Sequence[Successor], now: datetime) -> None:
        if committed:
            commit(kept, now)
        raise Unavailable("outcome_unknown", "the connection failed while committing")

    with monkeypatch.context() as broken:
        broken.setattr(issuer.register, "commit_issuances", unheard)
        broken.setattr(issuer.register, "void_plan", lambda *_: done.append("undone"))
        broken.setattr(issuer.issuing, "issue_to", lambda *_, **__: done.append("tried again"))
        assert one_by_one(many, wanted, service.clock()) == ["outcome_unknown"] * 3
    assert done == []
    rows = [issuer.register.credentials_of(card_of(service, one.enrolment_id)) for one in wanted]
    assert [len(of_card) for of_card in rows] == [int(committed)] * 3
    issuer.issuing.settle(service.clock.advance(31), everything=False)
    issued = many.issue(wanted, service.clock())
    for one, asked, of_card in zip(issued, wanted, rows, strict=True):
        (row,) = issuer.register.credentials_of(card_of(service, asked.enrolment_id))
        assert (row.credential_id, row.state) == (one.credential_id, CredentialState.LIVE)
        assert not committed or row.credential_id == of_card[0].credential_id


def test_the_stronger_of_two_proofs_stays_with_the_card_in_whatever_order_they_are_spent(
    service: Service, many: IssuingMany
) -> None:
    register, now = service.issuer.register, service.clock()
    first = proven(service)
    card_ref = card_of(service, first)
    weak = weaker(service, first, ChipAssurance.READ)
    many.issue([Wanted(weak, device())], now)
    strong, middle = first, weaker(service, first, ChipAssurance.CHALLENGE)
    assert one_by_one(many, [Wanted(strong, device()), Wanted(middle, device())], now) == ["ok", "ok"]
    binding = register.find_binding(card_ref)
    assert binding is not None
    assert binding.assurance is ChipAssurance.SIGNATURE


def weaker(service: Service, enrolment_id: str, assurance: ChipAssurance) -> str:
    """A proof of the same card, of less strength."""
    register, now = service.issuer.register, service.clock()
    proof, other = register.get_enrolment(enrolment_id), secrets.token_hex(16)
    register.open_enrolment(EnrolmentRow(other, "desk 1", b"", proof.expires_at))
    register.prove_enrolment(
        other, card_ref=proof.card_ref or "", assurance=assurance, evidence=b"sealed", now=now, holder_proof=None
    )
    return other


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_two_processes_with_the_same_proofs_at_once_bind_each_card_once(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_server").new_register()
    service = open_service(tmp_path, database_url=url)
    issuer, now = service.issuer, service.clock()
    both = [
        IssuingMany(issuer.register, issuer.keys, issuer.signing, issuer.issuing._drafter, issuer.issuing, owner=owner)
        for owner in ("one", "two")
    ]
    proofs = [proven(service) for _ in range(3)]
    proofs += [issuer.enrolment.another(one, now) for one in proofs]
    barrier = Barrier(4 * len(proofs))

    def issue(place: int) -> tuple[str, str]:
        enrolment_id = proofs[place % len(proofs)]
        barrier.wait()
        try:
            (one,) = both[place // len(proofs) % 2].issue([Wanted(enrolment_id, device())], now)
        except EcardError as error:
            return enrolment_id, error.code
        return enrolment_id, one.credential_id.hex()

    with ThreadPoolExecutor(barrier.parties) as pool:
        given = [pair for pair in pool.map(issue, range(barrier.parties)) if len(pair[1]) == 32]
    assert len({enrolment_id for enrolment_id, _ in given}) == len(given), "a proof is good once"
    for card_ref in {card_of(service, one) for one in proofs}:
        rows, binding = issuer.register.credentials_of(card_ref), issuer.register.find_binding(card_ref)
        assert binding is not None
        assert {row.ecard_id for row in rows} == {binding.ecard_id}
        assert {row.credential_id.hex() for row in rows} <= {credential_id for _, credential_id in given}
    assert issuer.register.stale_plans(service.clock.advance(3600)) == ()
    issuer.close()
