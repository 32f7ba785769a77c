"""Ports `Links` and `Openings` on both engines: limits are keys of the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ecard_card.errors import Conflict, RuleViolation
from ecard_issuer.family.link import FamilyEnd, LinkRow, Proof, Relation, Side
from ecard_issuer.family.sql import SqlLinks
from ecard_issuer.levels.opening import Closing
from ecard_issuer.levels.sql import SqlOpenings
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, ref, refused
from tests.issuer.register.plans import no_scans


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    with no_scans(engine):
        yield engine


@pytest.fixture
def links(engine: Engine) -> SqlLinks:
    return SqlLinks(engine)


def link(viewer: str, relative: str | None = None) -> LinkRow:
    return LinkRow(
        viewer_ref=viewer,
        link_id=ref(),
        place=0,
        relative_ref=relative or ref(),
        ecard_id=ref(),
        relation=Relation.CHILD,
        proof=Proof.GUARDIAN,
        mandate_id="g-1",
        consent="family-1",
        entered_by="app 1",
        started_at=NOW,
        ends_at=LATER,
        of_age=True,
    )


def test_a_link_is_found_from_both_sides_until_it_ends_and_after(links: SqlLinks) -> None:
    viewer = ref()
    stored = [links.add(link(viewer), 8) for _ in range(3)]
    assert [row.place for row in stored] == [0, 1, 2]
    first = stored[0]
    assert links.find(viewer, first.link_id) == links.between(viewer, first.relative_ref) == first
    assert links.add(first, 8) == first  # the same again
    assert links.live(viewer) == tuple(stored)
    ended = links.end(first, FamilyEnd.RELATIVE, LATER)
    assert (ended.ended_at, ended.end) == (LATER, FamilyEnd.RELATIVE)
    assert links.end(first, FamilyEnd.VIEWER, LATER + timedelta(days=1)) == ended
    assert links.between(viewer, first.relative_ref) is None
    assert links.of(first.relative_ref, Side.RELATIVE) == (ended,)
    assert len(links.of(viewer, Side.VIEWER)) == 3
    assert links.add(link(viewer), 8).place == 0


def test_a_refused_renewal_ends_nothing(links: SqlLinks) -> None:
    viewer = ref()
    first, _ = (links.add(link(viewer), 2) for _ in range(2))
    renewed = link(viewer, first.relative_ref)
    with refused(RuleViolation, "family_full"):
        links.add(renewed, 1, instead_of=first.link_id)  # the policy has become stricter meanwhile
    assert links.between(viewer, first.relative_ref) == first
    assert links.add(renewed, 2, instead_of=first.link_id).place == 0


def test_of_many_relatives_at_once_as_many_are_added_as_there_are_places(links: SqlLinks) -> None:
    viewer = ref()
    ended = race(*(lambda: links.add(link(viewer), 4) for _ in range(12)))
    assert ended == {"won": 4, "family_full": 8}
    assert [row.place for row in links.live(viewer)] == [0, 1, 2, 3]


def test_of_many_links_of_a_pair_at_once_one_is_added_and_all_get_it(links: SqlLinks) -> None:
    viewer, relative = ref(), ref()
    got: list[str] = []
    ended = race(*(lambda: got.append(links.add(link(viewer, relative), 8).link_id) for _ in range(10)))
    assert ended == {"won": 10}
    assert len(set(got)) == 1
    assert len(links.live(viewer)) == 1


def test_a_showing_stands_on_both_sides_or_on_none(links: SqlLinks) -> None:
    viewer, other = ref(), ref()
    first = links.add(link(viewer), 8)
    second = links.add(link(other, first.relative_ref), 8)
    assert links.add_showing(first, "s-1", "app 1", NOW)
    assert not links.add_showing(first, "s-1", "app 1", LATER)
    with refused(Conflict, "family_showing_differs"):
        links.add_showing(second, "s-1", "app 1", NOW)
    assert links.showings(other) == ()
    assert [row.side for row in links.showings(viewer)] == [Side.VIEWER]
    assert links.add_showing(replace(first), "s-2", "app 1", LATER)
    assert [row.showing_id for row in links.showings(first.relative_ref, Side.RELATIVE)] == ["s-2", "s-1"]
    assert links.showings(first.relative_ref, Side.VIEWER) == ()


def test_of_many_openings_at_once_one_is_stored_and_all_get_it(engine: Engine) -> None:
    openings, ecard = SqlOpenings(engine), ref()
    got: list[int] = []

    def open_it() -> None:
        row = openings.open(ecard, now=NOW, caller="app 1", ground="own", mandate_id=None, consent="c")
        got.append(row.opening)

    assert race(*[open_it] * 10) == {"won": 10}
    assert set(got) == {1}
    closed = openings.close(ecard, now=LATER, caller="app 2", closing=Closing.RELEASE)
    assert closed is not None
    assert (closed.closed_at, closed.closing) == (LATER, Closing.RELEASE)
    assert openings.close(ecard, now=LATER, caller="app 2", closing=Closing.HOLDER) is None
    open_it()
    assert [row.opening for row in openings.of_ecard(ecard)] == [1, 2]
    assert openings.current(ecard) == openings.of_ecard(ecard)[1]
