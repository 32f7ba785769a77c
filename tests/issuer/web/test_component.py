"""The browser component is served as it was built, and its absence is said with one code."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.web.component import component_router
from ecard_verifier.web.base import new_api
from tests.issuer.channel_kit import admit
from tests.issuer.service import Service


def client(folder: Path) -> TestClient:
    app = new_api("component", "alone")
    app.include_router(component_router(folder))
    return TestClient(app)


@pytest.mark.parametrize("path", ["/ecard-code.js", "/ecard-code.mjs"])
def test_what_was_not_built_is_said(tmp_path: Path, path: str) -> None:
    answer = client(tmp_path).get(path)
    assert answer.status_code == 503
    assert answer.json()["code"] == "component_not_built"


def test_what_was_built_is_served_to_any_page_and_once(tmp_path: Path) -> None:
    (tmp_path / "ecard-code.js").write_text("1;", encoding="utf-8")
    served = client(tmp_path)
    answer = served.get("/ecard-code.js")
    assert (answer.status_code, answer.text) == (200, "1;")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert served.get("/ecard-code.js", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert served.get("/ecard-code.mjs").status_code == 503


def test_the_card_page_is_framed_by_its_apps_pages_only(service: Service, app: FastAPI, anybody: TestClient) -> None:
    channel = admit(service, app=app)
    for query, ancestors in (
        ({"app": channel.app_id}, "https://app.bank.example"),
        ({}, "'none'"),
        ({"app": "ek_live_" + "a" * 24}, "'none'"),
    ):
        answer = anybody.get("/h5/card", params=query | {"lang": "en", "theme": "elder dark"})
        assert answer.status_code == 200
        assert f"frame-ancestors {ancestors}" in answer.headers["content-security-policy"]
        assert 'theme="elder dark"' in answer.text
    for bad in ({"app": "x"}, {"theme": '"><script>'}, {"lang": "fr"}):
        assert anybody.get("/h5/card", params=bad).status_code == 422
