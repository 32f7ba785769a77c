"""What a client is made from, judged once: a mistake is said at construction and not at the first call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ecard_card.errors import InvalidInput
from ecard_keys.client_signer import AnyPrivateKey, ClientSigner
from ecard_sdk.core.access import Access
from ecard_sdk.core.clock import ServerClock
from ecard_sdk.core.perform import Core
from ecard_sdk.core.retry import Retries

#: A private key as it is given: PEM, or a key object of `cryptography`.
PrivateKey = str | bytes | AnyPrivateKey
#: Seconds: to connect, and for each pause in an answer.
Timeout = tuple[float, float]
TIMEOUT: Final[Timeout] = (3.0, 10.0)

_APP_ID: Final = re.compile(r"ek_(live|test)_[a-z2-7]{24}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Which app, with which key, at which authority.

    Raises `InvalidInput` `bad_app_id`, `bad_private_key`, `bad_service_url`.
    """

    app_id: str
    base_url: str
    signer: ClientSigner | None = field(repr=False)
    mutual_tls: bool = False
    max_retries: int = 2
    language: str = "zh"

    def __post_init__(self) -> None:
        if not _APP_ID.fullmatch(self.app_id):
            raise InvalidInput("bad_app_id", "an app id is ek_live_ or ek_test_ and 24 letters and digits")
        if self.signer is None and not self.mutual_tls:
            raise InvalidInput("bad_private_key", "give private_key or key_file")
        if not 0 <= self.max_retries <= 10:
            raise InvalidInput("bad_setting", "max_retries is 0 to 10")

    @classmethod
    def of(
        cls,
        app_id: str,
        base_url: str,
        private_key: PrivateKey | None,
        key_file: str | os.PathLike[str] | None,
        key_id: str | None,
        key_password: bytes | None,
        *,
        mutual_tls: bool,
        max_retries: int,
        language: str,
    ) -> Settings:
        """From what a developer gives."""
        signer = _signer(private_key, key_file, key_id, key_password)
        return cls(app_id, _origin(base_url), signer, mutual_tls, max_retries, language)

    def core(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Core:
        """The machinery of one client."""
        access = Access(self.base_url, self.app_id, self.signer, ServerClock(now), mutual_tls=self.mutual_tls)
        return Core(access, Retries(self.max_retries), self.language)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`app_id`, `key_file` and `base_url` from `ECARD_APP_ID`, `ECARD_KEY_FILE` and `ECARD_BASE_URL`.

    Raises `InvalidInput` `bad_setting` naming those that are missing.
    """
    names = {"app_id": "ECARD_APP_ID", "key_file": "ECARD_KEY_FILE", "base_url": "ECARD_BASE_URL"}
    missing = [variable for variable in names.values() if not environment.get(variable)]
    if missing:
        raise InvalidInput("bad_setting", f"not in the environment: {', '.join(missing)}")
    return {name: environment[variable] for name, variable in names.items()}


def _signer(
    private_key: PrivateKey | None,
    key_file: str | os.PathLike[str] | None,
    key_id: str | None,
    key_password: bytes | None,
) -> ClientSigner | None:
    if private_key is not None and key_file is not None:
        raise InvalidInput("bad_private_key", "give private_key or key_file, not both")
    if key_file is not None:
        try:
            private_key = Path(key_file).read_bytes()
        except OSError as error:
            raise InvalidInput("bad_private_key", f"the key file cannot be read: {error.strerror}") from None
    if isinstance(private_key, str):
        private_key = private_key.encode()
    if isinstance(private_key, bytes):
        return ClientSigner.from_pem(private_key, key_id, key_password)
    return None if private_key is None else ClientSigner(private_key, key_id)


def _origin(base_url: str) -> str:
    """Tokens and personal data travel encrypted, or stay on this machine."""
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username or parts.query or parts.fragment or parts.path.strip("/"):
        raise InvalidInput("bad_service_url", "want the authority's origin, such as https://ecard.example")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise InvalidInput("bad_service_url", "want https; http is for a service on this machine alone")
    return f"{parts.scheme}://{parts.netloc}"
