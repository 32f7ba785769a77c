"""What is kept of logins: rows, and the port `LoginStore` of the register that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class AttemptState(StrEnum):
    """How far an attempt is. The last four are ends."""

    OPEN = "open"  # the QR is shown
    SCANNED = "scanned"  # one phone has it; the number is shown
    CONFIRMED = "confirmed"  # the holder agreed; the browser has not come for its code yet
    COLLECTED = "collected"
    DENIED = "denied"  # on the phone
    CANCELLED = "cancelled"  # at the desktop
    KILLED = "killed"  # scanned twice, or the wrong number


#: States from which nothing comes any more.
ENDED = frozenset({AttemptState.COLLECTED, AttemptState.DENIED, AttemptState.CANCELLED, AttemptState.KILLED})


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """The browser's side of a login. `turn` counts its QR codes, the last of which was shown from `turned_at` on;
    `number` are the two digits that the desktop shows once a phone has scanned."""

    transaction_id: str
    browser_hash: str = field(repr=False)
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    oauth_state: str | None = field(repr=False)
    nonce: str | None = field(repr=False)
    challenge: str = field(repr=False)
    acr: str
    asked: tuple[str, ...]
    region: str
    address: str = field(repr=False)
    device: str
    language: str
    created_at: datetime
    until: datetime
    state: AttemptState
    turn: int
    turned_at: datetime
    request_id: str | None = None
    app_id: str | None = None
    number: str | None = field(default=None, repr=False)
    login_id: str | None = None


@dataclass(frozen=True, slots=True)
class QrRow:
    """A QR code that was shown, until when it may be scanned."""

    qr_hash: str = field(repr=False)
    transaction_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class RequestRow:
    """The phone's side of a login, which only `app_id` sees."""

    request_id: str
    transaction_id: str
    app_id: str
    link_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class LoginRow:
    """Who logged in, where, when and by which proof. `chip_assurance` is that of the device key, `declared` without."""

    login_id: str
    holder_ref: str
    ecard_id: str
    app_id: str
    link_id: str
    service_id: str
    client_id: str
    redirect_uri: str
    challenge: str = field(repr=False)
    nonce: str | None = field(repr=False)
    scopes: tuple[str, ...]
    acr: str
    amr: tuple[str, ...]
    chip_assurance: str
    at: datetime
    until: datetime
    code_hash: str | None = field(default=None, repr=False)
    code_until: datetime | None = None
    code_used_at: datetime | None = None
    token_hash: str | None = field(default=None, repr=False)
    token_until: datetime | None = None


class LoginStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer. Of many at once one
    gets what can be had once."""

    def begin(self, attempt: AttemptRow) -> None: ...

    def attempt(self, transaction_id: str) -> AttemptRow | None: ...

    def turn(self, attempt: AttemptRow, qr: QrRow, now: datetime) -> bool:
        """Show `qr` as the next code of an open attempt; False where another turn or a scan was faster."""

    def find_qr(self, qr_hash: str) -> QrRow | None: ...

    def scan(self, request: RequestRow, number: str) -> bool:
        """Give an open attempt to the one request, and to it the time it needs; False where it is not open."""

    def find_request(self, request_id: str) -> RequestRow | None: ...

    def confirm(self, request: RequestRow, login: LoginRow, until: datetime) -> bool:
        """Store the login of a scanned attempt, whose browser has until then to come; False where the attempt is not
        at this request any more."""

    def end(self, transaction_id: str, state: AttemptState) -> bool:
        """Put an attempt to an end, with the login that nobody came for; False where it has ended before."""

    def collect(self, transaction_id: str, code_hash: str, code_until: datetime) -> LoginRow | None:
        """Give a confirmed attempt's login its code, once; None where it is not confirmed, or was collected."""

    def find_login(self, login_id: str) -> LoginRow | None: ...

    def redeem(self, login_id: str, code_hash: str, now: datetime) -> LoginRow | None:
        """Use a code up, and give the login that it was for. None for any other code. A code that was used before also
        ends the token that it gave (RFC 6749 §4.1.2)."""

    def give_token(self, login_id: str, token_hash: str, until: datetime) -> None: ...

    def purge(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` rows of each kind whose time ended before; says how many."""
