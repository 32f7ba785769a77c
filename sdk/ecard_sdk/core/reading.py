"""Answers as JSON, strictly: bounded, one meaning, and a typed error for everything else."""

from __future__ import annotations

from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_sdk import errors
from ecard_sdk.core.call import Reply

#: Bytes. No answer to a channel is near this.
MAX_ANSWER: Final = 4 << 20
_MAX_PROBLEM: Final = 65_536


def parsed(reply: Reply) -> object:
    """The body as JSON; raises `ServerError` `service_answer_unreadable`."""
    try:
        return jose.parse_json(reply.content, limit=MAX_ANSWER)
    except InvalidInput:
        raise unreadable(reply, "the answer is not JSON") from None


def fault(reply: Reply, base_url: str) -> errors.ECardError:
    """The error that an answer of `base_url` outside 2xx is."""
    if 300 <= reply.status < 400:
        return unreadable(reply, "a redirect, which is not followed: is base_url the authority's own?")
    try:
        problem = jose.parse_json(reply.content, limit=_MAX_PROBLEM)
    except InvalidInput:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("error"), str):
        problem = {"code": problem["error"], "detail": problem.get("error_description", ""), **problem}  # RFC 6749 §5.2
    return errors.of_answer(reply.status, problem, reply.headers, base_url)


def unreadable(reply: Reply, detail: str) -> errors.ServerError:
    """An answer that is none of the authority's."""
    return errors.ServerError(
        "service_answer_unreadable", detail, http_status=reply.status, request_id=reply.request_id
    )
