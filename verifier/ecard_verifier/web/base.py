"""A FastAPI application as this house wants one: problems, guard, body limit, its own documentation page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.utils import get_parameterless_sub_dependant
from fastapi.routing import APIRoute

from ecard_verifier.callers import Role
from ecard_verifier.web.docs import install_docs
from ecard_verifier.web.middleware import MAX_BODY, NO_PATHS, BodyLimit, Guard
from ecard_verifier.web.problem_pages import install_problem_pages
from ecard_verifier.web.problems import MEDIA_TYPE, Problem, install_problems

#: Adds to the OpenAPI document of an application: append it to `app.state.describing`.
Describe = Callable[[dict[str, Any]], None]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def new_api(
    title: str,
    description: str,
    *,
    max_body: int = MAX_BODY,
    media_types: Collection[str] = ("application/json",),
    larger: Mapping[str, int] = NO_PATHS,
    forms: Collection[str] = (),
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """An empty application. Give every route an `operation_id`: clients are generated from them.

    `larger` names paths whose bodies may be larger and `forms` those that take forms, as `BodyLimit` has them.
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
    app.state.describing = list[Describe]()
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    install_problems(app)
    install_docs(app)
    install_problem_pages(app)
    app.add_middleware(BodyLimit, limit=max_body, media_types=media_types, larger=larger, forms=forms)
    app.add_middleware(Guard)
    return app


def adopt(app: FastAPI, router: APIRouter) -> None:
    """Make the routes of `router` the application's own, with the dependencies that it has for every route so far.

    `include_router` would make each route a second time, and let each request look for it by a longer way: a third of a
    small request. Routers inside `router` are still included so.
    """
    inner = APIRouter()
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.dependencies[:0] = app.router.dependencies
            for depends in reversed(app.router.dependencies):
                guard = get_parameterless_sub_dependant(depends=depends, path=route.path_format)
                route.dependant.dependencies.insert(0, guard)
            app.router.routes.append(route)
        else:
            inner.routes.append(route)
    if inner.routes:
        app.include_router(inner)


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
            for parameter in operation.get("parameters", ()):
                _say_what_is_needed(parameter)
            _say_what_any_may_answer(operation)
            for response in operation.get("responses", {}).values():
                content = response.get("content", {})
                name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
                if response.get("description") == _UNSAID:
                    response["description"] = schemas.get(name, {}).get("description", "The answer")
    for describe in app.state.describing:
        describe(document)
    return document


def _say_what_any_may_answer(operation: dict[str, Any]) -> None:
    """The problems that the house itself answers with, where the route has not said more about them."""
    responses, wanted = operation["responses"], [500, 503]
    if operation.get("security"):
        wanted += [401, 403]
    if operation.get("parameters"):
        wanted += [422]
    if "requestBody" in operation:
        wanted += [400, 408, 413, 415, 422]
    for status in wanted:
        say_problem(responses, status)


def say_problem(responses: dict[str, Any], status: int) -> None:
    """Add a problem document of this status to an operation of the OpenAPI document that has none of it."""
    name = str(status)
    if name not in responses:
        responses[name] = {"description": _meaning(status, ""), "content": dict(_PROBLEM)}


def _say_what_is_needed(parameter: dict[str, Any]) -> None:
    """`null` is no value of a parameter: it is there or not. One that the route itself insists on says `x-required`."""
    schema = parameter["schema"]
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema.update(choices[0])
    if schema.pop("x-required", False):
        parameter["required"] = True


# A reference, not a model: FastAPI makes a validator for each model of each answer of each route, and never uses it.
_PROBLEM: Mapping[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
_UNSAID = "Successful Response"  # FastAPI's words for every answer that has none
_MEANING = {
    400: "Cannot be understood",
    401: "No valid token",
    403: "Not with this role",
    404: "Does not exist, or is not yours to know",
    408: "The body did not arrive in time",
    409: "Somebody was here first",
    413: "Body too large",
    415: "Not JSON",
    422: "Refused; the code says why",
    429: "Too many requests",
    500: "A fault of ours",
    503: "Our fault, try again",
}
_CODES = {
    400: "bad_json",
    401: "not_authenticated",
    403: "not_allowed",
    408: "invalid_request",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "rate_limited",
    500: "internal_fault",
    503: "service_unavailable",
}


def _meaning(status: int, codes: str) -> str:
    named = [f"`{code}`" for code in (*_CODES.get(status, "").split(), *codes.split())]
    return _MEANING[status] + (": " if named else "") + ", ".join(named)


def _version() -> str:
    try:
        return version("ecard")
    except PackageNotFoundError:
        return "0"
