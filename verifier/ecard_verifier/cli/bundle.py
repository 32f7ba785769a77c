"""`ecard bundle update`: bring an offline bundle up to date with signed deltas, or with a whole new one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.trust.root import read_root
from ecard_verifier.bundle import MAX_BUNDLE, open_bundle
from ecard_verifier.bundle_update import update_bundle
from ecard_verifier.http_published import PublishedStatus
from ecard_verifier.verdict import rfc3339


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `update` to `ecard bundle`."""
    update = subparsers.add_parser(
        "update",
        help="bring a bundle up to date",
        description="Fetches the signed deltas since the bundle was made and puts them into the file; where they do"
        " not lead on from it, a whole new bundle, which must open under the pinned root. Whatever is refused"
        " leaves the file as it was.",
        epilog="Exit status: 0 up to date; 1 what came was refused; 2 wrong usage, or no bundle; 3 the issuer is away.",
    )
    update.add_argument("bundle", metavar="BUNDLE", type=Path, help="the file; it is replaced as a whole")
    update.add_argument("--from", dest="base", metavar="URL", help="where to ask (default: the issuer's own name)")
    update.add_argument("--root", metavar="FILE", type=Path, help="pin this trust root; a new bundle needs it")
    update.add_argument("--whole", action="store_true", help="take a whole new bundle")
    update.add_argument("--json", action="store_true", help="one JSON document")
    update.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Returns the exit code. Raises what `update_bundle` raises, and `Unavailable` `output_unwritable`."""
    root = read_root(_read(args.root)) if args.root is not None else None
    before = _read(args.bundle)
    after, whole = update_bundle(
        before, lambda issuer: PublishedStatus(args.base or issuer), lambda: datetime.now(UTC), root, whole=args.whole
    )
    if after != before:
        _write(args.bundle, after)
    bundle = open_bundle(after, datetime.now(UTC), root)
    issuers = {
        issuer: {"position": place.position, "delta": place.number, "as_of": _moment(place.as_of)}
        for issuer, place in bundle.statuses.places().items()
    }
    if args.json:
        print(json.dumps({"whole": whole, "until": _moment(bundle.until), "issuers": issuers}, indent=2))
        return 0
    for issuer, place in issuers.items():
        print(f"{issuer}: statuses as of {place['as_of']}, events up to {place['position']}")
    print(f"{'a new bundle' if whole else 'up to date'}; good until {_moment(bundle.until)}", file=sys.stderr)
    return 0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BUNDLE + 1)
    except OSError:
        raise InvalidInput("bad_bundle", f"{path} cannot be read") from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        raise Unavailable("output_unwritable", f"{path} cannot be written") from None


def _moment(seconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
