"""Routes about the issuer's signing keys."""

from __future__ import annotations

from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_issuer.answers import key_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.models import KeyAnswer, KeyBody, KeysAnswer
from ecard_keys.key import KeyPurpose
from ecard_verifier.callers import Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

Kid = Annotated[str, Path(pattern="^[0-9a-f]{8}$", description="The `kid` of a key in state `next`.")]


def keys_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/keys`."""
    operator = [Depends(require_role(authenticate, Role.OPERATOR))]
    router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=operator)
    making = Lock()

    @router.get(
        "",
        operation_id="list_keys",
        summary="Every signing key and its state",
        response_model=KeysAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=needs(Role.OPERATOR),
    )
    def list_keys() -> JSONResponse:
        """Public halves only."""
        return JSONResponse({"keys": [key_answer(record) for record in issuer.keys.records()]})

    @router.post(
        "",
        operation_id="create_key",
        summary="Make and publish the next key of a purpose",
        status_code=201,
        response_model=KeyAnswer,
        responses=problems(400, 401, 403, 409, 413, 415, 422, 503, codes={409: "next_key_exists"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def create_key(body: KeyBody) -> JSONResponse:
        """It may not sign yet, so that verifiers learn it before it does. A purpose has one such key at a time."""
        with making:  # the key ring looks first and then makes: of simultaneous requests one shall make
            record = issuer.keys.create_next(KeyPurpose(body.purpose), issuer.clock())
        return JSONResponse(key_answer(record), 201)

    @router.post(
        "/{kid}/promote",
        operation_id="promote_key",
        summary="Let the next key sign",
        response_model=KeyAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "key_unknown", 422: "key_change_impossible"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def promote_key(kid: Kid) -> JSONResponse:
        """Its predecessor then only verifies."""
        return JSONResponse(key_answer(issuer.keys.promote(kid, issuer.clock())))

    return router
