"""`ecard bundle` and `ecard trust-root`: what verifiers carry, and what they pin."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ecard_card.errors import Unavailable
from ecard_issuer.cli.common import add_options, opened, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bundle` and `trust-root`; both write JSON documents."""
    bundle = subparsers.add_parser(
        "bundle",
        help="write the offline bundle: all that a check needs without a network",
        description="Writes trust root, trust list and status lists as one JSON document, good until its first part "
        "ends; fetch a new one before that.",
    )
    bundle.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: standard output)")
    add_options(bundle, _bundle)
    root = subparsers.add_parser(
        "trust-root",
        help="write the trust root that verifiers pin",
        description="Writes the public root keys as one JSON document. Hand it to verifiers by another "
        "way than the bundle.",
    )
    root.add_argument("-o", "--output", type=Path, metavar="FILE", help="(default: standard output)")
    add_options(root, _trust_root)


def _bundle(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        document = issuer.publisher.bundle(issuer.clock()).body
    write_output(args.output, document)  # for everybody: under the caller's own umask
    return 0


def _trust_root(args: argparse.Namespace) -> int:
    from ecard_keys.trust.root import root_to_json

    with opened(args) as issuer:
        document = json.dumps(root_to_json(issuer.keys.root()), indent=2).encode() + b"\n"
    write_output(args.output, document)
    return 0


def write_output(path: Path | None, data: bytes) -> None:
    """Write a document whole or not at all, or to standard output. Raises `Unavailable` `output_unwritable`."""
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError:
        raise Unavailable("output_unwritable", f"{path} cannot be written") from None
    talk(f"wrote {path}")
