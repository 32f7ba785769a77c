"""Paths of files take larger bodies, a bounded number of them at once."""

from __future__ import annotations

import asyncio
from typing import Any

from ecard_verifier.web.middleware import MOST_LARGE, BodyLimit


async def _app(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(message.get("body", b""))).encode()})


class Request:
    """One request, whose body comes when it is let go."""

    def __init__(self, path: str, size: int, *, chunked: bool = False) -> None:
        length = (b"transfer-encoding", b"chunked") if chunked else (b"content-length", str(size).encode())
        headers = [length, (b"content-type", b"application/json")]
        self.scope = {"type": "http", "path": path, "headers": headers, "state": {}}
        self.size, self.ready, self.status = size, asyncio.Event(), 0

    async def receive(self) -> Any:
        await self.ready.wait()
        return {"type": "http.request", "body": b'"' + b"x" * (self.size - 2) + b'"', "more_body": False}

    async def send(self, message: Any) -> None:
        self.status = message.get("status", self.status)

    async def sent_to(self, limit: BodyLimit) -> int:
        self.ready.set()
        await limit(self.scope, self.receive, self.send)
        return self.status


def test_only_paths_of_files_take_more() -> None:
    async def story() -> None:
        limit = BodyLimit(_app, limit=100, larger={"/files/[0-9]+": 1000})
        assert await Request("/files/7", 1000).sent_to(limit) == 200
        assert await Request("/files/7", 1000, chunked=True).sent_to(limit) == 200
        assert await Request("/files/7", 1001).sent_to(limit) == 413
        assert await Request("/files/7", 1001, chunked=True).sent_to(limit) == 413
        for path in ("/other", "/files/7/x", "/x/files/7"):
            assert await Request(path, 101).sent_to(limit) == 413
            assert await Request(path, 100).sent_to(limit) == 200

    asyncio.run(story())


def test_large_bodies_do_not_crowd_out_memory_or_the_others() -> None:
    async def story() -> None:
        limit = BodyLimit(_app, limit=100, larger={"/files": 1000})
        waiting = [Request("/files", 1000) for _ in range(MOST_LARGE)]
        tasks = [asyncio.create_task(limit(one.scope, one.receive, one.send)) for one in waiting]
        await asyncio.sleep(0)
        assert await Request("/files", 1000).sent_to(limit) == 503
        assert await Request("/files", 1000, chunked=True).sent_to(limit) == 503
        assert await Request("/files", 100).sent_to(limit) == 200
        assert await Request("/other", 100).sent_to(limit) == 200
        for one in waiting:
            one.ready.set()
        await asyncio.gather(*tasks)
        assert {one.status for one in waiting} == {200}
        assert await Request("/files", 1000).sent_to(limit) == 200

    asyncio.run(story())
