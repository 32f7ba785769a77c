"""One served process of `wallet_issue`: the issuer's own application as `ecard serve` runs it, or a bare one beside it.

python -m tests.benchmarks.wallet_server FD FOLDER WHAT, where WHAT is `whole` (with dispatcher and workers), `web` (a
further web process on the same register) or `bare`. The address of the database stands in the environment.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import build
from ecard_issuer.cli.connections import Connection
from ecard_issuer.config import load
from ecard_issuer.web.app import create_app

ORIGIN = "https://issuer.example"


def bare() -> FastAPI:
    """The same four calls, each answered with as many bytes of JSON and nothing done for it."""
    app = FastAPI()
    sizes = {"offers": 2600, "token": 160, "nonce": 70, "credential": 2300}

    @app.post("/v1/enrolments/{enrolment_id}/offers", status_code=201)
    def offers(enrolment_id: str) -> JSONResponse:
        return JSONResponse({"answer": "x" * sizes["offers"]}, 201)

    @app.post("/wallets/token")
    async def token(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"answer": "x" * sizes["token"]})

    @app.post("/wallets/nonce")
    async def nonce() -> JSONResponse:
        return JSONResponse({"answer": "x" * sizes["nonce"]})

    @app.post("/wallets/credential")
    async def credential(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse({"answer": "x" * sizes["credential"]})

    return app


def main() -> None:
    descriptor, folder, what = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if what == "bare":
        app = bare()
    else:
        issuer = build(load(data_dir=folder, public_origin=ORIGIN, regions=("000000",), approvals_needed=0))
        app = create_app(issuer)
        if what == "whole":
            issuer.start()
    config = uvicorn.Config(app, http=Connection, ws="none", loop="asyncio", access_log=False, log_level="warning")
    config.limit_concurrency = 4096
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
