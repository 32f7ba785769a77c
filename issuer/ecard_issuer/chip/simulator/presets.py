"""The simulated cards: first and third generation, and a PIV-style card that signs. All are `test:` profiles."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from ecard_issuer.chip.simulator.authentication import (
    ALGORITHM_3DES,
    ALGORITHM_SM4,
    CardKeys,
)
from ecard_issuer.chip.simulator.certificates import ChipAuthority
from ecard_issuer.chip.simulator.chip import Application, SimulatedChip
from ecard_issuer.chip.simulator.data import (
    ChipData,
    contact_atr,
    contactless_atr,
    historical_bytes,
    holder_records,
    issuer_records,
)
from ecard_issuer.chip.simulator.environment import MF_ID, Behaviour, FileSystem
from ecard_issuer.chip.simulator.files import NEVER, Access, Directory, ElementaryFile, FileType, Pin, SecretKey
from ecard_issuer.chip.simulator.piv import CARD_AUTHENTICATION, PIV_AUTHENTICATION, PivApplication, PivKey

SSSE_NAME = "sx1.sh.社会保障".encode("gbk")
SSSE_ID = 0xDDF1
_APPLICATION_ID = bytes.fromhex("D156000005")
Random = Callable[[int], bytes]


def first_generation(
    *,
    data: ChipData | None = None,
    keys: CardKeys | None = None,
    version: str = "1.00",
    behaviour: Behaviour | None = None,
    t0_answers: bool = True,
    random: Random = secrets.token_bytes,
) -> SimulatedChip:
    """Version `1.00`, or `2.01` with the name extension 4E: 3DES, EF05 and EF06 free.

    `keys`: None for fresh ones; see `card_keys` for keys that a master key leads to.
    """
    data = data or ChipData()
    files = _file_system(data, keys, version, ALGORITHM_3DES, behaviour, random)
    historical = historical_bytes(data)
    return SimulatedChip(contact_atr(historical), historical, [files], t0_answers=t0_answers)


def third_generation(
    *,
    data: ChipData | None = None,
    keys: CardKeys | None = None,
    contactless: bool = False,
    behaviour: Behaviour | None = None,
    t0_answers: bool | None = None,
    random: Random = secrets.token_bytes,
) -> SimulatedChip:
    """Version `3.00`: SM4 by the profile `test:sm4`, EF06 closed without external authentication under RKSSSE."""
    data = data or ChipData()
    files = _file_system(data, keys, "3.00", ALGORITHM_SM4, behaviour, random)
    return _chip(data, [files], contactless, t0_answers)


def piv_style(
    *,
    now: datetime,
    authority: ChipAuthority,
    data: ChipData | None = None,
    private_key: ec.EllipticCurvePrivateKey | None = None,
    keys: CardKeys | None = None,
    with_files: bool = True,
    contactless: bool = True,
    t0_answers: bool | None = None,
    random: Random = secrets.token_bytes,
) -> SimulatedChip:
    """A chip that signs with a P-256 key under a certificate of `authority`, beside the files of a `3.00` card.

    Key 9E needs no PIN, 9A does. `with_files=False`: the signing application alone.
    """
    data = data or ChipData()
    piv_keys = {}
    for reference, key in ((CARD_AUTHENTICATION, private_key), (PIV_AUTHENTICATION, None)):
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = authority.issue(key.public_key(), data.identification_code, now)
        piv_keys[reference] = PivKey(key, certificate)
    applications: list[Application] = [PivApplication(piv_keys)]
    if with_files:
        applications.append(_file_system(data, keys, "3.00", ALGORITHM_SM4, None, random))
    return _chip(data, applications, contactless, t0_answers)


def clone(chip: SimulatedChip, keys: CardKeys | None = None) -> SimulatedChip:
    """A thief's copy: the same readable bytes, none of the secrets.

    Files and certificates are the original's; every symmetric key is replaced from `keys` or, where None, left
    out; each signing key is another one than its certificate names.
    """
    copied: list[Application] = []
    for application in chip.applications:
        if isinstance(application, FileSystem):
            root = copy.deepcopy(application.root)
            _replace_keys(root, keys)
            copied.append(FileSystem(root, application.behaviour, application.random))
        elif isinstance(application, PivApplication):
            stolen = {
                reference: PivKey(ec.generate_private_key(ec.SECP256R1()), key.certificate)
                for reference, key in application.keys.items()
            }
            copied.append(PivApplication(stolen))
    return SimulatedChip(chip.atr, chip.historical, copied, t0_answers=chip.t0_answers)


def _replace_keys(directory: Directory, keys: CardKeys | None) -> None:
    directory.keys = {name: SecretKey(name, {0x01: keys[name]}) for name in directory.keys if keys is not None}
    for child in directory.directories.values():
        _replace_keys(child, keys)


def _chip(data: ChipData, applications: list[Application], contactless: bool, t0_answers: bool | None) -> SimulatedChip:
    historical = historical_bytes(data)
    atr = contactless_atr(historical) if contactless else contact_atr(historical)
    t0_answers = not contactless if t0_answers is None else t0_answers
    return SimulatedChip(atr, historical, applications, t0_answers=t0_answers)


def _file_system(
    data: ChipData, keys: CardKeys | None, version: str, algorithm: int, behaviour: Behaviour | None, random: Random
) -> FileSystem:
    keys = keys or CardKeys.fresh(random)
    closed = Access("RKSSSE")
    holder_access = closed if version.startswith("3") else Access()
    update = Access("UKSSSE")
    ssse = Directory(SSSE_ID, SSSE_NAME, algorithm=algorithm, pin=Pin())
    ssse.keys = {name: SecretKey(name, {0x01: value}) for name, value in keys.by_name.items()}
    holder = holder_records(data, name_extension=not version.startswith("1"))
    ssse.add_file(ElementaryFile(0xEF05, FileType.VARIABLE, issuer_records(data, version), update=update))
    ssse.add_file(ElementaryFile(0xEF06, FileType.VARIABLE, holder, read=holder_access, update=update))
    for file_id in (0xEF07, 0xEF08):  # fingerprint, photo
        ssse.add_file(ElementaryFile(file_id, FileType.TRANSPARENT, content=b"\x01\x10" + bytes(16), read=closed))
    ssse.add_file(ElementaryFile(0xEF0E, FileType.INTERNAL, read=NEVER))
    for directory in _applications(data):
        ssse.add_directory(directory)
    root = Directory(MF_ID)
    root.add_directory(ssse)
    return FileSystem(root, behaviour, random)


def _applications(data: ChipData) -> list[Directory]:
    """DF01, DF02 and DF04 with one or two files each: the access expressions of the public tables."""
    public = Directory(0xDF01, _APPLICATION_ID + b"\x00")
    region = bytes.fromhex(data.region)
    residence = [b"\x24\x03" + region, b"\x28\x0f" + bytes(15)]
    public.add_file(ElementaryFile(0xEF06, FileType.VARIABLE, residence, read=Access("PIN|RKDF01")))
    public.add_file(ElementaryFile(0xEF16, FileType.TRANSPARENT, content=bytes(32)))
    employment = Directory(0xDF02, _APPLICATION_ID + b"\x01")
    employment.add_file(ElementaryFile(0xEF06, FileType.FIXED, [b"\x31\x01\x30"], read=Access("PIN|RKDF02")))
    medical = Directory(0xDF04, _APPLICATION_ID + b"\x03")
    medical.add_file(ElementaryFile(0xEF06, FileType.CYCLIC, [b"\x61\x04" + bytes(4)], read=Access("PIN+RKDF04")))
    return [public, employment, medical]
