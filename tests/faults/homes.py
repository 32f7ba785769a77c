"""A scene over each home of keys, and what can befall that home: each accident has its end beside it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hvac import exceptions

from ecard_issuer.key_homes import ARCHIVE_FILE, KEY_FILE
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from tests.faults.scene import Scene
from tests.openbao import OpenBao
from tests.softhsm import MODULE, PIN, SoftToken
from tests.verifier.feed_kit import wait_for

PASSPHRASE = "only for tests, in a temporary folder"


@dataclass
class Bao:
    """A scene over a server, and what can befall that."""

    server: OpenBao
    folder: Path
    life: str = "20m"
    scene: Scene = field(init=False)

    def __post_init__(self) -> None:
        settings = self.server.settings(ttl=self.life, max_ttl=self.life)
        self.role, self.secret_id = self.server.last_role, settings.secret_id
        home = {"key_home": "vault", "vault_addr": settings.address, "vault_role_id": settings.role_id}
        self.scene = Scene(self.folder, home | {"vault_secret_id": settings.secret_id})

    def start_again(self) -> None:
        self.server.start()
        self.server.unseal()

    def outlive_token(self) -> None:
        """The server no longer knows any token of ours; it was as old as its role lets it grow."""
        wait_for(lambda: not self._tokens())

    def revoke_token(self) -> None:
        """Before its time, and when it is no longer so young that its refusal must be the policy's."""
        (token,) = self._tokens()
        wait_for(lambda: time.time() - token["creation_time"] >= 2)  # in whole seconds
        self.server.admin().sys.revoke_prefix("auth/approle/login")

    def end_login(self) -> None:
        self.server.admin().auth.approle.destroy_secret_id(self.role, self.secret_id)
        self.outlive_token()

    def allow_login(self) -> None:
        self.server.admin().auth.approle.create_custom_secret_id(self.role, self.secret_id)

    def remove_policy(self) -> None:
        admin = self.server.admin()
        self.rules = admin.sys.read_policy("vault-sign")["data"]["rules"]
        admin.sys.delete_policy("vault-sign")

    def restore_policy(self) -> None:
        self.server.admin().sys.create_or_update_policy("vault-sign", self.rules)

    def archive_version(self) -> None:
        """The server is told to sign by no version of ours any more."""
        transit = self.server.admin().secrets.transit
        transit.rotate_key(self._key_name())
        transit.update_key_configuration(self._key_name(), min_encryption_version=2)

    def allow_version(self) -> None:
        self.server.admin().secrets.transit.update_key_configuration(self._key_name(), min_encryption_version=0)

    def _tokens(self) -> list[dict[str, Any]]:
        """Those of our role, as the server describes them."""
        found, tokens = [], self.server.admin().auth.token
        for accessor in tokens.list_accessors()["data"]["keys"]:
            try:
                found.append(tokens.lookup_accessor(accessor)["data"])
            except (exceptions.InvalidPath, exceptions.Forbidden, exceptions.InvalidRequest):
                continue  # ended in this moment
        return [token for token in found if (token["meta"] or {}).get("role_name") == self.role]

    def _key_name(self) -> str:
        kid = self.scene.service.issuer.keys.active(KeyPurpose.CREDENTIAL).kid
        lines = (self.folder / ARCHIVE_FILE).read_text("utf-8").splitlines()
        return next(str(line["name"]) for line in map(json.loads, lines) if line["kid"] == kid)


@dataclass
class Hsm:
    """A scene over a token."""

    token: SoftToken
    folder: Path

    def __post_init__(self) -> None:
        home = {"key_home": "pkcs11", "pkcs11_module": MODULE, "pkcs11_token": self.token.label, "pkcs11_pin": PIN}
        self.scene = Scene(self.folder, home)

    def change_pin(self) -> None:
        self.token.change_pin(PIN, "161803")
        self.token.finalize()  # SoftHSM remembers the old PIN until it is initialised anew

    def start_with_new_pin(self) -> None:
        """No process tries a refused PIN again; who has set a new one starts the issuer with it."""
        self.scene.service.issuer.close()
        self.scene.open(pkcs11_pin="161803")


@dataclass
class File:
    """A scene over the encrypted file."""

    folder: Path

    def __post_init__(self) -> None:
        self.scene = Scene(self.folder, {"key_passphrase": PASSPHRASE})
        self.path = self.folder / KEY_FILE
        self.whole = self.path.read_bytes()

    def truncate(self) -> None:
        os.truncate(self.path, len(self.whole) // 2)

    def put_another(self) -> None:
        """A file of keys, and not ours."""
        self.path.unlink()
        FileKeyHome(self.path, b"of somebody else")

    def put_back(self) -> None:
        self.path.write_bytes(self.whole)
        self.path.chmod(0o600)
