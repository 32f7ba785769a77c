"""Keys for requests to wallets: made here, certified elsewhere, two at once while one follows the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecard_card.errors import Conflict, InvalidInput, NotFound, Unavailable
from ecard_keys.certified_keys import MAX_KEYS, CertifiedKeys
from ecard_keys.homes.encrypted_file import EncryptedFile
from ecard_keys.response_key import ResponseKey
from ecard_keys.verify import load_public_key, verify

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PASSPHRASE = b"a passphrase for tests"
PEM = serialization.Encoding.PEM


class Authority:
    """It certifies what a signing request asks for."""

    def __init__(self, name: str = "authority", above: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self if above is None else above
        self.certificate = self._sign(self.name, self.key.public_key(), issuer)

    def certify(self, request: str, *, days: int = 90, usage: bool = True) -> bytes:
        asked = x509.load_pem_x509_csr(request.encode())
        assert asked.is_signature_valid
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        made = self._sign(asked.subject, key, self, days=days, names=names.value, usage=usage)
        return made.public_bytes(PEM)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @staticmethod
    def _sign(
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        issuer: Authority,
        *,
        days: int = 900,
        names: x509.SubjectAlternativeName | None = None,
        usage: bool = True,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=days))
        if names is not None:
            builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(
                x509.KeyUsage(usage, False, False, False, not usage, False, False, False, False), critical=True
            )
        return builder.sign(issuer.key, hashes.SHA256())


@pytest.fixture
def keys(tmp_path: Path) -> CertifiedKeys:
    return CertifiedKeys(EncryptedFile(tmp_path / "keys.json", PASSPHRASE))


def test_a_key_is_certified_by_its_own_request_and_signs(keys: CertifiedKeys, tmp_path: Path) -> None:
    authority = Authority()
    made = keys.create(NOW)
    with pytest.raises(Unavailable, match="no_request_key"):
        keys.active(NOW)
    with pytest.raises(Conflict, match="certificate_missing"):
        _ = made.leaf
    request = keys.request(made.key_id, name="测试医院", host="verifier.example")
    installed = keys.install(authority.certify(request) + authority.pem, NOW)
    assert len(installed.chain) == 1, "the anchor is left out"
    assert installed.leaf.subject.rfc4514_string() == "CN=测试医院"
    assert keys.active(NOW) == installed
    signature = keys.sign(installed.key_id, b"request")
    assert verify(load_public_key(installed.public), b"request", signature)
    again = CertifiedKeys(EncryptedFile(tmp_path / "keys.json", PASSPHRASE, create=False))
    assert again.active(NOW) == installed, "it is in the file"
    with pytest.raises(Unavailable, match="no_request_key"):
        keys.active(NOW + timedelta(days=91))


def test_the_chain_that_came_last_signs_and_the_one_before_still_can(keys: CertifiedKeys) -> None:
    authority = Authority("below", Authority("top"))
    old, new = keys.create(NOW), keys.create(NOW)
    for key in (old, new):
        request = keys.request(key.key_id, name="clinic", host="verifier.example")
        keys.install(authority.certify(request) + authority.pem, NOW)
        assert keys.active(NOW).key_id == key.key_id
        assert len(keys.active(NOW).chain) == 2, "the one between goes along"
    assert verify(load_public_key(old.public), b"m", keys.sign(old.key_id, b"m"))
    request = keys.request(old.key_id, name="clinic", host="verifier.example")
    keys.install(authority.certify(request), NOW)
    assert keys.active(NOW).key_id == old.key_id, "its certificate renewed"
    keys.remove(old.key_id)
    assert keys.active(NOW).key_id == new.key_id
    for gone in (lambda: keys.sign(old.key_id, b"m"), lambda: keys.remove(old.key_id), lambda: keys.get(old.key_id)):
        with pytest.raises(NotFound, match="request_key_unknown"):
            gone()


def test_a_chain_that_does_not_fit_is_refused_and_nothing_changes(keys: CertifiedKeys, tmp_path: Path) -> None:
    authority, other = Authority(), Authority("other")
    key = keys.create(NOW)
    request = keys.request(key.key_id, name="clinic", host="verifier.example")
    strange = CertifiedKeys(EncryptedFile(tmp_path / "other.json", PASSPHRASE))
    foreign = strange.request(strange.create(NOW).key_id, name="clinic", host="verifier.example")
    bad: dict[str, bytes] = {
        "no PEM": b"hello",
        "nothing": b"",
        "not signed by the next": authority.certify(request) + Authority("middle", other).pem,
        "an anchor of another": authority.certify(request) + other.pem,
        "over": authority.certify(request, days=-0) + b"",
        "not for signing": authority.certify(request, usage=False),
        "far too long": authority.certify(request) * 40,
        "the authority's first": authority.pem + authority.certify(request),
    }
    for name, pem in bad.items():
        moment = NOW + timedelta(days=1) if name == "over" else NOW
        with pytest.raises(InvalidInput, match="bad_certificate"):
            keys.install(pem, moment)
        assert keys.get(key.key_id).chain == (), name
    with pytest.raises(NotFound, match="request_key_unknown"):
        keys.install(authority.certify(foreign), NOW)


@pytest.mark.parametrize(
    ("name", "host"), [("", "a.example"), ("x" * 65, "a.example"), ("a\n", "b"), ("a", "例.example")]
)
def test_a_name_that_cannot_stand_in_a_certificate_is_refused(keys: CertifiedKeys, name: str, host: str) -> None:
    key = keys.create(NOW)
    with pytest.raises(InvalidInput, match="bad_certificate_name"):
        keys.request(key.key_id, name=name, host=host)


def test_there_is_an_end_to_keys(keys: CertifiedKeys) -> None:
    for _ in range(MAX_KEYS):
        keys.create(NOW)
    with pytest.raises(Conflict, match="request_keys_many"):
        keys.create(NOW)


def test_nothing_secret_is_shown(keys: CertifiedKeys) -> None:
    key = keys.self_sign(keys.create(NOW).key_id, name="clinic", host="verifier.example", now=NOW, days=1)
    answer = ResponseKey.generate()
    assert "d" not in answer.jwk
    assert str(answer.secret) not in repr(answer)
    assert "secret" not in repr(key)
    assert ResponseKey.load(answer.secret) == answer
