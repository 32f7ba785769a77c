"""The signer contract on each adapter that needs nothing but this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecard_card.algorithm import Algorithm
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from tests.contracts.home_in_check import HomeInCheckContract
from tests.contracts.signer_contract import NOW, KeyHomeContract, SignerContract


class TestEphemeralSigner(SignerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def signer(cls) -> EphemeralSigner:
        return EphemeralSigner(algorithm=cls.algorithm)

    @pytest.fixture(scope="class")
    @classmethod
    def known_key(cls, signer: EphemeralSigner) -> str:
        return signer.key_id

    @pytest.fixture(scope="class")
    @classmethod
    def public(cls, signer: EphemeralSigner) -> bytes:
        return signer.public


class TestEphemeralSignerSm2(TestEphemeralSigner):
    algorithm = Algorithm.SM2


class _FileFixtures(SignerContract, KeyHomeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, tmp_path_factory: pytest.TempPathFactory) -> FileKeyHome:
        path: Path = tmp_path_factory.mktemp("home") / "keys.json"
        return FileKeyHome(path, b"correct horse battery", algorithm=cls.algorithm)

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


class TestFileKeyHome(_FileFixtures, HomeInCheckContract):
    algorithm = Algorithm.ES256


class TestFileKeyHomeSm2(_FileFixtures, HomeInCheckContract):
    algorithm = Algorithm.SM2


class TestFileKeyHomeMlDsa(_FileFixtures):
    """Root keys: they sign trust lists, and nothing that the check reads."""

    algorithm = Algorithm.ML_DSA_65
