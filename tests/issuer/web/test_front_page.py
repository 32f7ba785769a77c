"""The page at `/`: whoever comes without knowing anything finds their door."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from starlette.testclient import TestClient

from ecard_issuer.testmode.mode import Mode
from ecard_issuer.web.app import create_app
from tests.issuer.service import ORIGIN, open_service


def test_every_address_of_the_front_page_answers_and_a_test_issuer_says_so(tmp_path: Path) -> None:
    service = open_service(tmp_path)
    issuer = service.issuer
    try:
        client = TestClient(create_app(issuer), base_url=ORIGIN)
        page = client.get("/").text
        links = re.findall(r'<a href="([^"]+)">', page)
        assert {"docs", "problems", ".well-known/openid-configuration", ".well-known/openid-credential-issuer"} < {
            *links
        }
        assert {link: client.get(f"/{link}").status_code for link in links} == dict.fromkeys(links, 200)
        assert "test issuer" not in page
        tried = replace(issuer, test_mode=replace(issuer.test_mode, mode=Mode(test=True)))
        assert "test issuer" in TestClient(create_app(tried), base_url=ORIGIN).get("/").text
    finally:
        issuer.close()
