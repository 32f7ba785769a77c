"""Who is calling: a bearer token (RFC 6750) of a known caller with one role. Stored as hashes only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotAllowed, NotAuthenticated, NotFound, Unavailable
from ecard_verifier.callers import CALLER_NAME, Caller, Role, token_hash

_MAX_TOKEN: Final = 256
_ROLES: Final = frozenset(role.value for role in Role)
_FORMAT: Final = "ecard-tokens/1"

Authenticate = Callable[[str], Caller | None]


class RoleBearer(HTTPBearer):
    """See `require_role`. The scheme itself, and not what depends on it: FastAPI resolves each step between the two
    anew for every request."""

    def __init__(self, authenticate: Authenticate, roles: Collection[Role]) -> None:
        super().__init__(scheme_name="HTTPBearer", auto_error=False, description="A token made at first start.")
        self._authenticate, self._roles = authenticate, roles
        self._at_once: Callable[[str], bool] = getattr(authenticate, "at_once", lambda _token: False)

    async def __call__(self, request: HTTPConnection) -> Caller:  # type: ignore[override]
        token = await self.token(request)
        return self.caller(token) if self._at_once(token) else await run_in_threadpool(self.caller, token)

    async def token(self, request: HTTPConnection) -> str:
        """What was sent, for a route that has to ask again while its answer goes on; empty where nothing was."""
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        return token if scheme.lower() == "bearer" else ""

    def caller(self, token: str) -> Caller:
        """Whose token this is, now. Raises as `require_role`."""
        known = self._authenticate(token) if 0 < len(token) <= _MAX_TOKEN else None
        if known is None:
            raise NotAuthenticated("not_authenticated", "a valid bearer token is needed")
        if known.role is not Role.OPERATOR and known.role not in self._roles:
            raise NotAllowed("not_allowed", "this caller's role may not do this")
        return known


def require_role(authenticate: Authenticate, *roles: Role) -> RoleBearer:
    """A FastAPI dependency: the caller, if it has one of `roles` or is an operator.

    `authenticate` is asked in a worker thread, unless it has a method `at_once` that says of the token that nothing
    has to be waited for: a thread costs more than the question. Raises `NotAuthenticated` `not_authenticated`,
    `NotAllowed` `not_allowed`.
    """
    return RoleBearer(authenticate, roles)


class HashedTokens:
    """`Authenticate` over hashes: what is stored or stolen from here opens nothing."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = dict(callers)

    def __call__(self, token: str) -> Caller | None:
        return self._callers.get(token_hash(token))

    def at_once(self, _token: str) -> bool:
        """Always: see `require_role`."""
        return True

    def known(self) -> dict[str, Caller]:
        """Every caller by the SHA-256 of the token."""
        return dict(self._callers)

    @classmethod
    def read(cls, path: Path) -> HashedTokens:
        """Reads `{"format": "ecard-tokens/1", "tokens": [{"name", "role", "sha256"}]}`. `InvalidInput` `bad_tokens`."""
        try:
            content = jose.parse_json(path.read_bytes(), limit=1 << 20)
        except (OSError, InvalidInput):
            raise InvalidInput("bad_tokens", "the file of caller tokens cannot be read") from None
        listed = content.get("tokens") if isinstance(content, dict) and content.get("format") == _FORMAT else None
        if not isinstance(listed, list):
            raise InvalidInput("bad_tokens", "not an ecard-tokens/1 document")
        callers: dict[str, Caller] = {}
        for item in listed:
            fields = item if isinstance(item, dict) else {}
            name, role, digest = fields.get("name"), fields.get("role"), fields.get("sha256")
            if not (isinstance(name, str) and isinstance(digest, str) and isinstance(role, str) and role in _ROLES):
                raise InvalidInput("bad_tokens", "a caller has a name, a known role and a SHA-256")
            callers[digest] = Caller(name, Role(role))
        return cls(callers)


class CallerFile:
    """`Authenticate` over a file that may change while the service runs: a caller revoked there is out at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[tuple[int, ...], HashedTokens] = ((), HashedTokens({}))

    def __call__(self, token: str) -> Caller | None:
        """Raises `Unavailable` `bad_tokens` while the file cannot be read: then nobody is let in."""
        try:
            status = self.path.stat()
            mark = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if mark != self._seen[0]:
                self._seen = (mark, HashedTokens.read(self.path))
        except (OSError, InvalidInput):
            raise Unavailable("bad_tokens", "the file of caller tokens cannot be read") from None
        return self._seen[1](token)

    def at_once(self, _token: str) -> bool:
        """Always: one question to the file system. See `require_role`."""
        return True

    def check(self) -> None:
        """Raises `InvalidInput` `bad_tokens` unless the file can be read now."""
        HashedTokens.read(self.path)

    def callers(self) -> tuple[Caller, ...]:
        """Everybody in the file. Raises `InvalidInput` `bad_tokens`."""
        return tuple(HashedTokens.read(self.path).known().values())

    def add(self, caller: Caller, token: str) -> None:
        """Let the holder of `token` in. The file is made if it is missing; one writer at a time.

        Raises `InvalidInput` `bad_operator_name`, `bad_tokens`; `Unavailable` `data_dir_unusable`.
        """
        if not CALLER_NAME.fullmatch(caller.name):
            raise InvalidInput("bad_operator_name", "want 1 to 64 letters, digits, spaces and . _ @ -")
        known = HashedTokens.read(self.path).known() if self.path.exists() else {}
        self._write({**known, token_hash(token): caller})

    def revoke(self, name: str) -> int:
        """Take out every token of that name; says how many. Raises `NotFound` `operator_unknown`, and as `add`."""
        known = HashedTokens.read(self.path).known()
        left = {digest: caller for digest, caller in known.items() if caller.name != name}
        if len(left) == len(known):
            raise NotFound("operator_unknown", "no caller has this name")
        self._write(left)
        return len(known) - len(left)

    def _write(self, callers: Mapping[str, Caller]) -> None:
        """Whole or not at all, for this user only."""
        tokens = [{"name": one.name, "role": one.role, "sha256": digest} for digest, one in callers.items()]
        draft = self.path.with_name(self.path.name + ".new")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": _FORMAT, "tokens": tokens}, file, ensure_ascii=False, indent=2)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError:
            raise Unavailable("data_dir_unusable", "the file of caller tokens cannot be written") from None
