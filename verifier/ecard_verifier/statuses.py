"""Where `check` reads a status from: verified status lists, never a single bit on somebody's word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from ecard_card import status_token
from ecard_card.errors import CheckFailed
from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_card.status_token import StatusToken
from ecard_keys.key import KeyPurpose
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import Trust
from ecard_keys.verify import verify


@dataclass(frozen=True, slots=True)
class StatusReading:
    """A status value and the NumericDate as of which it is known; `expires_at` ends its use altogether."""

    value: int
    as_of: int
    expires_at: int | None


class Statuses(Protocol):
    """Reads one status. Raises `CheckFailed` `status_unknown` without the list, never guesses."""

    def read(self, uri: str, index: int) -> StatusReading: ...


class CredentialSource(Protocol):
    """Resolves the reference in a short code to the issuer's signed credential (CWT), or None."""

    def get(self, credential_id: bytes, /) -> bytes | None: ...


@runtime_checkable
class Dated(Protocol):
    """A source that knows as of when it is complete (NumericDate), or None for never so far."""

    @property
    def as_of(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class _Held:
    """Usually one list; several where the issuer signed anew within a second, and nobody can say which came last."""

    lists: tuple[StatusList, ...]
    issued_at: int
    expires_at: int

    def get(self, index: int) -> int:
        """The value; where lists of one second differ, ended counts before suspended, and that before valid."""
        values = [statuses.get(index) for statuses in self.lists]
        return EcardStatus.INVALID if EcardStatus.INVALID in values else max(values)


_MAX_TWINS = 8


class StatusSnapshot:
    """Accepted status list tokens by uri. An older token never displaces a newer one."""

    def __init__(self, tokens: Iterable[StatusToken] = ()) -> None:
        self._lists: dict[str, _Held] = {}
        for token in tokens:
            self.put(token)

    def put(self, token: StatusToken) -> None:
        """Take a token that `accept_status_token` has let through."""
        held = self._lists.get(token.uri)
        if held is None or token.issued_at > held.issued_at:
            self._lists[token.uri] = _Held((token.statuses,), token.issued_at, token.expires_at)
        elif token.issued_at == held.issued_at and token.statuses not in held.lists:
            if len(held.lists) == _MAX_TWINS:
                raise CheckFailed("status_list_foreign", "more lists of one second than an issuer signs")
            lists = (*held.lists, token.statuses)
            self._lists[token.uri] = _Held(lists, held.issued_at, min(held.expires_at, token.expires_at))

    def read(self, uri: str, index: int) -> StatusReading:
        held = self._lists.get(uri)
        if held is None:
            raise CheckFailed("status_unknown", "no status list for this uri")
        return StatusReading(held.get(index), held.issued_at, held.expires_at)

    def __len__(self) -> int:
        return len(self._lists)


def accept_status_token(token: str | bytes, trust: Trust, now: datetime, *, skew: int = 60) -> StatusToken:
    """A status list token (JWT text or CWT bytes) whose signature, issuer, uri and time hold.

    Token Status List draft-21, section 8.3. Raises `InvalidInput` for its form, `CheckFailed` with
    `unknown_key`, `bad_signature`, `status_list_foreign`, `status_list_future`, `status_expired` or the
    key's own reason; `Unavailable` `algorithm_unavailable`.
    """
    sealed = status_token.sealed_jwt(token) if isinstance(token, str) else status_token.sealed_cwt(token)
    candidates = trust.candidates(sealed.kid, KeyPurpose.STATUS)
    if not candidates:
        raise CheckFailed("unknown_key", "no status key with this kid")
    signer = next(
        (
            key
            for key in candidates
            if key.record.algorithm == sealed.algorithm and verify(key.loaded(), sealed.signing_input, sealed.signature)
        ),
        None,
    )
    if signer is None:
        raise CheckFailed("bad_signature", "the status list is not signed by the key it names")
    parsed = sealed.open()
    refusal = signer.accepts(parsed.issued_at)
    if refusal is not None:
        raise CheckFailed(refusal, "the key may not have signed this status list then")
    if not belongs_to(parsed.uri, signer.issuer.status_uri):
        raise CheckFailed("status_list_foreign", "the list's uri is not one of its signer's")
    seconds = int(now.timestamp())
    if parsed.issued_at > seconds + skew:
        raise CheckFailed("status_list_future", "the status list is dated ahead of our clock")
    if parsed.expires_at < seconds - skew:
        raise CheckFailed("status_expired", "the status list has expired")
    return parsed
