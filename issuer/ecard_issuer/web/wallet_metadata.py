"""What wallets and verifiers read before anything else; open to all, and the same for minutes."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import Issuer
from ecard_issuer.wallets.metadata import (
    general_type_metadata,
    issuer_metadata,
    server_metadata,
    type_metadata,
)

_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300"}


def wallet_metadata_router(issuer: Issuer) -> APIRouter:
    """The metadata of issuer, authorization server and credential type."""
    router = APIRouter(tags=["wallets"])
    origin = issuer.identity.issuer

    @router.get(
        "/.well-known/openid-credential-issuer",
        operation_id="get_openid_credential_issuer",
        summary="Credential issuer metadata (OpenID4VCI 1.0)",
    )
    def get_issuer() -> JSONResponse:
        """What is issued to wallets, how a key is proven, and where."""
        return JSONResponse(issuer_metadata(origin, issuer.settings.issuer_name), headers=_HEADERS)

    @router.get(
        "/.well-known/oauth-authorization-server/wallets",
        operation_id="get_wallet_authorization_server",
        summary="Metadata of the authorization server for wallets (RFC 8414)",
    )
    def get_server() -> JSONResponse:
        """Of `{origin}/wallets`."""
        return JSONResponse(server_metadata(origin), headers=_HEADERS)

    @router.get(
        "/wallets/.well-known/oauth-authorization-server",
        operation_id="get_wallet_authorization_server_appended",
        summary="The same, where some wallets look for it",
    )
    def get_server_appended() -> JSONResponse:
        """RFC 8414 §3 puts the well-known part before the path; not every client does."""
        return get_server()

    @router.get(
        "/vct/social-security-card/1",
        operation_id="get_card_type",
        summary="Type metadata of our credentials (SD-JWT VC)",
    )
    def get_type() -> JSONResponse:
        """Names of the type and its claims, in English and Chinese."""
        return JSONResponse(type_metadata(origin), headers=_HEADERS)

    @router.get("/vct/ecard/1", operation_id="get_general_type", summary="Type metadata of any e-card (SD-JWT VC)")
    def get_general_type() -> JSONResponse:
        """The more general type that our credentials name in `aka_vcts`."""
        return JSONResponse(general_type_metadata(origin), headers=_HEADERS)

    return router
