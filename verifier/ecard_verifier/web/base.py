"""A FastAPI application as this house wants one: problems, guard, body limit, its own documentation page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI

from ecard_verifier.callers import Role
from ecard_verifier.web.docs import install_docs
from ecard_verifier.web.middleware import MAX_BODY, NO_PATHS, BodyLimit, Guard
from ecard_verifier.web.problems import MEDIA_TYPE, Problem, install_problems

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def new_api(
    title: str,
    description: str,
    *,
    max_body: int = MAX_BODY,
    media_types: Collection[str] = ("application/json",),
    larger: Mapping[str, int] = NO_PATHS,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """An empty application. Give every route an `operation_id`: clients are generated from them.

    `larger` names paths whose bodies may be larger, as `BodyLimit` takes them.
    """
    app = FastAPI(
        title=title,
        description=description,
        version=_version(),
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    install_problems(app)
    install_docs(app)
    app.add_middleware(BodyLimit, limit=max_body, media_types=media_types, larger=larger)
    app.add_middleware(Guard)
    return app


def problems(*statuses: int, codes: Mapping[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses carry a problem document.

    `codes` names, by status and separated by spaces, the codes of this route; those of every route are known here.
    """
    return {
        status: {"description": _meaning(status, (codes or {}).get(status, "")), "content": _PROBLEM}
        for status in statuses
    }


def needs(*roles: str) -> dict[str, Any]:
    """For a route's `openapi_extra`: the roles that `require_role` lets in, as `x-ecard-role`. Operators always are."""
    return {"x-ecard-role": sorted({*roles, Role.OPERATOR})}


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document with the schema of problems, and with the answer's own description where FastAPI says that
    it is one."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = FastAPI.openapi(app)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault(Problem.__name__, Problem.model_json_schema())
    for path in document.get("paths", {}).values():
        for operation in path.values():
            for response in operation.get("responses", {}).values():
                content = response.get("content", {})
                name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
                if response.get("description") == _UNSAID:
                    response["description"] = schemas.get(name, {}).get("description", "The answer")
    return document


# A reference, not a model: FastAPI makes a validator for each model of each answer of each route, and never uses it.
_PROBLEM: Mapping[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
_UNSAID = "Successful Response"  # FastAPI's words for every answer that has none
_MEANING = {
    400: "Cannot be understood",
    401: "No valid token",
    403: "Not with this role",
    404: "Does not exist, or is not yours to know",
    409: "Somebody was here first",
    413: "Body too large",
    415: "Not JSON",
    422: "Refused; the code says why",
    503: "Our fault, try again",
}
_CODES = {
    400: "bad_json",
    401: "not_authenticated",
    403: "not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}


def _meaning(status: int, codes: str) -> str:
    named = [f"`{code}`" for code in (*_CODES.get(status, "").split(), *codes.split())]
    return _MEANING[status] + (": " if named else "") + ", ".join(named)


def _version() -> str:
    try:
        return version("ecard")
    except PackageNotFoundError:
        return "0"
