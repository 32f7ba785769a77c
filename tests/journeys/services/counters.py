"""Counters, apps and clerks that speak to one service over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card import messages
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.service import Service


@dataclass
class Counters:
    """A client for each role; `post` is a call that must end as it says."""

    service: Service
    app: FastAPI = field(init=False)
    clients: dict[Role, TestClient] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = create_app(self.service.issuer)

    def client(self, role: Role) -> TestClient:
        if role not in self.clients:
            headers = {"Authorization": f"Bearer {self.service.token(role)}"}
            self.clients[role] = TestClient(self.app, raise_server_exceptions=False, headers=headers)
        return self.clients[role]

    def post(self, role: Role, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
        response = self.client(role).post(path, json=body)
        assert response.status_code == status, response.text
        answer = response.json()
        assert isinstance(answer, dict)
        return answer

    def refused(self, role: Role, path: str, body: dict[str, Any], code: str) -> int:
        """The call is refused with `code`, in English and in Chinese; returns the HTTP status."""
        for language in ("en", "zh-CN"):
            response = self.client(role).post(path, json=body, headers={"Accept-Language": language})
            problem = response.json()
            assert problem.get("code") == code, response.text
            assert problem["title"] == messages.text(code, messages.language(language))
        return response.status_code
