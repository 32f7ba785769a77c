"""`PointStore` on both engines: what is found, in which order, and that a set is replaced whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from ecard_card.errors import Conflict
from ecard_issuer.service_points.geography import Place
from ecard_issuer.service_points.office import ServicePoints
from ecard_issuer.service_points.points import Offered, PointKind, ServicePoint
from ecard_issuer.service_points.sql import SqlPoints
from ecard_issuer.service_points.store import PointStore, Query, Replaced
from tests.contracts.register_world import NOW, refused
from tests.issuer.service_points.samples import points

CENTRE = Place(34.7473, 113.6249)


class PointStoreContract:
    def test_a_set_is_replaced_and_says_what_changed(self, store: PointStore) -> None:
        assert store.replace("410000", points(), "anna", NOW, dry_run=True) == Replaced(5, 0, 0, 0)
        assert store.every("000000") == ()
        assert store.replace("410000", points(), "anna", NOW, dry_run=False) == Replaced(5, 0, 0, 0)
        assert store.replace("410000", points(), "anna", NOW, dry_run=False) == Replaced(0, 0, 0, 5)
        fewer = [replace(points()[0], telephone="12333"), *points()[2:]]
        assert store.replace("410000", fewer, "anna", NOW, dry_run=True) == Replaced(0, 1, 1, 3)
        assert store.replace("410000", fewer, "anna", NOW, dry_run=False) == Replaced(0, 1, 1, 3)
        assert {point.point_id: point for point in store.every("410000")} == {point.point_id: point for point in fewer}
        assert store.find("zz-icbc-1") is None

    def test_only_the_regions_own_points_are_replaced(self, store: PointStore) -> None:
        store.replace("410000", points(), "anna", NOW, dry_run=False)
        assert store.replace("410300", [], "anna", NOW, dry_run=False) == Replaced(0, 0, 1, 0)
        assert len(store.every("410100")) == 3
        moved = replace(points()[0], region="410300")
        with refused(Conflict, "service_point_elsewhere"):
            store.replace("410300", [moved], "anna", NOW, dry_run=False)
        assert store.every("410300") == ()

    def test_filters_and_pages(self, store: PointStore) -> None:
        store.replace("000000", points(), "anna", NOW, dry_run=False)
        service_points = ServicePoints(store)

        def found(**said: object) -> list[str]:
            query = Query(**said)  # type: ignore[arg-type]
            names: list[str] = []
            cursor = None
            while True:
                page = service_points.search(query, NOW, limit=2, cursor=cursor)
                names += [hit.point.point_id for hit in page.hits]
                cursor = page.cursor
                if cursor is None:
                    return names

        assert found() == ["zz-hall", "zz-pharmacy", "zz-icbc-1", "ly-hall", "xx-kiosk"]
        assert found(region="410100") == ["zz-hall", "zz-pharmacy", "zz-icbc-1"]
        assert found(region="410102") == ["zz-hall", "zz-pharmacy"]
        assert found(service=Offered.PIN_CHANGE) == ["zz-hall", "zz-pharmacy", "ly-hall"]
        assert found(kind=PointKind.BANK_BRANCH) == ["zz-icbc-1"]
        assert found(text="ZHONGYUAN") == ["zz-hall"]
        assert found(text="100%") == ["zz-pharmacy"]  # no wildcard
        assert found(text="100_") == []
        assert found(near=CENTRE, radius=5000) == ["zz-pharmacy", "zz-icbc-1", "zz-hall"]  # one is in GCJ-02
        assert found(near=CENTRE, radius=700) == ["zz-pharmacy"]
        assert found(near=CENTRE, radius=5000, service=Offered.COLLECT) == ["zz-icbc-1", "zz-hall"]

    def test_many_points_come_once_each_whatever_the_page(self, store: PointStore) -> None:
        first = points()[2]
        crowd = [_moved(first, number) for number in range(130)]
        store.replace("000000", crowd, "anna", NOW, dry_run=False)
        service_points = ServicePoints(store)
        for query in (Query(), Query(near=CENTRE, radius=50_000)):
            seen: list[str] = []
            distances: list[int] = []
            cursor = None
            while True:
                page = service_points.search(query, NOW, limit=17, cursor=cursor)
                seen += [hit.point.point_id for hit in page.hits]
                distances += [hit.metres or 0 for hit in page.hits]
                if (cursor := page.cursor) is None:
                    break
            assert sorted(seen) == sorted(point.point_id for point in crowd)
            assert distances == sorted(distances)

    def test_two_who_replace_at_once_leave_one_whole_set(self, store: PointStore) -> None:
        sets = [[replace(point, telephone=f"0371-{number:07}") for point in points()] for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda chosen: store.replace("410000", chosen, "anna", NOW, dry_run=False), sets))
        assert len({point.telephone for point in store.every("410000")}) == 1


def _moved(point: ServicePoint, number: int) -> ServicePoint:
    place = Place(round(34.7 + number // 12 * 0.01, 6), round(113.6 + number % 12 * 0.01, 6))
    return replace(point, point_id=f"p-{number}", place=place)


class TestSqlite(PointStoreContract):
    @pytest.fixture
    def store(self, sqlite_engine: Engine) -> PointStore:
        return SqlPoints(sqlite_engine)


@pytest.mark.postgres
class TestPostgres(PointStoreContract):
    @pytest.fixture
    def store(self, postgres_engine: Engine) -> PointStore:
        return SqlPoints(postgres_engine)
