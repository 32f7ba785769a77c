"""Routes by which a channel's app has a credential for a device of its holder, and what replaced it later."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card import device_proof, jose
from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.links.answers import credential_answer
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.link_models import LinkCredential, LinkSuccessor, NewLinkCredential
from ecard_issuer.web.links import CHANGE, LinkId
from ecard_keys.verify import load_public_key, verify_jws

CredentialId = Annotated[
    str, Path(pattern="^[0-9a-f]{32}$", description="The `credential_id` of the credential that the device holds.")
]
_PROOF: Final = "bad_device_proof bad_jws wrong_type algorithm_not_allowed"


def link_devices_router(issuer: Issuer) -> APIRouter:
    """The routes under `/v1/links/{link_id}/credentials`."""
    router, links = APIRouter(prefix="/v1/links", tags=["links"]), issuer.links
    shower = require_channel(issuer, Scope.SHOW)
    once = [Depends(idempotent(issuer, shower))]

    @router.post(
        "/{link_id}/credentials",
        operation_id="add_link_device",
        summary="A credential for a device of the holder",
        status_code=201,
        response_model=LinkCredential,
        responses=channel_problems(
            *CHANGE,
            codes=with_once(
                {
                    400: f"{_PROOF} bad_jwk bad_public_key",
                    404: "link_unknown",
                    409: "issuance_in_progress",
                    422: "link_released ecard_ended ecard_not_usable card_not_issuable",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.SHOW),
        dependencies=once,
    )
    def add_link_device(
        link_id: LinkId,
        body: NewLinkCredential,
        caller: ChannelCaller = Depends(shower),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The device then makes codes by itself. The same key again has the same credential while that is good, and
        another one afterwards. A link has five devices at most: the oldest gives way."""
        link, now = links.get(caller.app_id, link_id), issuer.clock()
        point = jose.parse_public_jwk(body.device_key.model_dump(exclude_none=True))
        jws = device_proof.parse(
            body.proof, issuer=issuer.identity.issuer, enrolment_id=link_id, now=int(now.timestamp())
        )
        if not verify_jws(jws, load_public_key(point)):
            raise InvalidInput("bad_device_proof", "not signed by the device key")
        issued = links.issue_to(link, point, now)
        issuer.wake.ring()
        return JSONResponse(credential_answer(issued), 201)

    @router.post(
        "/{link_id}/credentials/{credential_id}/successor",
        operation_id="collect_link_successor",
        summary="What replaced a device's credential",
        response_model=LinkCredential,
        responses=channel_problems(
            *CHANGE,
            codes=with_once(
                {
                    400: _PROOF,
                    404: "link_unknown credential_unknown",
                    409: "credential_not_replaced credential_already_replaced issuance_in_progress",
                    422: "link_released ecard_ended card_not_issuable enrolment_not_proven",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.SHOW),
        dependencies=once,
    )
    def collect_link_successor(
        link_id: LinkId,
        credential_id: CredentialId,
        body: LinkSuccessor,
        caller: ChannelCaller = Depends(shower),  # noqa: B008
    ) -> JSONResponse:
        """After a key was replaced every credential under it is made anew; after a card was replaced the e-card goes on
        with the new one, once its chip was proven. The old one ends with this; a repetition gives the same again."""
        link, now, held = links.get(caller.app_id, link_id), issuer.clock(), bytes.fromhex(credential_id)
        links.require_issued(link, held, now)
        issued = issuer.collecting.collect(held, body.proof, now)
        issuer.wake.ring()
        links.require_live(link, now)  # released in this moment: nobody is given it
        return JSONResponse(credential_answer(issued))

    return router
