"""What a service answered instead of doing it: one class for each turn that somebody must take.

`ECardError` is everything that the clients raise; each class is also of the house's family (`ecard_card.errors`), which
the other rooms raise. `code` is stable and is what a program decides on; `request_id` is what the authority's operator
asks for. What a code says about a card is no error: it is a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecard_card import errors as family
from ecard_card.errors import EcardError

_MAX_TEXT: Final = 300


class ECardError(EcardError):
    """Base of all that a client raises.

    `http_status` is None where no answer came. `retryable` (from the family) says whether the same request may succeed
    later; `retry_after` is in seconds, None where the service named no time. `title` is for a person and `help` for a
    developer, both in the client's language; `detail` says what exactly; `doc_url` is its page about the code.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        http_status: int | None = None,
        request_id: str | None = None,
        title: str = "",
        help: str = "",
        doc_url: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        EcardError.__init__(self, code, detail)  # not the family's: its own may want more
        self.http_status = http_status
        self.request_id = request_id
        self.title = title
        self.help = help
        self.doc_url = doc_url
        self.param = param
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """What to show or log: the title, else the detail, else the code."""
        return self.title or self.detail or self.code

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said} (request {self.request_id})" if self.request_id else said


class InvalidRequestError(ECardError, family.InvalidInput):
    """The service did not understand the request; `param` names the member, if one is to blame. Mend the program."""


class AuthenticationError(ECardError, family.NotAuthenticated):
    """No proof of who asks, or one that the service does not accept: key, app id, token, signature or clock."""


class PermissionDeniedError(ECardError, family.NotAllowed):
    """Known, and not allowed: a scope or role is missing."""


class NotFoundError(ECardError, family.NotFound):
    """What was named does not exist there, or is another's."""


class ConflictError(ECardError, family.Conflict):
    """Somebody was here first; to repeat the same request does not help."""


class IdempotencyError(ConflictError):
    """The idempotency key was used for another request, or its first request still runs."""


class RefusedError(ECardError, family.RuleViolation):
    """Understood, and refused: by the card's life, the chip's answer, or a check that did not hold."""


class SignatureVerificationError(ECardError, family.CheckFailed):
    """A webhook that is not the authority's, or not of now."""


class ApprovalNeededError(ECardError, family.ApprovalNeeded):
    """Nothing was changed yet: another operator must agree (`AuthorityClient.approve`); then send it again.

    `request_id` names what they are asked, not the HTTP request.
    """

    request_id: str

    def __init__(self, code: str, detail: str = "", *, request_id: str) -> None:
        ECardError.__init__(self, code, detail, http_status=202, request_id=request_id)


class UnavailableError(ECardError, family.Unavailable):
    """It may work later. Whether a change was made is not known: repeat it with the same key, or look."""


class ConnectionFailedError(UnavailableError):
    """No answer came."""


class RateLimitError(UnavailableError):
    """Too much at once; `retry_after` says when again."""


class ServerError(UnavailableError):
    """A fault on the service's side, or an answer that is none of ours."""


_KINDS: Final[Mapping[int, type[ECardError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: InvalidRequestError,
    409: ConflictError,
    410: NotFoundError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: RefusedError,
    429: RateLimitError,
}


def of_answer(status: int, problem: object, headers: Mapping[str, str], base_url: str = "") -> ECardError:
    """The error for an answer of `status` from `base_url`; `problem` is its parsed RFC 9457 document, or anything else
    at all."""
    members: Mapping[str, Any] = problem if isinstance(problem, dict) else {}
    code = _text(members.get("code"))
    kind = _KINDS.get(status, ServerError if status >= 500 else InvalidRequestError)
    if kind is RefusedError and code == "invalid_request":
        kind = InvalidRequestError
    if code.startswith("idempotency_") and status in (409, 422):
        kind = IdempotencyError
    return kind(
        code or ("service_unavailable" if issubclass(kind, UnavailableError) else "service_answer_unreadable"),
        _text(members.get("detail")),
        http_status=status,
        request_id=_text(members.get("request_id")) or _text(headers.get("x-request-id")) or None,
        title=_text(members.get("title")),
        help=_text(members.get("help")),
        doc_url=base_url + kind_url if (kind_url := _text(members.get("type"))).startswith("/problems/") else None,
        param=_param(_text(members.get("detail"))) if code == "invalid_request" else None,
        retry_after=seconds(headers.get("retry-after")),
    )


def _text(value: object) -> str:
    """What came over a wire is bounded, and cannot move a terminal's cursor."""
    return "".join(filter(str.isprintable, value[:_MAX_TEXT])) if isinstance(value, str) else ""


def _param(detail: str) -> str | None:
    """The member that a refused request is refused for: `body.consent: missing`."""
    found = re.match(r"(?:body|query|path|header)\.([\w.-]+): ", detail)
    return found[1] if found else None


def seconds(value: str | None) -> int | None:
    """A `Retry-After` in seconds (RFC 9110 §10.2.3); None for a date, or anything else."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 6 else None
