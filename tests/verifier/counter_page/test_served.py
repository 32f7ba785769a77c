"""The page over HTTP: nothing from anywhere else, files that may be kept for ever, and its absence said."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ecard_card.errors import InvalidInput
from ecard_verifier.config import load_embedded
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from ecard_verifier.web.base import new_api
from ecard_verifier.web.counter_screen import counter_screen_router
from tests.require import needs_counter_page
from tests.verifier.counters.kit import BASE, open_house

MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
}


def client(folder: Path, *origins: str) -> TestClient:
    app = new_api("counter", "alone")
    app.include_router(counter_screen_router(folder, lambda: origins))
    return TestClient(app)


@pytest.fixture(scope="module")
def built() -> TestClient:
    return client(needs_counter_page())


def addresses(built: TestClient) -> set[str]:
    """Every file that the page, its scripts and its manifest name."""
    found: set[str] = set()
    waiting = {"/counter"}
    while waiting:
        text = built.get(waiting.pop()).text
        new = (
            set(re.findall(r"/counter/[\w.-]+\.(?:js|css|svg|png|wasm|webmanifest)", text)) - found - {"/counter/sw.js"}
        )
        found |= new
        waiting |= {one for one in new if not one.endswith((".wasm", ".png"))}
    return found


def test_what_was_not_built_is_one_clear_page(tmp_path: Path) -> None:
    absent = client(tmp_path)
    answer = absent.get("/counter")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for said in ("counter_page_not_built", "make component", "尚未构建"):
        assert said in answer.text
    assert absent.get("/counter/page.js").json()["code"] == "not_found"


def test_the_page_and_each_file_it_names_is_served_with_its_type_and_may_be_kept(built: TestClient) -> None:
    names = addresses(built)
    assert {name.rsplit(".", 1)[1] for name in names} == set(MEDIA_TYPES)
    for name in sorted(names):
        answer = built.get(name, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200, name
        assert answer.headers["content-type"] == MEDIA_TYPES[name.rsplit(".", 1)[1]]
        assert "immutable" in answer.headers["cache-control"]
        assert re.search(r"\.[0-9a-f]{12}\.", name), "another content has another name"
        packed = built.get(name, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == answer.content
        assert packed.headers["etag"] != answer.headers["etag"]
        again = built.get(name, headers={"If-None-Match": f'"x", {packed.headers["etag"]}', "Accept-Encoding": "gzip"})
        assert (again.status_code, again.content) == (304, b"")
    refused = built.get(min(names), headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_the_page_itself_is_asked_for_again_and_its_policy_names_nobody_else(built: TestClient) -> None:
    answer = built.get("/counter", headers={"Accept-Encoding": "identity"})
    assert answer.headers["cache-control"] == "no-cache"
    assert (
        built.get("/counter", headers={"If-None-Match": answer.headers["etag"], "Accept-Encoding": ""}).status_code
        == 304
    )
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy.pop("script-src") == "'self' 'wasm-unsafe-eval'"
    assert policy.pop("img-src") == "'self' blob:"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert not re.search(r"<script(?![^>]* src=)|<style|style=|\son\w+=|https?://", answer.text)
    assert answer.headers["permissions-policy"].startswith("camera=(self)")


def test_nothing_of_the_page_is_loaded_from_anywhere_else(built: TestClient) -> None:
    """The one host in the libraries is that of a CDN, which is asked only where nobody says where the file is."""
    hosts = {
        host
        for name in addresses(built)
        if name.endswith((".js", ".css"))
        for host in re.findall(r"https?://[\w.-]+", built.get(name).text)
    }
    assert hosts <= {"https://fastly.jsdelivr.net", "http://www.w3.org"}


def test_frames_are_for_the_origins_that_were_named(built: TestClient) -> None:
    answer = client(needs_counter_page(), "https://his.example", "https://pos.example").get("/counter")
    assert answer.headers["content-security-policy"].endswith("frame-ancestors https://his.example https://pos.example")


@pytest.mark.parametrize("name", ["page.js", "index.html", "..%2Fapp.py", "%00", "a" * 5000, ".js", "index.html.gz"])
def test_there_is_no_other_file(built: TestClient, name: str) -> None:
    answer = built.get(f"/counter/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_service_worker_is_never_kept_and_may_have_the_whole_page(tmp_path: Path) -> None:
    for name, text in (("sw.js", "1;"), ("index.html", "<!doctype html>")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    answer = client(tmp_path).get("/counter/sw.js")
    assert (answer.status_code, answer.text) == (200, "1;")
    assert (answer.headers["cache-control"], answer.headers["service-worker-allowed"]) == ("no-cache", "/counter")


def test_the_manifest_installs_this_page(built: TestClient) -> None:
    (name,) = re.findall(r"/counter/manifest[\w.]+", built.get("/counter").text)
    manifest = json.loads(built.get(name).text)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/counter", "/counter", "standalone")
    assert {icon["type"] for icon in manifest["icons"]} == {"image/svg+xml", "image/png"}
    assert all(built.get(icon["src"]).status_code == 200 for icon in manifest["icons"])


def test_it_is_light(built: TestClient) -> None:
    """What a page needs before it can show anything, and all of it; bytes with gzip, of which most is the decoder."""
    folder = needs_counter_page()
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.gz")}
    first = sum(size for name, size in sizes.items() if name.startswith(("index", "page")))
    assert first < 60_000
    assert sum(sizes.values()) < 650_000


SYSTEMS = ("https://his.example", "http://localhost:8080")


def test_the_systems_that_are_told_stand_in_a_setting(tmp_path: Path) -> None:
    name = "ECARD_VERIFIER_COUNTER_ORIGINS"
    assert load_embedded({}, ()).counter_origins == ()
    assert load_embedded({name: " ".join(SYSTEMS)}, ()).counter_origins == SYSTEMS
    path = tmp_path / "settings.toml"
    path.write_text(f"[verifier]\ncounter_origins = {json.dumps(SYSTEMS)}\n", encoding="utf-8")
    assert load_embedded({"ECARD_CONFIG": str(path)}, ()).counter_origins == SYSTEMS
    bad = (
        "*",
        "null",
        "http://his.example",
        "https://his.example/",
        "https://a.example;script-src",
        "https://A.example",
    )
    for value in (*bad, "https://x@a.example", " ".join(f"https://a{n}.example" for n in range(33))):
        with pytest.raises(InvalidInput) as refused:
            load_embedded({name: value}, ())
        assert refused.value.code == "bad_setting"
    for literal in ("[1]", "7", "{a = 1}"):
        path.write_text(f"[verifier]\ncounter_origins = {literal}\n", encoding="utf-8")
        with pytest.raises(InvalidInput):
            load_embedded({"ECARD_CONFIG": str(path)}, ())


def test_the_counter_is_told_of_them_and_so_is_the_browser(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    counters = replace(house.counters, origins=SYSTEMS)
    app = create_app(house.counters.service, HashedTokens({}), counters=counters)
    page = TestClient(app, base_url=BASE, headers={"Origin": BASE})
    group = house.group("with a system")
    state = page.post("/v1/counter/session", json={"admission_code": house.admission(group)}).json()
    assert state["return_origins"] == list(SYSTEMS)
    needs_counter_page()
    assert page.get("/counter").headers["content-security-policy"].endswith(" ".join(SYSTEMS))
    house.counters.close()
