"""The routes that the counter's page calls, strict and told what to say: it refuses what the service refuses, keeps
what it was asked, and can fail on cue."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Cookie, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StrictStr

from ecard_qr.payload import Form, to_text
from ecard_verifier.verdict import rfc3339
from ecard_verifier.web.base import new_api
from ecard_verifier.web.counter_screen import counter_screen_router

COOKIE = "__Host-ecard-counter"
ADMISSION = "ABCD2345"
PURPOSES = {"medical": ("就医", "Medical care"), "pharmacy": ("购药", "Pharmacy"), "benefit": ("待遇认证", "Benefits")}
PERSON = {"name": "王**", "id_number": "410***********1230", "birth_year": "1956", "region": "410100"}


CookieValue = Annotated[str, Cookie(alias=COOKIE)]


def online_code() -> str:
    """A whole `EC0:` text that nobody signed."""
    return to_text(b"\x85\x01\x50" + secrets.token_bytes(16) + b"\x1a" + secrets.token_bytes(78), Form.ONLINE)


def purpose(name: str, **more: Any) -> dict[str, Any]:
    """As a `CounterState` lists it."""
    zh, en = PURPOSES[name]
    plain = {
        "business_type": "01",
        "challenge": False,
        "live": True,
        "compare_name": False,
        "minimum_assurance": "read",
    }
    return {"purpose": name, "names": {"zh": zh, "en": en}, **plain, **more}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Admission(Strict):
    admission_code: StrictStr


class Staff(Strict):
    alias: StrictStr
    pin: StrictStr


class Scan(Strict):
    scan_id: UUID
    code: StrictStr
    purpose: Literal["medical", "pharmacy", "benefit"]
    way: Literal["camera", "scanner", "typed", "picture"]
    challenge_id: StrictStr | None = None


class Purpose(Strict):
    purpose: StrictStr


@dataclass
class Fake:
    """`says` maps a code to members of the answer; `before` is awaited before an answer is given."""

    says: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    code: str = "service_unavailable"
    body: bytes | None = None
    hang: bool = False
    revoked: bool = False
    staff: str | None = None
    staff_needed: bool = False
    clock_ahead: float = 0
    challenges: list[str] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    answers: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    def reset(self) -> None:
        fresh = Fake(sessions=self.sessions)
        self.__dict__.update(fresh.__dict__)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead)

    def counter_state(self) -> dict[str, Any]:
        now = self.now()
        return {
            "group": {"group_id": "grp_1", "name": "仁爱医药", "level": "designated"},
            "branch": {"branch_id": "brn_1", "name": "人民路店"},
            "counter": {"counter_id": "ctr_1", "name": "2号窗口", "audience": "desk-7"},
            "staff": {"alias": self.staff} if self.staff else None,
            "staff_needed": self.staff_needed,
            "purposes": [purpose(name) for name in PURPOSES],
            "online": True,
            "now": rfc3339(now),
            "status_as_of": rfc3339(now - timedelta(seconds=1)),
            "trust_as_of": rfc3339(now - timedelta(hours=3)),
            "trust_expires_at": rfc3339(now + timedelta(days=6)),
            "show_seconds": 15,
            "session_expires_at": rfc3339(now + timedelta(hours=12)),
            "return_origins": [],
            **self.state,
        }

    def answer(self, scan: Scan) -> dict[str, Any]:
        if scan.scan_id not in self.answers:
            now = self.now()
            self.answers[scan.scan_id] = {
                "verification_id": "ver_" + secrets.token_urlsafe(16),
                "scan_id": str(scan.scan_id),
                "reference": f"{len(self.answers) + 1:06}",
                "recorded_at": rfc3339(now),
                "outcome": "valid",
                "reason": "ok",
                "shown": PERSON,
                "shown_missing": None,
                "status_as_of": rfc3339(now),
                "chip_assurance": "signature",
                "holder_proof": "identity",
                "test_card": False,
                "first_seen": None,
                "purpose": scan.purpose,
                **self.says.get(scan.code, {}),
            }
        return self.answers[scan.scan_id]


def fake_app(fake: Fake, folder: Path) -> FastAPI:
    app = new_api("fake", "of the counter")
    app.include_router(counter_screen_router(folder))

    def refused(status: int, code: str) -> Response:
        return JSONResponse({"code": code, "status": status}, status, media_type="application/problem+json")

    async def answered(request: Request, cookie: str, make: Callable[[], Any], status: int = 200) -> Response:
        if request.method != "GET" and request.headers.get("origin") != f"http://{request.headers['host']}":
            return refused(403, "foreign_origin")
        while fake.hang:
            await asyncio.sleep(0.02)
        if fake.body is not None:
            return Response(fake.body, 200, media_type="application/json")
        if fake.status is not None:
            return refused(fake.status, fake.code)
        if fake.revoked:
            return refused(401, "counter_revoked")
        if cookie not in fake.sessions:
            return refused(401, "counter_not_admitted")
        return JSONResponse(make(), status)

    @app.post("/v1/counter/session")
    async def admit(given: Admission, origin: Annotated[str, Header()]) -> Response:
        if given.admission_code != ADMISSION:
            return refused(401, "admission_wrong")
        fake.revoked = False
        session = secrets.token_urlsafe(16)
        fake.sessions.add(session)
        answer = JSONResponse(fake.counter_state(), 201)
        answer.set_cookie(COOKIE, session, secure=True, httponly=True, samesite="strict", path="/")
        return answer

    @app.get("/v1/counter/session")
    async def session(request: Request, cookie: CookieValue = "") -> Response:
        return await answered(request, cookie, fake.counter_state)

    @app.delete("/v1/counter/session")
    async def leave(request: Request, cookie: CookieValue = "") -> Response:
        answer = await answered(request, cookie, dict)
        fake.sessions.discard(cookie)
        return answer

    @app.post("/v1/counter/staff")
    async def staff(request: Request, given: Staff, cookie: CookieValue = "") -> Response:
        if (given.alias, given.pin) != ("小李", "246810"):
            return refused(400, "staff_pin_wrong")
        fake.staff = given.alias
        return await answered(request, cookie, fake.counter_state)

    @app.delete("/v1/counter/staff")
    async def staff_leaves(request: Request, cookie: CookieValue = "") -> Response:
        fake.staff = None
        return await answered(request, cookie, fake.counter_state)

    @app.post("/v1/counter/challenges")
    async def challenge(request: Request, given: Purpose, cookie: CookieValue = "") -> Response:
        fake.challenges.append(f"chl_{len(fake.challenges)}")
        made = {
            "challenge_id": fake.challenges[-1],
            "text": f"ECQ:{given.purpose.upper()}/{len(fake.challenges)}",
            "expires_at": rfc3339(fake.now() + timedelta(minutes=2)),
        }
        return await answered(request, cookie, lambda: made, 201)

    @app.post("/v1/counter/verifications")
    async def verify(request: Request, scan: Scan, cookie: CookieValue = "") -> Response:
        fake.asked.append(scan.model_dump(mode="json"))
        return await answered(request, cookie, lambda: fake.answer(scan))

    @app.get("/v1/counter/shift")
    async def shift(request: Request, cookie: CookieValue = "") -> Response:
        names = ("reference", "outcome", "reason", "purpose", "test_card")
        more = {"business_type": "01", "way": "camera", "source": "online", "staff": fake.staff or ""}
        rows = [
            {"at": one["recorded_at"], **more, **{name: one[name] for name in names}} for one in fake.answers.values()
        ]
        return await answered(request, cookie, lambda: {"rows": rows[::-1]})

    return app


#: A picture of one grey pixel, for the photo.
PHOTO = (
    "data:image/png;base64,"
    + base64.b64encode(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63680000008200815d5d8d0c0000000049454e44ae426082"
        )
    ).decode()
)
