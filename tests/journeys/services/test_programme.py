"""The programme's own lines: each is told in both languages, and what it promises the product does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from ecard_card.errors import InvalidInput
from ecard_issuer.programme.description import programme, read_programme
from tests.journeys.services.relying_town import Town, open_town

KINDS = ("facts", "functions", "uses", "channels")
LINES = sorted(item.line for item in programme().items())


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.fixture(scope="module")
def told(town: Town) -> dict[int, dict[str, Any]]:
    """What anybody is told, by line."""
    answer = town.client.get("/v1/programme").json()
    return {item["line"]: item for kind in KINDS for item in answer[kind]}


def page(town: Town, **said: Any) -> str:
    response = town.client.get("/programme", **said)
    assert response.status_code == 200
    return str(response.text)


def test_the_lines_are_those_of_the_brochure() -> None:
    assert LINES == [*range(1, 16), *range(20, 25), 53, 54, *range(56, 67), *range(101, 105)]


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_told_in_both_languages_and_leads_to_what_keeps_it(
    town: Town, told: dict[int, dict[str, Any]], line: int
) -> None:
    item = told[line]
    assert re.search(r"[\u4e00-\u9fff]", item["names"]["zh"])
    assert not re.search(r"[\u4e00-\u9fff]", item["names"]["en"])
    operations = {
        operation["operationId"]
        for methods in town.client.get("/openapi.json").json()["paths"].values()
        for operation in methods.values()
    }
    assert set(item["offers"]) <= operations
    assert item["offers"] or item.get("state") == "not_yet" or line in (1, 2)
    chinese, english = page(town, params={"lang": "zh"}), page(town, params={"lang": "en"})
    assert f'<li value="{line}">{item["names"]["zh"]}' in chinese
    assert f'<li value="{line}">' in english


def test_what_the_e_card_is_for_works(town: Town, told: dict[int, dict[str, Any]]) -> None:
    assert [told[line]["state"] for line in (64, 65, 66)] == ["works"] * 3
    assert "docs#scan_login" in page(town, params={"lang": "en"})
    assert "暂未提供" not in page(town, params={"lang": "zh"})


def test_an_operator_says_where_a_channel_is_found(town: Town) -> None:
    def address() -> object:
        channels = town.client.get("/v1/programme").json()["channels"]
        return next(item["address"] for item in channels if item["channel"] == "card-website")

    path = "/v1/programme/channels/card-website"
    assert address() is None
    assert "请拨打服务热线咨询" in page(town, params={"lang": "zh"})
    for _ in range(2):
        town.call("PUT", path, {"address": "https://card.example/"})
        assert address() == "https://card.example/"
    assert '<a href="https://card.example/">' in page(town)
    town.call("PUT", path, {"address": "“河南社会保障卡” <b>"})
    assert "“河南社会保障卡” &lt;b&gt;" in page(town)
    for wrong in (
        "http://card.example/",
        "javascript:alert(1)",
        "https://a@b/",
        "右\u202e左",
        "ftp://x",
        "",
        "https://",
    ):
        refused = town.call("PUT", path, {"address": wrong}, status=400, language="zh")
        assert (refused["code"], refused["title"]) == ("bad_channel_address", "渠道地址格式不正确。")
    town.call("PUT", path, {"address": None})
    assert address() is None
    assert town.call("PUT", "/v1/programme/channels/fax", {"address": "x"}, status=404)["code"] == "channel_unknown"


class _Reader(HTMLParser):
    """What a screen reader needs: a language, one main, headings in order, links with text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize(("accepted", "language"), [("zh-CN,zh;q=0.9", "zh"), ("en", "en"), ("", "en")])
def test_the_page_reads_in_the_language_that_is_preferred(town: Town, accepted: str, language: str) -> None:
    response = town.client.get("/programme", headers={"Accept-Language": accepted})
    reader = _Reader()
    reader.feed(response.text)
    names = [tag for tag, _ in reader.tags]
    assert dict(reader.tags)["html"]["lang"] == response.headers["content-language"] == language
    assert (names.count("main"), names.count("h1"), "script" in names) == (1, 1, False)
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert f"?lang={'en' if language == 'zh' else 'zh'}" in links
    assert "12333" in response.text
    docs = town.client.get("/docs").text
    for link in links:
        if link and link.startswith("docs#"):
            assert f'id="{link.removeprefix("docs#")}"' in docs


def test_a_description_that_is_none_is_refused() -> None:
    for document in (b"{}", b'{"format":"ecard-programme/1","hotline":"1","facts":[{}],"functions":[]}'):
        with pytest.raises(InvalidInput) as caught:
            read_programme(document)
        assert caught.value.code == "bad_programme"
