"""What the world may read without a token: status lists, trust list, key metadata, bundle, health, the front page."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel

from ecard_card.errors import EcardError, NotFound
from ecard_issuer.assembly import Issuer
from ecard_issuer.publishing.publisher import Form, Published
from ecard_keys.trust.root import root_to_json
from ecard_verifier.web.base import problems
from ecard_verifier.web.docs import front_page
from ecard_verifier.web.models import Live

_MAX_LIST: Final = 2**31 - 1
_LINKS: Final = (
    ("programme", "what the card is, what it is for, and where people reach it"),
    ("v1/service-points", "where card business is done: address, telephone, hours"),
    ("v1/catalogue", "what people do on the strength of their card"),
    ("docs", "the API, route by route"),
    ("openapi.json", "the same for machines"),
    ("problems", "every code of a refusal, and what to do about it"),
    (".well-known/oauth-authorization-server", "for channel apps: where tokens are"),
    (".well-known/openid-configuration", "for sites: people log in by scanning"),
    (".well-known/openid-credential-issuer", "for wallets: what can be fetched"),
    (".well-known/ecard-trust-list", "the signed trust list"),
    (".well-known/jwt-vc-issuer", "the keys, for generic SD-JWT VC clients"),
    ("v1/trust-root", "the trust root, to be compared before it is pinned"),
    ("v1/bundle", "all that an offline verifier needs"),
    ("status-lists", "where all status lists are"),
    ("health/ready", "whether the service can work now"),
)

_QUALITY: Final = re.compile(r"[01](\.[0-9]{0,3})?")

IfNoneMatch = Annotated[
    str | None, Header(max_length=1024, description="An `ETag` from before; 304 if it still holds.")
]


class Readiness(BaseModel):
    """Whether the issuer can work now, and what is missing if not."""

    ready: bool
    database: bool
    trust_list: bool


def public_router(issuer: Issuer) -> APIRouter:
    """The open routes."""
    router = APIRouter()
    publisher = issuer.publisher

    @router.get(
        "/status-lists/{list_id}",
        operation_id="get_status_list",
        summary="A status list token",
        tags=["published"],
        response_class=Response,
        responses={
            200: {"content": {form.value: {} for form in Form}, "description": "The signed list"},
            304: {"description": "Unchanged"},
            **problems(404, 422, 503, codes={404: "status_list_unknown"}),
        },
    )
    def get_status_list(
        list_id: Annotated[str, Path(pattern="^[0-9]{1,10}$", description="As in a credential's `status`.")],
        accept: Annotated[str, Header(max_length=1024, description="Which form is preferred.")] = "",
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        """JWT, unless `Accept` prefers the CWT form. Signed anew when a status changes, and before it expires."""
        number = int(list_id)
        if number > _MAX_LIST:
            raise NotFound("status_list_unknown", "this issuer has no list of that number")
        form = max(Form.JWT, Form.CWT, key=lambda offered: _preference(accept, offered))  # JWT of equals
        response = published(publisher.status_list(number, form, issuer.clock()), if_none_match)
        response.headers["Vary"] = "Accept"
        return response

    @router.get(
        "/.well-known/ecard-trust-list",
        operation_id="get_trust_list",
        summary="The trust list, signed by the root keys",
        tags=["published"],
        response_class=Response,
        responses={
            200: {"content": {"application/jose+json": {}}, "description": "The signed list"},
            304: {"description": "Unchanged"},
            **problems(404, 422, 503, codes={404: "no_trust_list"}),
        },
    )
    def get_trust_list(if_none_match: IfNoneMatch = None) -> Response:
        """Issuers, their keys and states. Verify it with a pinned trust root."""
        return published(publisher.trust_list(), if_none_match)

    @router.get(
        "/.well-known/ecard-trust-roots/{version}",
        operation_id="get_trust_root_document",
        summary="A trust root, signed by the one before it",
        tags=["published"],
        response_class=Response,
        responses={
            200: {"content": {"application/jose+json": {}}, "description": "The signed root; it never changes"},
            **problems(404, 422, 503, codes={404: "trust_root_unknown"}),
        },
    )
    def get_trust_root_document(
        version: Annotated[
            str, Path(pattern="^[1-9][0-9]{0,9}$", description="One more than that of the root you have.")
        ],
    ) -> Response:
        """From a pinned root, walk version by version until 404. Version 1 is pinned and has no document."""
        document = issuer.keys.board.root_document(int(version))
        headers = {**OPEN, "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(document, media_type="application/jose+json", headers=headers)

    @router.get(
        "/.well-known/jwks.json",
        operation_id="get_jwks",
        summary="The credential keys as a JWK set",
        tags=["published"],
        responses=problems(503),
    )
    def get_jwks() -> JSONResponse:
        """For clients that know nothing else. Its safety is that of this web server; the trust list's is not."""
        keys = publisher.jwt_vc_issuer()["jwks"]
        return JSONResponse(keys, headers={**OPEN, "Cache-Control": "public, max-age=300"})

    @router.get(
        "/.well-known/jwt-vc-issuer",
        operation_id="get_jwt_vc_issuer",
        summary="JWT VC issuer metadata",
        tags=["published"],
        responses=problems(503),
    )
    def get_jwt_vc_issuer() -> JSONResponse:
        """The credential keys as a JWKS. Its safety is that of this web server; the trust list's is not."""
        return JSONResponse(publisher.jwt_vc_issuer(), headers={**OPEN, "Cache-Control": "public, max-age=300"})

    @router.get(
        "/v1/bundle",
        operation_id="get_bundle",
        summary="The offline bundle",
        tags=["published"],
        response_class=Response,
        responses={
            200: {"content": {"application/json": {}}, "description": "The bundle"},
            304: {"description": "Unchanged"},
            **problems(422, 503),
        },
    )
    def get_bundle(if_none_match: IfNoneMatch = None) -> Response:
        """Trust root, trust list and status lists in one document, with the time until which it is good."""
        return published(publisher.bundle(issuer.clock()), if_none_match)

    @router.get("/v1/trust-root", operation_id="get_trust_root", summary="The trust root", tags=["published"])
    def get_trust_root() -> JSONResponse:
        """Compare it with what you were given another way before you pin it."""
        return JSONResponse(root_to_json(issuer.keys.root()), headers=OPEN)

    @router.get("/", include_in_schema=False)
    def front() -> HTMLResponse:
        about = f"This is the e-card issuer `{issuer.identity.issuer}`."
        if issuer.test_mode.mode.test:
            about += " It is a test issuer: the people and cards in it do not exist."
        return front_page(issuer.settings.issuer_name, about, _LINKS)

    return router


def health_router(issuer: Issuer, others: Any = None) -> APIRouter:
    """`/health/live` and `/health/ready`. `others` (a verifier in the same process) must be ready too."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", operation_id="health_live", summary="Is it running", response_model=Live)
    async def health_live() -> Live:
        """Says nothing about the world outside, and waits for no worker thread."""
        return Live()

    @router.get(
        "/ready",
        operation_id="health_ready",
        summary="Can it work",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "Not now"}},
    )
    def health_ready() -> JSONResponse:
        """Ready when the register answers and a current trust list is published (and the verifier's half is ready)."""
        trust, database = False, True
        try:
            trust = issuer.keys.trust(issuer.clock()).expires_at > issuer.clock().timestamp()
        except EcardError as error:
            database = error.code not in ("register_unavailable", "outcome_unknown")
        ready = trust and database and (others is None or others().ready)
        return JSONResponse({"ready": ready, "database": database, "trust_list": trust}, 200 if ready else 503)

    return router


OPEN: Final = {"Access-Control-Allow-Origin": "*"}


def published(document: Published, if_none_match: str | None) -> Response:
    """The document, or 304 where the caller has it."""
    headers = {**OPEN, "ETag": document.etag, "Cache-Control": f"public, max-age={document.max_age}"}
    if if_none_match is not None and _matches(if_none_match, document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.body, media_type=document.media_type, headers=headers)


def _preference(accept: str, form: Form) -> tuple[float, int]:
    """What an Accept header gives a form (RFC 9110 §12.5.1): the weight of the most exact range, and how exact."""
    ranges = ("*/*", "application/*", form.value)
    best = (-1, 0.0)
    for item in accept.lower().split(","):
        wanted, *parameters = (part.strip() for part in item.split(";"))
        if wanted in ranges:
            quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
            best = max(best, (ranges.index(wanted), float(quality) if _QUALITY.fullmatch(quality) else 0.0))
    return best[1], best[0] if best[1] else -1


def _matches(given: str, etag: str) -> bool:
    """RFC 9110 §13.1.2, weak comparison."""
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags
