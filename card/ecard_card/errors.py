"""Every error that leaves a room of this house: one small family, each error with a stable code.

The *class* says whose turn it is (the edge maps it to an HTTP status or an exit code), the *code* says what
happened. Codes are promises: add, never rename. The text a person reads for a code stands in `messages.json`.
An error's `detail` is for a developer; it never carries personal data, a key, or a whole code.
"""

from __future__ import annotations

from typing import ClassVar


class EcardError(Exception):
    """Base of the family.

    `code` is stable and machine-readable, `detail` is one English sentence for a developer,
    `retryable` says whether the same request may succeed later, `retry_after` in how many seconds, where that is known.
    """

    retryable: ClassVar[bool] = False
    retry_after: int | None = None

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class InvalidInput(EcardError):
    """What was sent cannot be understood, or is outside its stated bounds."""


class NotAuthenticated(EcardError):
    """No credential, or one that we do not know."""


class NotAllowed(EcardError):
    """The caller is known, and may not do this."""


class NotFound(EcardError):
    """The thing named does not exist, or the caller may not learn that it does."""


class Conflict(EcardError):
    """Somebody was here first: a binding, an index, a sequence number is taken."""


class RuleViolation(EcardError):
    """Understood and allowed to ask, but the rules of the card's life forbid it now."""


class RateLimited(EcardError):
    """The caller asks too often. `retry_after` says in how many seconds the next request is taken."""

    retryable = True

    def __init__(self, code: str, detail: str = "", *, retry_after: int) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after


class ApprovalNeeded(EcardError):
    """The caller may ask for this, and other people must agree first: `request_id` names what they are asked."""

    def __init__(self, code: str, detail: str = "", *, request_id: str) -> None:
        super().__init__(code, detail)
        self.request_id = request_id


class ChipFault(EcardError):
    """The chip or its reader did not answer as a genuine chip does. Never leads to a binding."""


class CheckFailed(EcardError):
    """A credential, code, list or signature does not hold. Carries a reason code of `verdict`."""


class Unavailable(EcardError):
    """Our own fault, now: a key home, a database or a network is not there."""

    retryable = True
    retry_after = 1
