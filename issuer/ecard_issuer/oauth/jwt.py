"""Compact JWS that clients sign (RFC 7515), read strictly before any signature is judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.client_keys import EVERY_ALGORITHM, ClientKey

MAX_TOKEN: Final = 8192


@dataclass(frozen=True, slots=True)
class ReadJwt:
    """Header and claims as read; nobody has vouched for them yet."""

    header: Mapping[str, object]
    claims: Mapping[str, object] = field(repr=False)
    signature: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)

    def text(self, name: str, most: int = 1024) -> str:
        """The claim, if it is a text of 1 to `most` characters; else empty."""
        value = self.claims.get(name)
        return value if type(value) is str and 0 < len(value) <= most else ""

    def signed_by(self, key: ClientKey) -> bool:
        """Whether the signature is that key's, by an algorithm of its kind that the header names too."""
        return key.verify(str(self.header["alg"]), self.signing_input, self.signature)


def read_jwt(token: str, *, types: Collection[str | None], members: Collection[str], limit: int = MAX_TOKEN) -> ReadJwt:
    """Reads a JWT whose header has a `typ` of `types` (None: it may be missing), an algorithm that clients may use,
    and no member but those two and `members`.

    Raises `InvalidInput`: `bad_jws`, `wrong_type`, `algorithm_not_allowed` (among them `none` and every HMAC).
    """
    if type(token) is not str or len(token) > limit or token.count(".") != 2:
        raise InvalidInput("bad_jws", "not three parts of the allowed size")
    head, body, tail = token.split(".")
    try:
        header = jose.parse_json(jose.b64url_decode(head), limit=limit, max_depth=3)
        claims = jose.parse_json(jose.b64url_decode(body), limit=limit, max_depth=6)
        signature = jose.b64url_decode(tail)
    except InvalidInput as error:
        raise InvalidInput("bad_jws", error.detail) from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise InvalidInput("bad_jws", "header and claims are JSON objects")
    if header.get("alg") not in EVERY_ALGORITHM:
        raise InvalidInput("algorithm_not_allowed", f"want one of {', '.join(EVERY_ALGORITHM)}")
    given = header.get("typ")
    if not (given is None or type(given) is str) or (given.lower() if given else None) not in types:
        raise InvalidInput("wrong_type", "a token of another type")
    if not header.keys() <= {"alg", "typ", *members}:
        raise InvalidInput("bad_jws", "the header has members that do not belong there")
    return ReadJwt(header, claims, signature, f"{head}.{body}".encode())
