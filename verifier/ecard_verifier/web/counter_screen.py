"""`/counter`: the page on which a clerk scans, as `make component` built it, with every file that it needs.

Nothing is loaded from anywhere else and no script stands in the page, so its policy names this service alone. Where the
page was not built, `/counter` says so in one plain page; everything else of the service works without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from ecard_card.errors import NotFound
from ecard_card.messages import LANGUAGES, text
from ecard_verifier.web.base import problems
from ecard_verifier.web.docs import page

BUILT: Final = Path(__file__).parent / "built"
_INDEX: Final = "index.html"
_WORKER: Final = "sw.js"
_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
#: WebAssembly is how pictures are decoded; a photo of the holder and its own files are all the pictures there are.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors "
)
_HEADERS: Final = {
    "Permissions-Policy": "camera=(self), fullscreen=(self), screen-wake-lock=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Origins = Callable[[], Collection[str]]
IfNoneMatch = Annotated[str, Header(alias="If-None-Match", description="An ETag that was served before.")]
AcceptEncoding = Annotated[str, Header(alias="Accept-Encoding", description="`gzip` is known.")]


@dataclass(frozen=True, slots=True)
class _File:
    """A file as built, plain and as gzip. `etag` is a strong one; with gzip it has another."""

    name: str
    plain: bytes = field(repr=False)
    gzip: bytes | None = field(repr=False)
    digest: str

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[Path(self.name).suffix]


def counter_screen_router(folder: Path = BUILT, frame_origins: Origins = tuple) -> APIRouter:
    """The page and its files. `folder` is read once, here; `frame_origins`: whose pages may frame it."""
    router = APIRouter(tags=["counter"])
    files = _read(folder)
    unchanged: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged"}}

    @router.get(
        "/counter",
        operation_id="get_counter_page",
        summary="The page on which a counter scans",
        response_class=HTMLResponse,
        responses={**unchanged, **problems(422), 503: {"description": "It was not built: a page that says so"}},
    )
    def get_counter_page(if_none_match: IfNoneMatch = "", accept_encoding: AcceptEncoding = "") -> Response:
        """For a browser. `?lang=` (`zh`, `en`) and `?theme=` are for its script."""
        index = files.get(_INDEX)
        if index is None:
            return _not_built()
        policy = _POLICY + (" ".join(frame_origins()) or "'none'")
        headers = {**_HEADERS, "Cache-Control": _ASK_AGAIN, "Content-Security-Policy": policy}
        return _served(index, headers, if_none_match, accept_encoding)

    @router.get(
        "/counter/{asset}",
        operation_id="get_counter_page_file",
        summary="A file of the counter's page",
        response_class=Response,
        responses={
            200: {"content": {media_type: {} for media_type in _MEDIA_TYPES.values()}, "description": "The file"},
            **unchanged,
            **problems(404, 422, codes={404: "not_found"}),
        },
    )
    def get_counter_page_file(
        asset: str, if_none_match: IfNoneMatch = "", accept_encoding: AcceptEncoding = ""
    ) -> Response:
        """A name with a hash in it always means the same bytes, so it may be kept for ever."""
        found = files.get(asset)
        if found is None or asset == _INDEX:
            raise NotFound("not_found", "the page has no such file; another version of it may have had one")
        headers = dict(_HEADERS)
        if asset == _WORKER:
            headers |= {"Cache-Control": _ASK_AGAIN, "Service-Worker-Allowed": "/counter"}
        else:
            headers["Cache-Control"] = _FOREVER
        if found.media_type.startswith("text/javascript"):
            headers["Content-Security-Policy"] = _POLICY + "'none'"  # a worker has the policy of its own script
        return _served(found, headers, if_none_match, accept_encoding)

    return router


def page_routes(router: APIRouter) -> list[APIRoute]:
    """The routes, for an application that takes them one by one."""
    return [route for route in router.routes if isinstance(route, APIRoute)]


def _read(folder: Path) -> Mapping[str, _File]:
    found = sorted(path for path in folder.glob("*") if path.suffix in _MEDIA_TYPES)
    return {path.name: _file(path) for path in found}


def _file(path: Path) -> _File:
    plain, packed = path.read_bytes(), path.with_name(path.name + ".gz")
    digest = hashlib.sha256(plain).hexdigest()[:32]
    return _File(path.name, plain, packed.read_bytes() if packed.exists() else None, digest)


def _served(file: _File, headers: Mapping[str, str], if_none_match: str, accept_encoding: str) -> Response:
    packed = file.gzip if _takes_gzip(accept_encoding) else None
    etag = f'"{file.digest}{"" if packed is None else "-gzip"}"'
    sent = {**headers, "ETag": etag, "Vary": "Accept-Encoding"}
    if etag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
        return Response(status_code=304, headers=sent)
    if packed is not None:
        sent["Content-Encoding"] = "gzip"
    return Response(file.plain if packed is None else packed, media_type=file.media_type, headers=sent)


def _takes_gzip(accept_encoding: str) -> bool:
    offers = [offer.replace(" ", "").lower() for offer in accept_encoding.split(",")]
    return any(offer == "gzip" or (offer.startswith("gzip;q=") and offer[7:].strip("0.") != "") for offer in offers)


def _not_built() -> HTMLResponse:
    code = "counter_page_not_built"
    texts = "".join(f'<p lang="{language}">{text(code, language)}</p>' for language in reversed(LANGUAGES))
    answer = page("e-card", f"<h1>503</h1>{texts}<p><code>{code}</code></p>")
    answer.status_code = 503
    return answer
