"""The back end of a page that shows an e-card: it fetches the page's ticket, and the page can mint nothing.

uvicorn --app-dir examples/h5_page --port 8500 server:app, with ECARD_APP_ID, ECARD_KEY_FILE and ECARD_BASE_URL.
The page's origin is one that the app has registered (`ecard mock --browser-origin http://127.0.0.1:8500`);
ECARD_PAGE_ORIGIN names another.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from ecard_sdk import AsyncECardClient, ECardError

PAGE = (Path(__file__).parent / "page.html").read_text("utf-8")
ORIGIN = os.environ.get("ECARD_PAGE_ORIGIN", "http://127.0.0.1:8500")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncECardClient.from_env() as ecard:
        app.state.ecard = ecard
        yield


app = FastAPI(title="Example page", lifespan=lifespan)


async def link_of_visitor(ecard: AsyncECardClient) -> str:
    """The e-card of whoever is logged in here. This example has no login: it shows the app's first usable one."""
    async for link in ecard.links.list():
        if link.usable:
            return link.link_id
    raise HTTPException(404, "no link: claim an e-card first, as the README's first block does")


@app.get("/")
async def page(request: Request) -> HTMLResponse:
    """The page, without anything of a person in it."""
    service: str = request.app.state.ecard.base_url
    policy = f"default-src 'self'; script-src 'self' {service}; connect-src 'self' {service}; frame-ancestors 'none'"
    return HTMLResponse(PAGE.replace("{{service}}", service), headers={"Content-Security-Policy": policy})


@app.post("/ticket")
async def ticket(request: Request) -> JSONResponse:
    """A ticket of 30 seconds, good once, for this page and no other. Only whoever is logged in gets one."""
    if request.headers.get("origin") != ORIGIN:
        raise HTTPException(403, f"open the page as {ORIGIN}")
    ecard: AsyncECardClient = request.app.state.ecard
    made = await ecard.tickets.create(await link_of_visitor(ecard), origin=ORIGIN)
    return JSONResponse({"ticket": made.ticket}, headers={"Cache-Control": "no-store"})


@app.exception_handler(ECardError)
async def refused(_: Request, error: ECardError) -> JSONResponse:
    """The page says what the authority said, in words for a person."""
    return JSONResponse({"detail": error.message}, 503 if error.retryable else 422)


@app.get("/page.js")
async def script() -> Response:
    """The page's own script."""
    return Response((Path(__file__).parent / "page.js").read_text("utf-8"), media_type="text/javascript")
