"""What a service answered instead of doing it: the house's families of error, each with what HTTP said.

Catch a family (`ecard_card.errors.Conflict`) or everything a service can say (`ServiceError`). `code` is stable and
is what a program decides on; `request_id` is what the authority's operator asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecard_card import errors as family
from ecard_card.errors import EcardError

_MAX_TEXT: Final = 300


class ServiceError(EcardError):
    """Base of all that the client raises.

    `status` is the HTTP status, None where no answer came. `retryable` (from the family) says whether the same
    request may succeed later. `retry_after` is in seconds, None where the service named no time.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        title: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.status = status
        self.request_id = request_id
        self.title = title
        self.retry_after = retry_after

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said} (request {self.request_id})" if self.request_id else said


class RequestInvalid(ServiceError, family.InvalidInput):
    """The service did not understand the request."""


class TokenRefused(ServiceError, family.NotAuthenticated):
    """No token, or one that the service does not know."""


class RoleRefused(ServiceError, family.NotAllowed):
    """This token's role may not do this."""


class Missing(ServiceError, family.NotFound):
    """What was named does not exist there."""


class Taken(ServiceError, family.Conflict):
    """Somebody was here first; to repeat the same request does not help."""


class Refused(ServiceError, family.RuleViolation):
    """Understood, and refused: by the card's life, the chip's answer, or a check that did not hold."""


class WaitsForApproval(ServiceError, family.ApprovalNeeded):
    """Nothing was changed yet: another operator must agree (`ECardClient.approve`); then send the same request again.

    `request_id` names what they are asked, not the HTTP request.
    """

    request_id: str

    def __init__(self, code: str, detail: str = "", *, request_id: str) -> None:
        family.ApprovalNeeded.__init__(self, code, detail, request_id=request_id)
        self.status = 202
        self.title = ""
        self.retry_after = None


class ServiceDown(ServiceError, family.Unavailable):
    """No answer, or a fault on the service's side. Whether a change was made is not known: repeat it with its
    `event_id`, or look."""


_KINDS: Final[Mapping[int, type[ServiceError]]] = {
    400: RequestInvalid,
    401: TokenRefused,
    403: RoleRefused,
    404: Missing,
    405: RequestInvalid,
    409: Taken,
    413: RequestInvalid,
    415: RequestInvalid,
    422: Refused,
    429: ServiceDown,
}


def of_answer(status: int, problem: object, headers: Mapping[str, str]) -> ServiceError:
    """The error for an answer of `status`; `problem` is its parsed RFC 9457 document, or anything else at all."""
    members: Mapping[str, Any] = problem if isinstance(problem, dict) else {}
    code = _text(members.get("code"))
    kind = _KINDS.get(status, ServiceDown if status >= 500 else RequestInvalid)
    if kind is Refused and code == "invalid_request":
        kind = RequestInvalid
    return kind(
        code or ("service_unavailable" if kind is ServiceDown else "service_answer_unreadable"),
        _text(members.get("detail")),
        status=status,
        request_id=_text(members.get("request_id")) or _text(headers.get("x-request-id")) or None,
        title=_text(members.get("title")),
        retry_after=_seconds(headers.get("retry-after")),
    )


def _text(value: object) -> str:
    """What came over a wire is bounded, and cannot move a terminal's cursor."""
    return "".join(filter(str.isprintable, value[:_MAX_TEXT])) if isinstance(value, str) else ""


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 6 else None
