"""`/desk`: the clerk's page, Chinese or English. It asks this service with the clerk's own token, and the desk agent on
the clerk's machine for the card; no script of anybody else is on it."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, Response

from ecard_card.errors import NotFound
from ecard_issuer.assembly import Issuer
from ecard_issuer.publishing.publisher import Published
from ecard_issuer.web.keys import Language
from ecard_issuer.web.public import IfNoneMatch, published

_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
_FILES: Final = ("app.js", "acts.js", "agent.js", "screen.js", "texts.json", "desk.css")


def desk_page_router(issuer: Issuer) -> APIRouter:
    """The page and its files, which are read once, here."""
    router = APIRouter(include_in_schema=False)
    folder = files("ecard_issuer.web").joinpath("desk")
    body = folder.joinpath("page.html").read_text("utf-8")
    assets = {name: _asset(name, folder.joinpath(name).read_bytes()) for name in _FILES}
    port = issuer.settings.desk_port

    @router.get("/desk")
    def get_desk(language: Language) -> HTMLResponse:
        """The same for everybody: whoever has no desk's token sees an entry and nothing else."""
        return HTMLResponse(
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1"><title>e-card</title>'
            '<link rel="stylesheet" href="/desk/desk.css"><script type="module" src="/desk/app.js"></script></head>'
            f'<body data-agent-port="{port}">{body}</body></html>',
            headers={
                "Content-Security-Policy": _policy(port),
                "Content-Language": language,
                "Permissions-Policy": "local-network-access=(self), loopback-network=(self), camera=(), geolocation=()",
                "Vary": "Accept-Language",
            },
        )

    @router.get("/desk/{asset}")
    def get_desk_asset(asset: Annotated[str, Path(max_length=32)], if_none_match: IfNoneMatch = None) -> Response:
        if asset not in assets:
            raise NotFound("not_found", "no file of the desk page")
        return published(assets[asset], if_none_match)

    return router


def _policy(port: int) -> str:
    """Its own files, this service, and the agent of the machine that it is open on."""
    agent = f"http://127.0.0.1:{port} ws://127.0.0.1:{port}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {agent}; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _asset(name: str, content: bytes) -> Published:
    media_type = f"{_MEDIA_TYPES['.' + name.rpartition('.')[2]]}; charset=utf-8"
    return Published(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"', 0)
