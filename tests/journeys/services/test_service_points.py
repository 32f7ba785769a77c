"""Where to go: outlets by address, telephone and services, as 12333 and the smart service hall tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecard_issuer.service_points.files import Format, write_file
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from tests.issuer.service_points.samples import ROWS, points
from tests.journeys.services.relying_town import Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        done = opened.call("PUT", "/v1/service-points", {"scope": "410000", "points": ROWS})
        assert done["outcome"] == {"added": 5, "changed": 0, "removed": 0, "unchanged": 0}
        yield opened


def search(town: Town, status: int = 200, **said: Any) -> dict[str, Any]:
    """As anybody, without a token."""
    response = town.client.post("/v1/service-points/search", json=said)
    assert response.status_code == status, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def test_the_hotline_answers_address_telephone_and_scope_of_service(town: Town) -> None:
    """Line 27: somebody on the telephone asks for the hall of a district."""
    answer = town.client.get("/v1/service-points", params={"region": "410102", "kind": "outlet"}).json()
    (hall,) = answer["points"]
    assert hall["address"] == {"zh": "中原区测试路1号", "en": "1 Test Road, Zhongyuan"}
    assert hall["telephone"] == "0371-12333"
    assert hall["services"] == ["apply", "collect", "pin_change", "loss", "replace"]
    assert hall["hours"][0] == {"day": 1, "spans": [["09:00", "12:00"], ["13:30", "17:00"]]}
    assert town.client.get(f"/v1/service-points/{hall['point_id']}").json()["names"] == hall["names"]
    missing = town.client.get("/v1/service-points/nowhere", headers={"Accept-Language": "zh"})
    assert (missing.status_code, missing.json()["title"]) == (404, "没有此服务网点。")


def test_the_service_hall_finds_the_nearest_that_does_it(town: Town) -> None:
    """Line 28: a phone asks where the PIN can be changed near by, now. It is Monday, 18:00 in China."""
    near = {"latitude": 34.7473, "longitude": 113.6249}
    every = search(town, near=near, radius=20_000)["points"]
    assert [item["point_id"] for item in every] == ["zz-pharmacy", "zz-icbc-1", "zz-hall"]
    assert every[0]["distance"] == pytest.approx(540, abs=5)
    assert [item["open_now"] for item in every] == [True, False, False]
    open_now = search(town, near=near, radius=20_000, service="pin_change", open_now=True)["points"]
    assert [item["point_id"] for item in open_now] == ["zz-pharmacy"]
    moved = search(town, near=near | {"datum": "gcj02"}, radius=20_000)["points"]
    assert moved[0]["distance"] != every[0]["distance"]  # the same numbers of another datum are another place
    pages = search(town, limit=3)
    rest = search(town, limit=3, cursor=pages["cursor"])
    assert len(pages["points"]) + len(rest["points"]) == len(ROWS)
    assert rest["cursor"] is None


def test_bad_questions_get_clear_answers(town: Town) -> None:
    assert search(town, 400, cursor="nonsense")["code"] == "bad_cursor"
    cursor = search(town, limit=1)["cursor"]
    near = {"latitude": 34.7, "longitude": 113.6}
    assert search(town, 400, cursor=cursor, near=near)["code"] == "bad_cursor"  # of another search
    for wrong in ({"radius": 10**9}, {"limit": 0}, {"service": "haircut"}, {"near": {"latitude": 91, "longitude": 0}}):
        assert search(town, 422, **wrong)["code"] == "invalid_request"
    assert town.client.get("/v1/service-points", params={"region": "河南"}).status_code == 422


def test_a_wrong_row_changes_nothing(town: Town) -> None:
    rows = [ROWS[0] | {"hours": "全天"}, *ROWS[1:]]
    refused = town.call("PUT", "/v1/service-points", {"scope": "410000", "points": rows})
    assert (refused["outcome"], refused["wrong"]) == (None, 1)
    assert refused["errors"][0]["code"] == "bad_opening_hours"
    empty = town.call("PUT", "/v1/service-points", {"scope": "410000", "points": []}, status=400, language="zh")
    assert (empty["code"], empty["title"]) == ("bad_points_file", "网点文件无法读取。")
    exported = town.client.get("/v1/service-points/export", headers=town.headers(Role.OPERATOR)).content
    assert sorted(exported.splitlines()) == sorted(write_file(points(), Format.CSV).splitlines())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECARD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    assert main(["init"]) == 0
    return tmp_path


def test_sets_are_imported_exported_and_searched_on_the_command_line(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = folder / "points.csv"
    file.write_bytes(write_file(points(), Format.CSV, encoding="gb18030"))
    assert main(["points", "import", str(file), "--scope", "410000", "--dry-run", "--json"]) == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert (told["dry_run"], told["outcome"]["added"]) == (True, 5)
    assert main(["points", "search", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["points"] == []
    assert main(["points", "import", str(file), "--scope", "410000"]) == 0
    assert b"added: 5" in capfdbinary.readouterr().out
    assert main(["points", "export", "--scope", "410000", "--encoding", "gb18030"]) == 0
    exported = capfdbinary.readouterr().out
    assert sorted(exported.splitlines()) == sorted(file.read_bytes().splitlines())
    search_near = ["points", "search", "大药房", "--near", "34.7473,113.6249", "--service", "pin_change"]
    assert main(search_near) == 0
    assert "测试大药房" in capfdbinary.readouterr().out.decode()
    (folder / "wrong.jsonl").write_text('{"point_id": "x"}\n', encoding="utf-8")
    assert main(["points", "import", str(folder / "wrong.jsonl")]) == 1
    assert b"row 1: bad_service_point" in capfdbinary.readouterr().err
    assert main(["points", "import", str(folder / "none.csv")]) == 2
    assert main(["points", "search", "--service", "haircut"]) == 2
