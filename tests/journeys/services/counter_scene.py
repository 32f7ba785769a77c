"""A service with callers of each role and new people at each call: one for a whole module of journeys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card import messages
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.people_kit import ADULT, file, made_card, person, photo
from tests.issuer.service import Service, open_service

SCAN = b"\xff\xd8\xff" + bytes(range(256)) * 4


@dataclass
class Scene:
    service: Service
    app: FastAPI
    stack: ExitStack
    serials: Iterator[int] = field(default_factory=lambda: count(1))

    def caller(self, role: Role) -> TestClient:
        """Another caller of that role."""
        headers = {"Authorization": f"Bearer {self.service.token(role)}"}
        return self.stack.enter_context(TestClient(self.app, raise_server_exceptions=False, headers=headers))

    def person(self, born: str = ADULT, name: str = "测试") -> dict[str, Any]:
        """Somebody whom nobody met before."""
        return person(born, next(self.serials), name)

    def collected(
        self, desk: TestClient, identity: str, acting: dict[str, Any] | None = None, serial: int | None = None
    ) -> dict[str, Any]:
        """An approved application, brought to its end."""
        path = f"/v1/applications/{identity}"
        post(desk, f"{path}/produce")
        post(desk, f"{path}/made", made_card(self.service, serial or next(self.serials)))
        post(desk, f"{path}/ready", {"outlet": "zz-01"})
        return post(desk, f"{path}/collect", {} if acting is None else {"acting": acting})


@contextmanager
def opened_scene(folder: Path) -> Iterator[Scene]:
    service = open_service(folder)
    with ExitStack() as stack:
        yield Scene(service, create_app(service.issuer), stack)
    service.issuer.close()


def post(client: TestClient, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    response = client.post(path, json={} if body is None else body)
    assert response.status_code == status, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def refusal(client: TestClient, path: str, body: Any, lang: str = "en") -> str:
    """The code of a refusal, whose text is there in the language asked for."""
    response = client.post(path, json=body, headers={"Accept-Language": lang})
    problem = response.json()
    assert response.status_code in (400, 403, 404, 409, 422), response.text
    assert problem["title"] == messages.text(problem["code"], "zh" if lang == "zh" else "en")
    return str(problem["code"])


def applied(client: TestClient, body: dict[str, Any], *copies: str) -> str:
    """The id of an application with its photo and copies."""
    identity = str(post(client, "/v1/applications", body, 201)["application_id"])
    for kind in copies:
        content = photo() if kind == "photo" else SCAN
        post(client, f"/v1/applications/{identity}/documents", file(kind, content))
    return identity


def approved(desk: TestClient, identity: str) -> str:
    post(desk, f"/v1/applications/{identity}/review")
    post(desk, f"/v1/applications/{identity}/approve")
    return identity
