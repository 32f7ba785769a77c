"""Errors at the edge: RFC 9457 problem documents with a stable `code` and the `request_id`. Nothing sent is echoed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from ecard_card import errors, messages

MEDIA_TYPE: Final = "application/problem+json"
#: Where each code has a page of its own.
PAGES: Final = "/problems"

#: The HTTP status of each class of error; the code says the rest.
STATUS: Final[Mapping[type[errors.EcardError], int]] = {
    errors.InvalidInput: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RuleViolation: 422,
    errors.ChipFault: 422,
    errors.CheckFailed: 422,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}
_OF_STATUS: Final = {
    400: "bad_json",  # FastAPI's own, for a body that it cannot read at all
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `title` is for a person, `detail` and `help` for a developer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{PAGES}/card_unknown",
                    "title": messages.text("card_unknown"),
                    "status": 404,
                    "detail": "no such card in the register",
                    "help": messages.help_text("card_unknown"),
                    "code": "card_unknown",
                    "request_id": "Q2FmZSBhdSBsYWl0",
                }
            ]
        }
    )

    type: str = Field(description="A page of this service about the code: `/problems/` and the code.")
    title: str = Field(description="For a person, in the language that the request prefers.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="For a developer; may be empty. Repeats nothing that was sent.")
    help: str = Field(description="What to do about it, in the language that the request prefers.")
    code: str = Field(description="What happened. Codes are added, never renamed.")
    request_id: str = Field(description="Also in the header `X-Request-Id`; stands in the service's log.")


def problem(
    scope: Scope, status: int, code: str, detail: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for `code`; its title is in the language that the request prefers."""
    language = messages.language(header(scope, b"accept-language"))
    body = Problem(
        type=f"{PAGES}/{code}",
        title=messages.text(code, language),
        status=status,
        detail=detail,
        help=messages.help_text(code, language),
        code=code,
        request_id=request_id(scope),
    )
    extra = {"Content-Language": language, **(headers or {})}
    return JSONResponse(body.model_dump(), status, headers=extra, media_type=MEDIA_TYPE)


def header(scope: Scope, name: bytes) -> str:
    """The first of this name, which is in small letters; empty where there is none."""
    return next((value.decode("latin-1") for given, value in scope["headers"] if given == name), "")


def request_id(scope: Scope) -> str:
    """The id given by `Guard`, empty outside of it."""
    return str(scope.get("state", {}).get("request_id", ""))


def install_problems(app: FastAPI) -> None:
    """Make every error of `app`'s routes a problem document. `Guard` sees to what is left."""
    app.add_exception_handler(errors.EcardError, _ecard_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def _ecard_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.EcardError):
        raise error
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return problem(request.scope, status, error.code, error.detail, headers)


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    if any(item.get("type") == "json_invalid" for item in error.errors()):
        return problem(request.scope, 400, "bad_json", "the body is not JSON")
    detail = "; ".join(_place(item.get("loc", ()), str(item.get("type", ""))) for item in error.errors()[:8])
    return problem(request.scope, 422, "invalid_request", detail)


def _place(location: tuple[object, ...], kind: str) -> str:
    """Where and what is wrong, in our own words only: the name of a member we do not know is the sender's."""
    known = "an unknown member" if kind == "extra_forbidden" else ".".join(map(str, location))
    return f"{known}: {kind}"


def _http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = _OF_STATUS.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal_fault")
    return problem(request.scope, error.status_code, code, headers=error.headers)
