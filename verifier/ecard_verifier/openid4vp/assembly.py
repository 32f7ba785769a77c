"""From settings to `Presentations`: beside the verifier, with its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import Unavailable
from ecard_keys.certified_keys import CertifiedKeys
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_verifier.config import FetchStatuses, VerifierSettings
from ecard_verifier.openid4vp.fetching import Fetcher
from ecard_verifier.openid4vp.foreign_check import ForeignCheck
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.openid4vp.store import PresentationStore
from ecard_verifier.openid4vp.trusted_issuers import read_trusted_issuers
from ecard_verifier.service import VerificationService
from ecard_verifier.trust_source import TrustProvider

KEY_FILE: Final = "request-keys.json"
PASSPHRASE_FILE: Final = "key-passphrase"  # noqa: S105 - the name of a file
STORE_FILE: Final = "presentations.sqlite3"


def other_issuers(path: Path | None, allowed: FetchStatuses) -> dict[str, ForeignCheck]:
    """The checks of the operator's file. Raises `InvalidInput` `bad_trusted_issuers`."""
    fetcher = Fetcher(allowed)
    listed = {} if path is None else read_trusted_issuers(path)
    return {name: ForeignCheck(issuer, fetcher) for name, issuer in listed.items()}


def request_keys(settings: VerifierSettings) -> CertifiedKeys | None:
    """The keys of a verifier by itself; None before `ecard request-key new` has made the file.

    Raises the codes of `EncryptedFile`, `Unavailable` `key_passphrase_unreadable`, `key_passphrase_exposed`.
    """
    path = settings.data / KEY_FILE
    if not path.exists():
        return None
    passphrase = settings.key_passphrase.encode() or _passphrase(settings.data / PASSPHRASE_FILE)
    return CertifiedKeys(EncryptedFile(path, passphrase, create=False))


def _passphrase(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise Unavailable("key_passphrase_exposed", "the passphrase file is open to others; want mode 600")
        return path.read_bytes().strip()
    except OSError:
        raise Unavailable("key_passphrase_unreadable", "no passphrase is set, and its file cannot be read") from None


def open_presentations(
    verification: VerificationService,
    trust: TrustProvider,
    keys: CertifiedKeys | None,
    others: Mapping[str, ForeignCheck],
    clock: Callable[[], datetime],
    *,
    base: str,
    data: Path,
) -> Presentations | None:
    """None where there is nothing to sign with, or no address to be reached at."""
    if keys is None or not keys.held() or not base:
        return None
    return Presentations(verification, trust, keys, PresentationStore(data / STORE_FILE), others, clock, base=base)
