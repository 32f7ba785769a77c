"""Ports `LinkStore`, `ClaimStore` and `ProviderStore` on both engines: one live link of a channel with an e-card, tries
and statements that count once, and no table scanned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import Engine

from ecard_card.card import HolderProof
from ecard_card.errors import RuleViolation
from ecard_issuer.links.providers import IdentityProvider
from ecard_issuer.links.sql import SqlLinks
from ecard_issuer.links.sql_claims import SqlClaims
from ecard_issuer.links.sql_providers import SqlProviders
from ecard_issuer.links.values import ClaimRow, ClaimState, IdentificationRow, Link, LinkEnd, LinkNews, LinkRight
from ecard_sdk.device import DeviceKey
from tests.contracts.register_world import LATER, NOW, ref, refused
from tests.issuer.register.plans import no_scans

APP = "ek_live_" + "a" * 24
T = TypeVar("T")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    with no_scans(engine):
        yield engine


@pytest.fixture
def links(engine: Engine) -> SqlLinks:
    return SqlLinks(engine)


@pytest.fixture
def claims(engine: Engine) -> SqlClaims:
    return SqlClaims(engine)


def together(*tasks: Callable[[], T]) -> list[T]:
    """What tasks give that start in the same moment."""
    start = Barrier(len(tasks))

    def run(task: Callable[[], T]) -> T:
        start.wait(10)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def link(ecard_id: str = "", app_id: str = APP) -> Link:
    return Link(ecard_id or ref(), ref(), app_id, ref(), HolderProof.CHIP, None, None, "c", ref(), NOW)


def right(link_id: str, ecard_id: str, sealed: bytes | None = b"sealed") -> LinkRight:
    return LinkRight(link_id, ref(), ecard_id, ref(), b"thumb", NOW, sealed)


def test_of_many_claims_at_once_one_link_is_stored_and_all_get_it(links: SqlLinks) -> None:
    ecard_id = ref()
    given = together(*(partial(links.add_link, link(ecard_id)) for _ in range(8)))
    assert len({one.link_id for one in given}) == 1
    assert links.links_of_ecard(ecard_id) == (given[0],)
    other = links.add_link(link(ecard_id, APP[:-1] + "b"))
    assert links.links_of_ecard(ecard_id) == (given[0], other)
    assert links.find_link(APP, given[0].link_id) == given[0]
    assert links.find_link(APP, other.link_id) is None
    assert links.links_of_holder(given[0].holder_ref) == (given[0],)


def test_a_link_ends_once_and_another_may_follow(links: SqlLinks) -> None:
    first = links.add_link(link())
    held = right(first.link_id, first.ecard_id)
    links.add_right(held, first)
    ended = links.end_link(first, LinkEnd.RELEASED, LATER)
    assert (
        links.end_link(first, LinkEnd.HOLDER, LATER + HOUR)
        == ended
        == replace(first, ended_at=LATER, end=LinkEnd.RELEASED)
    )
    assert links.rights_of(first.link_id) == ()
    with refused(RuleViolation, "link_released"):
        links.add_right(right(first.link_id, first.ecard_id), first)
    with refused(RuleViolation, "link_released"):
        links.add_link(first)
    second = links.add_link(link(first.ecard_id))
    assert links.links_of_ecard(first.ecard_id) == (second,)
    assert {one.link_id for one in links.links_of_channel(APP)} >= {first.link_id, second.link_id}
    assert links.purge(LATER, 10) == 0
    assert links.purge(LATER + HOUR, 10) == 1
    assert links.find_link(APP, first.link_id) is None


def test_a_prepared_right_hangs_on_the_link_that_adopts_it(links: SqlLinks) -> None:
    held = links.add_link(link())
    prepared = right(ref(), "")
    assert links.prepare_right(prepared) == prepared
    assert links.prepare_right(replace(prepared, sealed_key=b"another")) == prepared
    links.adopt_right(prepared, held)
    (adopted,) = links.rights_of(held.link_id)
    assert adopted == replace(prepared, link_id=held.link_id, ecard_id=held.ecard_id)
    assert links.rights_of(prepared.link_id) == ()
    links.end_rights(held.link_id, [adopted.enrolment_id], LATER)
    assert links.rights_of(held.link_id) == ()


def test_pages_follow_each_other(links: SqlLinks) -> None:
    app = APP[:-1] + "c"
    made = sorted(links.add_link(link(app_id=app)).link_id for _ in range(5))
    first = links.links_of_channel(app, limit=3)
    rest = links.links_of_channel(app, after=first[-1].link_id, limit=3)
    assert [one.link_id for one in (*first, *rest)] == made


def test_news_is_written_once_under_its_mark_and_waits_until_taken_up(links: SqlLinks) -> None:
    one = links.add_link(link())
    for moment in (NOW, LATER):
        links.tell([one], LinkNews.LEVEL, {"level": 2}, "1/2", moment)
    waiting = links.waiting_news()
    assert [row.kind for row in waiting] == [LinkNews.CLAIMED, LinkNews.LEVEL]
    links.taken_up(waiting)
    assert links.waiting_news() == ()


def test_tries_are_taken_before_and_never_more_than_permitted(claims: SqlClaims) -> None:
    person = ref()
    taken = together(*[partial(claims.take_try, person, 5, DAY, NOW)] * 12)
    assert sorted(taken) == [False] * 7 + [True] * 5
    assert not claims.take_try(person, 5, DAY, NOW + DAY - HOUR)
    assert claims.take_try(person, 5, DAY, NOW + DAY)
    claims.clear_tries(person)
    assert claims.take_try(person, 1, DAY, NOW)
    assert not claims.take_try(person, 1, DAY, NOW)


def test_counts_are_of_an_hour_or_a_day(claims: SqlClaims) -> None:
    counted = together(*[partial(claims.count, APP, "claim", DAY, NOW)] * 6)
    assert sorted(counted) == [1, 2, 3, 4, 5, 6]
    assert claims.counted(APP, "claim", DAY, NOW) == 6
    assert claims.counted(APP, "claim", DAY, NOW + DAY) == 0
    assert claims.count(APP, "claim", DAY, NOW + DAY) == 1


def test_a_claim_goes_forward_only_and_goes_with_its_day(claims: SqlClaims) -> None:
    made = IdentificationRow(ref(), APP, ref(), NOW, LATER)
    claims.add_identification(made)
    assert claims.find_identification(made.identification_id) == made
    row = ClaimRow(ref(), APP, ref(), ref(), ref(), ref(), "n", "c", HolderProof.PIN, b"point", NOW, LATER)
    claims.add_claim(row)
    claims.finish_claim(row.claim_id, "x")  # not proven yet
    assert claims.find_claim(row.claim_id) == row
    proven = claims.prove_claim(replace(row, provider="p", method="face"))
    assert (proven.state, proven.provider) == (ClaimState.PROVEN, "p")
    assert claims.prove_claim(replace(row, provider="q")) == proven
    claims.finish_claim(row.claim_id, "x")
    done = claims.find_claim(row.claim_id)
    assert done is not None
    assert (done.state, done.linked_id) == (ClaimState.DONE, "x")
    statement = ref()
    assert claims.use_statement(statement, "one", LATER)
    assert claims.use_statement(statement, "one", LATER)
    assert not claims.use_statement(statement, "two", LATER)
    assert claims.forget(LATER + DAY, 10) == 0
    assert claims.forget(LATER + DAY + HOUR, 10) == 3
    assert claims.find_claim(row.claim_id) is None


def test_providers_are_kept_with_their_end(engine: Engine) -> None:
    store = SqlProviders(engine)
    key = {**DeviceKey.generate().public_jwk, "kid": "k1"}
    provider = IdentityProvider("https://face.example", "Face", ("face",), (key,))
    assert store.find_provider(provider.provider_id) is None
    store.save_provider(provider, "one", NOW, removed=False, grant=None)
    store.save_provider(provider, "two", LATER, removed=True, grant=None)
    (known,) = store.list_providers()
    assert (known.provider, known.changed_by, known.removed_at) == (provider, "two", LATER)
