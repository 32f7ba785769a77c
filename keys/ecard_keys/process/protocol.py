"""What the signer process and its callers say to each other over a Unix socket.

A frame is four bytes of length (big endian) and as many bytes of canonical JSON, at most 16 MiB. A caller sends one
request and reads one answer, as often as it likes. Unknown members are refused. An error travels as its class, code
and detail, so that a caller cannot tell from the error whether its desk is near or far.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ecard_card import errors, jose
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey
from ecard_keys.trust.content import canonical_json

MAX_FRAME: Final = 16 << 20
_LENGTH_BYTES: Final = 4
_MAX_PARTS: Final = 20_000
#: The classes of errors that travel. `ApprovalNeeded` is none of a signer's.
_CLASSES: Final[Mapping[str, type[EcardError]]] = {
    kind.__name__: kind
    for kind in (
        errors.CheckFailed,
        errors.Conflict,
        errors.InvalidInput,
        errors.NotAllowed,
        errors.NotFound,
        errors.RuleViolation,
        errors.Unavailable,
    )
}


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign these drafts. `now` is the caller's clock."""

    profile: SigningProfile
    key_id: str
    drafts: tuple[bytes, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Which keys are there?"""


@dataclass(frozen=True, slots=True)
class Create:
    """Make a key of this purpose."""

    purpose: KeyPurpose
    now: datetime


Request = Sign | Held | Create


def write_request(request: Request) -> bytes:
    """The frame of a request."""
    match request:
        case Sign(profile, key_id, drafts, now):
            listed = [jose.b64url_encode(draft) for draft in drafts]
            return _frame({"op": "sign", "profile": profile, "key": key_id, "drafts": listed, "now": _micros(now)})
        case Held():
            return _frame({"op": "held"})
        case Create(purpose, now):
            return _frame({"op": "create", "purpose": purpose, "now": _micros(now)})


def read_request(body: bytes) -> Request:
    """Raises `InvalidInput` `bad_signer_message`."""
    try:
        match _object(body):
            case {
                "op": "sign",
                "profile": str(profile),
                "key": str(key_id),
                "drafts": list(drafts),
                "now": now,
                **more,
            }:
                if not more and len(key_id) <= 256:
                    return Sign(SigningProfile(profile), key_id, tuple(map(_bytes, drafts)), _time(now))
            case {"op": "held", **more}:
                if not more:
                    return Held()
            case {"op": "create", "purpose": str(purpose), "now": now, **more}:
                if not more:
                    return Create(KeyPurpose(purpose), _time(now))
    except ValueError:
        pass  # a profile or purpose that does not exist
    raise _bad("not a request of this version")


def write_signatures(signatures: Sequence[bytes]) -> bytes:
    """The answer to `Sign`."""
    return _frame({"signatures": [jose.b64url_encode(signature) for signature in signatures]})


def write_key_id(key_id: str) -> bytes:
    """The answer to `Create`."""
    return _frame({"key": key_id})


def write_held(keys: Sequence[HeldKey]) -> bytes:
    """The answer to `Held`."""
    return _frame({"keys": [_write_key(key) for key in keys]})


def write_error(error: EcardError) -> bytes:
    """The answer that something went wrong."""
    kind = next((name for name, kind in _CLASSES.items() if type(error) is kind), "Unavailable")
    return _frame({"error": {"class": kind, "code": error.code, "detail": error.detail}})


def read_answer(body: bytes) -> dict[str, object]:
    """The answer's members. Raises the error that it carries, or `InvalidInput` `bad_signer_message`."""
    answer = _object(body)
    match answer:
        case {"error": {"class": str(kind), "code": str(code), "detail": str(detail)}} if kind in _CLASSES:
            raise _CLASSES[kind](code, detail)
    return answer


def read_signatures(body: bytes, count: int) -> list[bytes]:
    """The `count` signatures of an answer. Raises as `read_answer` does."""
    match read_answer(body):
        case {"signatures": list(listed)} if len(listed) == count:
            return [_bytes(item) for item in listed]
    raise _bad("not as many signatures as drafts")


def read_key_id(body: bytes) -> str:
    """The id of a new key. Raises as `read_answer` does."""
    match read_answer(body):
        case {"key": str(key_id)}:
            return key_id
    raise _bad("no key id in the answer")


def read_held(body: bytes) -> tuple[HeldKey, ...]:
    """The keys that a signer holds. Raises as `read_answer` does."""
    match read_answer(body):
        case {"keys": list(listed)}:
            return tuple(map(_read_key, listed))
    raise _bad("no keys in the answer")


def receive(
    connection: socket.socket, deadline: float, admit: Callable[[int], object] = lambda _: None
) -> bytes | None:
    """The body of the next frame, whole before `deadline` (`time.monotonic`); None where the other side has ended.

    `admit` is told the length before the body is read, and may wait or raise.

    Raises `OSError` (also `TimeoutError`) for a connection that broke off or was too slow, `InvalidInput`
    `bad_signer_message` for a frame that is too long: nothing after it can be read.
    """
    head = _exactly(connection, _LENGTH_BYTES, deadline)
    if not head:
        return None
    length = int.from_bytes(head, "big")
    if not 0 < length <= MAX_FRAME:
        raise _bad("a frame has 1 byte to 16 MiB")
    admit(length)
    body = _exactly(connection, length, deadline)
    if not body:
        raise ConnectionResetError
    return body


def send(connection: socket.socket, frame: bytes, deadline: float) -> None:
    """Send all of `frame` before `deadline`. Raises `OSError`."""
    left = memoryview(frame)
    while left:
        connection.settimeout(_left(deadline))
        left = left[connection.send(left) :]


def _exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    """`count` bytes, or none where the other side ended before the first. Memory grows with what has arrived."""
    parts: list[bytes] = []
    missing = count
    while missing:
        connection.settimeout(_left(deadline))
        part = connection.recv(min(missing, 1 << 16))
        if not part:
            if parts:
                raise ConnectionResetError
            return b""
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _frame(message: Mapping[str, object]) -> bytes:
    body = canonical_json(message)
    if len(body) > MAX_FRAME:
        raise _bad("a message has at most 16 MiB")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _object(body: bytes) -> dict[str, object]:
    try:
        message = jose.parse_json(body, limit=MAX_FRAME, max_depth=4, max_items=_MAX_PARTS)
    except InvalidInput:
        raise _bad("not JSON") from None
    if type(message) is not dict:
        raise _bad("not an object")
    return message


def _micros(now: datetime) -> int:
    return int(now.timestamp() * 1_000_000)


def _time(value: object) -> datetime:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise _bad("now is no time in microseconds")
    try:
        return datetime.fromtimestamp(value / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad("now is no time in microseconds") from None


def _bytes(value: object) -> bytes:
    try:
        return jose.b64url_decode(value if isinstance(value, str) else "!")
    except InvalidInput:
        raise _bad("want base64url") from None


def _write_key(key: HeldKey) -> dict[str, object]:
    members: dict[str, object] = {
        "key": key.key_id,
        "purpose": key.purpose.value,
        "alg": key.algorithm,
        "public": jose.b64url_encode(key.public),
        "created_at": key.created_at,
    }
    if key.user_id is not None:
        members["user_id"] = jose.b64url_encode(key.user_id)
    return members


def _read_key(item: object) -> HeldKey:
    match item:
        case {
            "key": str(key_id),
            "purpose": str(purpose),
            "alg": str(alg),
            "public": public,
            "created_at": int(made),
            **more,
        }:
            user_id = _bytes(more["user_id"]) if "user_id" in more else None
            try:
                return HeldKey(key_id, KeyPurpose(purpose), alg, _bytes(public), made, user_id)
            except ValueError:
                pass  # a purpose of a later version
    raise _bad("a key's description is not one of this version")


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_signer_message", why)
