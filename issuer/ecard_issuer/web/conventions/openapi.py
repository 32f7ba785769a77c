"""What the OpenAPI document says about the conventions: how channels show who they are, quotas, repetitions."""

from __future__ import annotations

from typing import Any, Final

from ecard_issuer.web.conventions.idempotency import HEADER, REPLAYED
from ecard_issuer.web.conventions.rates import COUNTED
from ecard_verifier.web.base import say_problem

#: Beside the token, which names the scopes: how it is shown to be the caller's own.
_BOUND: Final[dict[str, dict[str, str]]] = {
    "dpop": {
        "type": "apiKey",
        "in": "header",
        "name": "DPoP",
        "description": "A DPoP proof (RFC 9449) by the key that the token is bound to; `Authorization: DPoP …`.",
    },
    "mtls": {
        "type": "mutualTLS",
        "description": "The client certificate that the token is bound to (RFC 8705); `Authorization: Bearer …`.",
    },
}
_WAIT: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_AGAIN: Final = {
    REPLAYED: {"description": "`true`: the answer that this key got the first time.", "schema": {"type": "string"}}
}


def describe(document: dict[str, Any]) -> None:
    """Complete the document of an issuer."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            responses = operation["responses"]
            if "x-ecard-scope" in operation:
                schemes.update(_BOUND)
                operation["security"] = [
                    {**needed, how: []} for needed in operation["security"] for how in _BOUND if how not in needed
                ]
            if "x-ecard-scope" in operation or COUNTED in operation or not operation.get("security"):
                say_problem(responses, 429)
                responses["429"].setdefault("headers", {}).update(_WAIT)
            if any(parameter["name"] == HEADER for parameter in operation.get("parameters", ())):
                for status, response in responses.items():
                    if status.startswith("2"):
                        response.setdefault("headers", {}).update(_AGAIN)
