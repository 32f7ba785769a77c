"""A wallet's answer (OpenID4VP 1.0 §8): the form it posts, the JWE in it, the one credential in that. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.response_key import ResponseKey

_MAX_DEPTH: Final = 8
_MAX_ERROR: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was opened: proof of knowing the request, and of nothing else. `content` is still unread."""

    content: bytes = field(repr=False)

    def presented(self, state: str | None, ids: Collection[str]) -> tuple[str, str]:
        """Which of the `ids` asked for was shown, and its text. `state` is None where the request had none.

        Raises `InvalidInput` `bad_wallet_response`, `CheckFailed` `wrong_state`, `bad_vp_token` (not asked for, or of
        another form), `several_credentials`.
        """
        try:
            members = jose.parse_json(self.content, max_depth=_MAX_DEPTH)
        except InvalidInput:
            members = None
        if not isinstance(members, dict):
            raise InvalidInput("bad_wallet_response", "what was encrypted is no JSON object, or too deep or large")
        if members.get("state") != state:
            raise CheckFailed("wrong_state", "an answer to another request")
        shown = members.get("vp_token")
        if not isinstance(shown, dict) or not shown or not set(shown) <= set(ids):
            raise CheckFailed("bad_vp_token", "vp_token is no object by the ids that were asked for")
        if len(shown) > 1 or any(isinstance(item, list) and len(item) > 1 for item in shown.values()):
            raise CheckFailed("several_credentials", "one credential was asked for")
        ((name, items),) = shown.items()
        if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], str):
            raise CheckFailed("bad_vp_token", "want a list of one text for the credential")
        return name, items[0]


def read_form(form: Mapping[str, str], key: ResponseKey, state: str) -> Answer | str:
    """The answer in a form, or the error code of a wallet that shows nothing (§8.5): only who knows the request can
    say either.

    Raises `InvalidInput` as `ResponseKey.open` does, `CheckFailed` `wrong_state` for an error without the state.
    """
    if "error" in form and "response" not in form:
        if form.get("state") != state:
            raise CheckFailed("wrong_state", "an error for another request")
        return _error(form["error"])
    if form.keys() != {"response"}:
        raise InvalidInput("response_not_encrypted", "want one member, response, which is a JWE")
    content = key.open(form["response"])
    error = _error_in(content, state)
    return Answer(content) if error is None else error


def _error_in(content: bytes, state: str) -> str | None:
    try:
        members = jose.parse_json(content, max_depth=_MAX_DEPTH)
    except InvalidInput:
        return None  # to be said when it is judged
    if not isinstance(members, dict) or "error" not in members or "vp_token" in members:
        return None
    return _error(members["error"]) if members.get("state") == state else None


def _error(code: object) -> str:
    """A code of OAuth's or OpenID4VP's form; any other is none of theirs."""
    known = type(code) is str and len(code) <= _MAX_ERROR and code.isascii() and code.replace("_", "").isalnum()
    return str(code) if known else "invalid_request"
