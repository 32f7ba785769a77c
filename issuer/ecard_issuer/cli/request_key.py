"""`ecard request-key`: the keys and certificates that a verifier signs its requests to wallets with."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecard_card.errors import InvalidInput, NotFound
from ecard_issuer.cli.common import add_options, opened, show, talk

if TYPE_CHECKING:
    from ecard_keys.certified_keys import CertifiedKey, CertifiedKeys

_MAX_PEM = 64 << 10
_SETTING = "ECARD_DATA_DIR, or with --verifier of ECARD_VERIFIER_DATA"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `request-key` with its commands."""
    parser = subparsers.add_parser(
        "request-key",
        help="keys and certificates for requests to wallets",
        description="A verifier signs what it asks of wallets (OpenID4VP) with a key whose certificate names it. Make a"
        " key, have its signing request certified by an authority that wallets know, install the chain. To rotate,"
        " do it again: the chain that came last signs, the key before stays for what it has signed.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    new = commands.add_parser("new", help="make a key; prints its certificate signing request (PEM)")
    request = commands.add_parser("request", help="print the signing request of a key again")
    request.add_argument("key_id", metavar="KEY_ID", help="as `ecard request-key list` prints it")
    for command in (new, request):
        command.add_argument("--name", required=True, help="whom wallets show: the authority, the merchant")
        command.add_argument("--host", required=True, help="the DNS name of the verifier's address")
    new.add_argument(
        "--self-signed",
        type=int,
        metavar="DAYS",
        help="to try things out: certify it by itself, for so many days; wallets will not trust it",
    )
    install = commands.add_parser("install", help="install the chain of certificates for a key")
    install.add_argument("chain", metavar="FILE", help="PEM, leaf first; - is standard input")
    remove = commands.add_parser("remove", help="forget a key for ever; requests that it signed are over")
    remove.add_argument("key_id", metavar="KEY_ID", help="as `ecard request-key list` prints it")
    listing = commands.add_parser("list", help="every key, with its certificate and which one signs")
    for command, run in ((new, _new), (request, _request), (install, _install), (listing, _list), (remove, _remove)):
        command.add_argument("--verifier", action="store_true", help="of a verifier by itself, not beside an issuer")
        add_options(command, run, _SETTING)


def _new(args: argparse.Namespace) -> int:
    days = args.self_signed
    if days is not None and not 1 <= days <= 398:
        raise InvalidInput("bad_usage", "a certificate to try things out lives 1 to 398 days")
    with _keys(args, create=True) as keys:
        now = datetime.now(UTC)
        first = not keys.held()
        key = keys.create(now)
        try:
            pem = keys.request(key.key_id, name=args.name, host=args.host)
        except InvalidInput:
            keys.remove(key.key_id)
            raise
        if days is not None:
            key = keys.self_sign(key.key_id, name=args.name, host=args.host, now=now, days=days)
    answer = {"key_id": key.key_id, "request": pem} if days is None else _described(key, signs=True)
    show(args, answer, *(pem.splitlines() if days is None else [key.key_id]))
    if first:
        talk("A running service sees its first key when it is started again.")
    return 0


def _request(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        pem = keys.request(args.key_id, name=args.name, host=args.host)
    show(args, {"key_id": args.key_id, "request": pem}, *pem.splitlines())
    return 0


def _install(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        key = keys.install(_pem(args.chain), datetime.now(UTC))
    show(args, _described(key, signs=True), f"{key.key_id} signs from now on")
    return 0


def _list(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with _keys(args) as keys:
        held = keys.held()
        serving = [key for key in held if key.serves(now)]
        active = keys.active(now).key_id if serving else None
    rows = [_described(key, signs=key.key_id == active) for key in held]
    lines = [
        f"{row['key_id']}  {'signs' if row['signs'] else '-'}  until {row['until'] or 'no certificate'}" for row in rows
    ]
    show(args, {"keys": rows}, *lines)
    return 0


def _remove(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        keys.remove(args.key_id)
    show(args, {"key_id": args.key_id, "removed": True}, f"{args.key_id} is gone")
    return 0


def _described(key: CertifiedKey, *, signs: bool) -> dict[str, Any]:
    from ecard_verifier.openid4vp.request import client_id
    from ecard_verifier.verdict import rfc3339

    certified = bool(key.chain)
    return {
        "key_id": key.key_id,
        "signs": signs,
        "client_id": client_id(key) if certified else None,
        "subject": key.leaf.subject.rfc4514_string() if certified else None,
        "until": rfc3339(key.leaf.not_valid_after_utc) if certified else None,
    }


def _pem(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(_MAX_PEM)
        with Path(path).open("rb") as file:
            return file.read(_MAX_PEM)
    except OSError:
        raise InvalidInput("bad_certificate", "the file of certificates cannot be read") from None


@contextmanager
def _keys(args: argparse.Namespace, *, create: bool = False) -> Iterator[CertifiedKeys]:
    """The keys beside an issuer, in its key file, or those of a verifier by itself."""
    if not args.verifier:
        with opened(args) as issuer:
            yield issuer.request_keys
        return
    from ecard_issuer.config import NAMES
    from ecard_issuer.data_dir import DataDir
    from ecard_keys.certified_keys import CertifiedKeys
    from ecard_keys.homes.encrypted_file import EncryptedFile
    from ecard_verifier.config import load_request_keys
    from ecard_verifier.openid4vp.assembly import KEY_FILE

    typed = {} if args.data_dir is None else {"ECARD_VERIFIER_DATA": str(args.data_dir)}
    folder, given = load_request_keys({**os.environ, **typed}, NAMES)
    if not folder.is_dir():
        raise NotFound("no_verifier", f"{folder} is no verifier's directory; `ecard serve verifier` makes it")
    before = os.umask(0o077)
    try:
        place = DataDir(folder)
        with place.alone():
            fresh = create and not (folder / KEY_FILE).exists()
            passphrase = given.encode() or place.passphrase(talk, create=fresh)
            yield CertifiedKeys(EncryptedFile(folder / KEY_FILE, passphrase, create=fresh))
    finally:
        os.umask(before)
