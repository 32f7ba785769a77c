"""Routes about links for clerks and operators: a person's links at a desk, and the identity-proofing services."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card.acting import Act
from ecard_card.card import IdNumber
from ecard_card.errors import NotFound
from ecard_issuer.assembly import Issuer
from ecard_issuer.links.answers import held_link_answer, provider_answer
from ecard_issuer.links.providers import IdentityProvider
from ecard_issuer.links.values import Link, LinkEnd
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.link_models import (
    EndHolderLinks,
    FindHolderLinks,
    HolderLinksAnswer,
    IdentityProviderAnswer,
    IdentityProviderBody,
    IdentityProvidersAnswer,
    RemoveIdentityProvider,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_DESK: Final = (Role.DESK,)
_ACTING: Final = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"


def holder_links_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`/v1/holders/links`: at a desk, with the holder's document before the clerk."""
    router = APIRouter(prefix="/v1/holders/links", tags=["links"])
    desk = require_role(authenticate, *_DESK)
    links = issuer.links

    def of(number: str) -> tuple[str, tuple[Link, ...]]:
        holder_ref = issuer.people.references.holder(IdNumber(number))
        return holder_ref, links.store.links_of_holder(holder_ref)

    @router.post(
        "",
        operation_id="list_holder_links",
        summary="Which apps have a link with a person's e-cards",
        response_model=HolderLinksAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_id_number"}),
        openapi_extra=needs(*_DESK),
        dependencies=[Depends(desk)],
    )
    def list_holder_links(body: FindHolderLinks) -> JSONResponse:
        """Those that ended too, oldest first."""
        return JSONResponse({"links": [held_link_answer(link) for link in of(body.id_number)[1]]})

    @router.post(
        "/release",
        operation_id="release_holder_links",
        summary="Release a person's links, one or all",
        response_model=HolderLinksAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            413,
            415,
            422,
            503,
            codes={400: "bad_id_number bad_acting", 404: "link_unknown", 422: _ACTING},
        ),
        openapi_extra=needs(*_DESK),
        dependencies=[Depends(desk)],
    )
    def release_holder_links(body: EndHolderLinks) -> JSONResponse:
        """By the wish of the holder, who is before the clerk, or of whoever acts for them. Released before, one stays
        as it was."""
        now = issuer.clock()
        holder_ref, held = of(body.id_number)
        issuer.acting.require(body.who, holder_ref, Act.CLAIM_ECARD, now)
        chosen = [link for link in held if body.link_id in (None, link.link_id)]
        if body.link_id is not None and not chosen:
            raise NotFound("link_unknown", "this person has no such link")
        done = [links.release(link, now, end=LinkEnd.HOLDER) for link in chosen]
        issuer.wake.ring()
        return JSONResponse({"links": [held_link_answer(link) for link in done]})

    return router


def identity_providers_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`/v1/identity-providers`: whose word about a person is believed."""
    router = APIRouter(prefix="/v1/identity-providers", tags=["identity providers"])
    operator = require_role(authenticate, Role.OPERATOR)
    providers = issuer.linking.providers

    @router.get(
        "",
        operation_id="list_identity_providers",
        summary="Identity-proofing services",
        response_model=IdentityProvidersAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_identity_providers() -> JSONResponse:
        """Removed ones too."""
        return JSONResponse({"providers": [provider_answer(known) for known in providers.all()]})

    @router.put(
        "",
        operation_id="set_identity_provider",
        summary="Register an identity-proofing service, or change it",
        response_model=IdentityProviderAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(
                400, 401, 403, 413, 415, 422, 503, codes={400: "bad_identity_provider", 422: "approval_not_usable"}
            ),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_identity_provider(
        body: IdentityProviderBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Another operator has to agree: whoever it is says who people are. The same again changes nothing."""
        provider = IdentityProvider(body.provider_id, body.name, tuple(body.methods), tuple(body.keys))
        return JSONResponse(provider_answer(providers.save(provider, caller.name, issuer.clock())))

    @router.post(
        "/remove",
        operation_id="remove_identity_provider",
        summary="Believe a service no longer",
        response_model=IdentityProviderAnswer,
        responses=problems(401, 403, 404, 413, 415, 422, 503, codes={404: "identity_provider_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def remove_identity_provider(
        body: RemoveIdentityProvider,
        caller: Caller = Depends(operator),  # noqa: B008
    ) -> JSONResponse:
        """At once, and without a second operator. What was claimed on its word stays."""
        return JSONResponse(provider_answer(providers.remove(body.provider_id, caller.name, issuer.clock())))

    return router
