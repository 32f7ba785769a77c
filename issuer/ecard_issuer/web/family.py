"""Routes about family e-cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.card import IdNumber
from ecard_card.errors import NotAllowed
from ecard_issuer.assembly import Issuer
from ecard_issuer.family.family import LinkState
from ecard_issuer.family.link import Side
from ecard_issuer.holder_answers import link_answer
from ecard_issuer.web.holder_models import (
    AddRelative,
    EndLink,
    FamilyLinkAnswer,
    FamilyLinksAnswer,
    FindFamily,
    Shown,
    ShownAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

LinkId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="A link's `link_id`.")]
_ALL = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_FORBIDDEN = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_NEAR = (Role.DESK, Role.CHANNEL)


def family_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/family`."""
    router = APIRouter(prefix="/v1/family", tags=["family"])
    family, references = issuer.holders.family, issuer.people.references
    at_hand = require_role(authenticate, *_NEAR)

    @router.post(
        "",
        operation_id="add_relative",
        summary="Let a holder show a relative's e-card (亲情服务)",
        status_code=201,
        response_model=FamilyLinkAnswer,
        responses=problems(
            400,
            401,
            403,
            409,
            413,
            415,
            422,
            503,
            codes={
                400: "bad_id_number bad_acting bad_consent secret_not_six_digits",
                403: "document_of_other_person secret_guesses_used_up",
                409: "secret_changed_meanwhile",
                422: "family_self family_viewer_without_ecard family_relative_without_ecard family_full"
                " family_consent_needed ecard_password_wrong ecard_password_locked ecard_password_not_set"
                f" ecard_not_usable ecard_ended {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*_NEAR),
    )
    def add_relative(body: AddRelative, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """The relative consents by their e-card password or before a clerk; for a child the guardian does."""
        link = family.link(
            IdNumber(body.viewer),
            IdNumber(body.relative),
            body.relation,
            body.consent.to_consent(),
            caller,
            issuer.clock(),
            ecard_id=body.ecard_id,
        )
        return JSONResponse(link_answer(LinkState(link, Side.VIEWER, None), references, caller.name), 201)

    @router.post(
        "/find",
        operation_id="find_family",
        summary="A person's links, on either side",
        response_model=FamilyLinksAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_id_number"}),
        openapi_extra=needs(*_NEAR),
    )
    def find_family(body: FindFamily, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """Those that are over too, with the reason."""
        states = family.of(IdNumber(body.id_number), issuer.clock())
        return JSONResponse({"links": [link_answer(state, references, caller.name) for state in states]})

    @router.post(
        "/{link_id}/end",
        operation_id="end_family_link",
        summary="End a link, from either side",
        response_model=FamilyLinkAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            413,
            415,
            422,
            503,
            codes={400: "bad_id_number bad_acting", 404: "family_link_unknown", 422: _FORBIDDEN},
        ),
        openapi_extra=needs(*_NEAR),
    )
    def end_family_link(link_id: LinkId, body: EndLink, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """At once. A link that is over stays as it was."""
        state = family.end(IdNumber(body.id_number), link_id, issuer.clock(), acting=body.who)
        return JSONResponse(link_answer(state, references, caller.name))

    @router.post(
        "/{link_id}/shown",
        operation_id="record_family_showing",
        summary="Record that a relative's e-card is being shown",
        response_model=ShownAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "bad_id_number bad_event_id",
                403: "family_not_permitted",
                404: "family_link_unknown ecard_unknown",
                409: "family_showing_differs",
                422: "ecard_not_usable family_viewer_without_ecard",
            },
        ),
        openapi_extra=needs(*_NEAR),
    )
    def record_showing(link_id: LinkId, body: Shown, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """Refused unless the link holds now and the e-card is usable. Both persons can see the record."""
        link, side = family.get(references.holder(IdNumber(body.viewer)), link_id)
        if side is not Side.VIEWER:
            raise NotAllowed("family_not_permitted", "the relative shows their own e-card without a link")
        recorded = family.record_shown(link, body.showing_id, caller, issuer.clock())
        return JSONResponse({"link_id": link_id, "ecard_id": link.ecard_id, "recorded": recorded})

    return router
