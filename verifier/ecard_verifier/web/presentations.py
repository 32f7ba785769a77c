"""OpenID4VP 1.0 over HTTP: services ask and read here, wallets fetch a request and post their answer."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from ecard_card import messages
from ecard_card.errors import NotAllowed, Unavailable
from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.openid4vp.for_groups import wish_of_group
from ecard_verifier.openid4vp.presentations import REQUEST_PATH, RESPONSE_PATH, WALLET_PATH, Presentations
from ecard_verifier.openid4vp.request import MEDIA_TYPE
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems
from ecard_verifier.web.docs import page
from ecard_verifier.web.forms import FORM, parse_form
from ecard_verifier.web.presentation_models import (
    CarriedAnswer,
    Presentation,
    PresentationOpened,
    PresentationRequest,
    ResponseCode,
    WalletAnswered,
    opened_json,
)

#: Paths, as patterns, whose bodies are forms.
PRESENTATION_FORMS: Final = (f"{REQUEST_PATH}/[^/]+", f"{RESPONSE_PATH}/[^/]+")
_TEXT: Final = {"type": "string", "maxLength": 60000}
_Reference = Annotated[str, Path(max_length=64, description="As in the request's address: a secret.")]
_Id = Annotated[str, Path(max_length=64, description="As it was given when the presentation was asked for.")]


async def _form(request: Request) -> dict[str, str]:
    """Empty where a wallet has nothing to say."""
    body = await request.body()
    return parse_form(body, request.headers.get("content-type", ""), 16) if body else {}


_Form = Annotated[dict[str, str], Depends(_form)]


def presentations_router(
    presentations: Presentations | None, authenticate: Authenticate, counters: Counters | None = None
) -> APIRouter:
    """The routes; without `presentations` each says `presentations_off`. With `counters` groups of merchants ask too,
    for what their purposes permit."""
    router = APIRouter(tags=["presentation"])
    asking = require_role(authenticate, Role.COUNTER)

    def room() -> Presentations:
        if presentations is None:
            raise Unavailable(
                "presentations_off", "this verifier has no key with a certificate for requests to wallets"
            )
        return presentations

    @router.post(
        "/v1/presentations",
        operation_id="create_presentation",
        summary="Ask a wallet for a credential",
        status_code=201,
        response_model=PresentationOpened,
        responses=problems(
            *(400, 401, 403, 404, 413, 415, 422, 429, 503),
            codes={
                400: "bad_claims other_issuer_unknown bad_transaction_data bad_return_url bad_origin purpose_needed",
                403: "group_needed claim_not_permitted",
                404: "purpose_unknown",
                429: "counter_quota_used_up",
                503: "presentations_off no_request_key trust_missing presentations_full",
            },
        ),
        openapi_extra=needs(Role.COUNTER),
    )
    def create_presentation(
        request: PresentationRequest,
        caller: Caller = Depends(asking),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Show the holder the QR code, or lead their browser to a link. Any wallet that speaks OpenID4VP 1.0
        (`x509_hash`, `direct_post.jwt`, SD-JWT VC) can answer, within five minutes."""
        wallets, wish = room(), request.wish()
        if counters is not None and caller.group is not None:
            wish = wish_of_group(counters, caller.group, wish)
        elif wish.purpose is not None:
            raise NotAllowed("group_needed", "purposes are for the tokens of a group of merchants")
        return JSONResponse(opened_json(wallets.open(wish, _owner(caller))), 201)

    @router.get(
        "/v1/presentations/{presentation_id}",
        operation_id="get_presentation",
        summary="What became of a presentation",
        response_model=Presentation,
        responses=problems(401, 403, 404, 422, 429, codes={404: "presentation_unknown"}),
        openapi_extra=needs(Role.COUNTER),
    )
    def get_presentation(
        presentation_id: _Id,
        caller: Caller = Depends(asking),  # noqa: B008
    ) -> JSONResponse:
        """For the caller that asked, until 15 minutes after it was decided. With a `return_url` the verdict is not told
        before the browser's `response_code` was handed in."""
        return JSONResponse(room().result(presentation_id, _owner(caller)))

    @router.post(
        "/v1/presentations/{presentation_id}/completion",
        operation_id="complete_presentation",
        summary="Hand in the code that the browser brought back",
        response_model=Presentation,
        responses=problems(
            *(400, 401, 403, 404, 413, 415, 422, 429), codes={403: "response_code_wrong", 404: "presentation_unknown"}
        ),
        openapi_extra=needs(Role.COUNTER),
    )
    def complete_presentation(
        presentation_id: _Id,
        body: ResponseCode,
        caller: Caller = Depends(asking),  # noqa: B008
    ) -> JSONResponse:
        """With the id that *this browser's* session holds: a code from another session's wallet is refused, and so
        is a second use. Three wrong codes end it."""
        return JSONResponse(room().complete(presentation_id, _owner(caller), body.response_code))

    @router.post(
        "/v1/presentations/{presentation_id}/answer",
        operation_id="answer_presentation",
        summary="Hand in the answer that the browser gave",
        response_model=Presentation,
        responses=problems(
            *(400, 401, 403, 404, 409, 413, 415, 422, 429),
            codes={
                400: "response_not_encrypted response_encryption_refused response_not_decryptable",
                404: "presentation_unknown",
                409: "response_replayed presentation_over",
            },
        ),
        openapi_extra=needs(Role.COUNTER),
    )
    def answer_presentation(
        presentation_id: _Id,
        body: CarriedAnswer,
        caller: Caller = Depends(asking),  # noqa: B008
    ) -> JSONResponse:
        """Of a presentation that was asked with `origins`; it is judged once."""
        return JSONResponse(room().carried(presentation_id, _owner(caller), body.response))

    _wallet_routes(router, room)
    return router


def _wallet_routes(router: APIRouter, room: Callable[[], Presentations]) -> None:
    @router.get(
        f"{REQUEST_PATH}/{{reference}}",
        operation_id="get_presentation_request",
        summary="The signed request, for a wallet",
        response_class=Response,
        responses={200: _JWT, **problems(*_FETCH_STATUSES, codes=_FETCH_CODES)},
    )
    def get_request(reference: _Reference) -> Response:
        """A JWT of type `oauth-authz-req+jwt` (OpenID4VP 1.0 §5). It is given out once."""
        return Response(room().request(reference), media_type=MEDIA_TYPE)

    @router.post(
        f"{REQUEST_PATH}/{{reference}}",
        operation_id="post_presentation_request",
        summary="The signed request, for a wallet that says a nonce",
        response_class=Response,
        responses={200: _JWT, **problems(*_FETCH_STATUSES, 400, 413, 415, codes={**_FETCH_CODES, 400: "bad_form"})},
        openapi_extra=_form_of({"wallet_nonce": _TEXT, "wallet_metadata": _TEXT}),
    )
    def post_request(reference: _Reference, form: _Form) -> Response:
        """As by GET, with the wallet's nonce in it (§5.10). What the wallet says of itself changes nothing."""
        return Response(room().request(reference, form.get("wallet_nonce")), media_type=MEDIA_TYPE)

    @router.post(
        f"{RESPONSE_PATH}/{{reference}}",
        operation_id="post_presentation_response",
        summary="A wallet's answer",
        response_model=WalletAnswered,
        responses=problems(
            *(400, 404, 409, 413, 415, 422, 429),
            codes={
                400: "response_not_encrypted response_encryption_refused response_not_decryptable bad_form",
                404: "presentation_request_unknown",
                409: "response_replayed presentation_over presentation_request_unfetched",
                422: "wrong_state",
            },
        ),
        openapi_extra=_form_of({"response": _TEXT, "error": _TEXT, "state": _TEXT}),
    )
    def post_response(reference: _Reference, form: _Form) -> JSONResponse:
        """`direct_post.jwt` (§8.2): a JWE to the key of the request. It is judged once; the wallet is not told how."""
        redirect_uri = room().respond(reference, form)
        return JSONResponse({} if redirect_uri is None else {"redirect_uri": redirect_uri})

    @router.get(WALLET_PATH, include_in_schema=False)
    def wallet_page(request: Request, client_id: str = "", request_uri: str = "") -> HTMLResponse:
        """Where the https link leads in a browser: a link to whatever wallet there is."""
        lang = messages.language(request.headers.get("accept-language", ""))
        link = room().link_of(client_id, request_uri)
        title, about = (messages.text(f"wallet_page_{part}", lang) for part in ("title", "about"))
        opening = messages.text("wallet_page_open", lang)
        action = "" if link is None else f'<p><a href="{escape(link)}">{escape(opening)}</a></p>'
        return page(title, f"<h1>{escape(title)}</h1><p>{escape(about)}</p>{action}", lang)


def _owner(caller: Caller) -> str:
    """Whose a presentation is: two groups may call a system by one name."""
    return caller.name if caller.group is None else f"{caller.group}/{caller.name}"


def _form_of(members: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": members}
    return {"requestBody": {"content": {FORM: {"schema": schema}}, "required": True}}


_JWT: Final[dict[str, Any]] = {"description": "The request object", "content": {MEDIA_TYPE: {"schema": _TEXT}}}
_FETCH_STATUSES: Final = (404, 409, 422, 429)
_FETCH_CODES: Final = {404: "presentation_request_unknown", 409: "presentation_request_used presentation_over"}
