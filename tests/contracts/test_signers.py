"""The signer contract on each adapter."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecard_keys.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.local import FileKeyHome
from tests.contracts.signer_contract import NOW, KeyHomeContract, SignerContract


class TestEphemeralSigner(SignerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls) -> EphemeralSigner:
        return EphemeralSigner()

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, signer: EphemeralSigner) -> str:
        return signer.key_id

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, signer: EphemeralSigner) -> bytes:
        return signer.public


class TestFileKeyHome(SignerContract, KeyHomeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, tmp_path_factory: pytest.TempPathFactory) -> FileKeyHome:
        path: Path = tmp_path_factory.mktemp("home") / "keys.json"
        return FileKeyHome(path, b"correct horse battery")

    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls, home: FileKeyHome) -> FileKeyHome:
        return home

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, home: FileKeyHome) -> str:
        return home.create(KeyPurpose.CREDENTIAL, NOW)

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, home: FileKeyHome, known_key: str) -> bytes:
        return home.public_key(known_key)
