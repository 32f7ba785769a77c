"""A bare FastAPI endpoint that takes the body of `POST /v1/verifications` and answers as many bytes as it does.

python -m tests.benchmarks.verify_server FD BYTES; served as `ecard serve verifier` serves.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ecard_issuer.cli.connections import Connection


class Body(BaseModel):
    """What was scanned."""

    code: str
    counter: str


def bare(size: int) -> FastAPI:
    """One route, on the event loop itself, which does nothing."""
    app = FastAPI()

    @app.post("/v1/verifications")
    async def verifications(body: Body) -> JSONResponse:
        return JSONResponse({"answer": "x" * (size - len('{"answer":""}'))})

    return app


def main() -> None:
    config = uvicorn.Config(
        bare(int(sys.argv[2])), http=Connection, ws="none", loop="asyncio", access_log=False, log_level="warning"
    )
    config.limit_concurrency = 4096
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
