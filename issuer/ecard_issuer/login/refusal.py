"""Refusals in the form of OAuth 2.0 and OpenID Connect: an error code of theirs, and a sentence for the developer.

Neither repeats anything that was sent.
"""

from __future__ import annotations


class OauthRefusal(Exception):
    """`error` is a code of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1 or OpenID Connect; `status` that of the token and
    userinfo endpoints."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status


class UnsafeRequest(Exception):
    """An authorization request whose answer may be sent nowhere: the client or its address is not registered
    (RFC 6749 §4.1.2.1). `reason` is shown to the person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
