"""The homes of an issuer's keys, as its settings say: the files of this directory, and who signs.

One file holds the secrets above personal data and the key of chip statements; these never leave this process. The keys
of credentials, status lists and events lie in the same file, in Vault, on an HSM, or behind the signer process: then
this process opens no home of them at all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ecard_card.algorithm import Algorithm
from ecard_card.errors import Unavailable
from ecard_issuer.config import IssuerSettings
from ecard_issuer.data_dir import DataDir
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.root_keys import RootKeys
from ecard_keys.desk.desk import LocalDesk, SigningDesk, SigningRules
from ecard_keys.desk.journal import Journal
from ecard_keys.desk.quotas import FILE as QUOTAS_FILE
from ecard_keys.desk.quotas import Quotas, start_of_hour
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.homes.passphrase import ask
from ecard_keys.homes.settings import HomeSettings, open_home
from ecard_keys.key import KeyPurpose
from ecard_keys.process.client import RemoteDesk, RemoteKeyHome, SignerLink
from ecard_keys.signer import KeyHome
from ecard_keys.trust.root_home import RootHome

KEY_FILE: Final = "keys.json"
ROOT_FILE: Final = "root-keys.json"
ARCHIVE_FILE: Final = "vault-keys.jsonl"
JOURNAL_FOLDER: Final = "signing-journal"


def open_files(
    settings: IssuerSettings, place: DataDir, say: Callable[[str], None], *, fresh: bool, with_roots: bool = True
) -> tuple[FileKeyHome, RootKeys | None, bytes]:
    """The home in `keys.json`, the root keys, and the passphrase of both. Made only where `fresh`: a lost file is never
    silently replaced. No root keys where the settings name a root that is kept elsewhere, and none without
    `with_roots`: for an issuer under the roots of the deployment that hosts it. The passphrase is that of the settings,
    else that in the data directory, else what a person types at the terminal.

    Raises `Unavailable` `key_file_missing`, and the codes of `EncryptedFile`.
    """
    keys, roots = (settings.data_dir / name for name in (KEY_FILE, ROOT_FILE))
    offline = settings.trust_root is not None or not with_roots
    for path in (keys,) if offline else (keys, roots):
        if not (fresh or path.exists()):
            raise Unavailable("key_file_missing", f"{path} is lost; put it back from a backup: the register needs it")
    given = settings.key_passphrase
    typed = None if given is not None or fresh or place.has_passphrase() else ask()
    passphrase = given.get_secret_value().encode() if given is not None else typed
    if passphrase is None:
        passphrase = place.passphrase(say, create=fresh)
    home = FileKeyHome(keys, passphrase, create=fresh)
    return home, None if offline else RootKeys(RootHome(roots, passphrase, create=fresh)), passphrase


def open_home_of_keys(
    settings: IssuerSettings, file: FileKeyHome, passphrase: bytes
) -> tuple[KeyHome, SignerLink | None]:
    """Where the signing keys are, and the way to the signer process if they are behind one.

    Raises `InvalidInput` `bad_setting`, `Unavailable` `key_home_extra_missing`, and what an adapter raises.
    """
    if settings.signer_socket is not None:
        link = SignerLink(settings.signer_socket)
        return RemoteKeyHome(link), link
    if settings.key_home == "file" and settings.key_algorithm != Algorithm.ES256:
        # A home makes keys of one algorithm; the statements of chips stay with the other one.
        path = settings.data_dir / KEY_FILE
        file = FileKeyHome(path, passphrase, create=False, algorithm=Algorithm(settings.key_algorithm))
    return open_home(_home_settings(settings), file, settings.data_dir / ARCHIVE_FILE), None


def home_of(settings: IssuerSettings, purpose: KeyPurpose) -> str:
    """What the register calls the home that a new key of this purpose is made in."""
    if settings.signer_socket is not None:
        return "signer"
    if purpose is KeyPurpose.EVENT and settings.event_key_home == "file":
        return "file"
    return settings.key_home


def quotas_file(settings: IssuerSettings) -> Path | None:
    """The file of quotas of the desk in this process; None where a signer process has it."""
    return None if settings.signer_socket is not None else settings.data_dir / JOURNAL_FOLDER / QUOTAS_FILE


def open_desk(
    settings: IssuerSettings,
    home: KeyHome,
    link: SignerLink | None,
    identity: IssuerIdentity,
    clock: Callable[[], datetime],
) -> SigningDesk:
    """The desk that signs: over `link`, or in this process with its journal in the data directory.

    Raises `Unavailable` `signing_journal_unavailable`.
    """
    if link is not None:
        return RemoteDesk(link)
    journal = Journal(settings.data_dir / JOURNAL_FOLDER)
    rules = SigningRules(
        identity.issuer,
        identity.status_uri,
        identity.regions,
        longest_validity=timedelta(days=settings.credential_days),
        longest_list_life=timedelta(hours=settings.status_hours),
        test=settings.test_mode,
    )
    quotas = Quotas(quotas_file(settings), spent=journal.entries(since=start_of_hour(clock())))
    return LocalDesk(home, [rules], journal, quotas, clock)


def _home_settings(settings: IssuerSettings) -> HomeSettings:
    secret_id, pin = settings.vault_secret_id, settings.pkcs11_pin
    return HomeSettings(
        home=settings.key_home,
        event_home=settings.event_key_home,
        algorithm=Algorithm(settings.key_algorithm),
        vault_addr=settings.vault_addr,
        vault_role_id=settings.vault_role_id,
        vault_secret_id=None if secret_id is None else secret_id.get_secret_value(),
        vault_mount=settings.vault_mount,
        vault_ca=settings.vault_ca,
        vault_namespace=settings.vault_namespace,
        vault_prefix=settings.vault_prefix,
        pkcs11_module=settings.pkcs11_module,
        pkcs11_token=settings.pkcs11_token,
        pkcs11_pin=None if pin is None else pin.get_secret_value(),
    )
