"""Writes what a counter without a network has: a bundle, a root to pin, a code just shown, and an expired one.

python -m tests.slim.make_sample FOLDER
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle
from tests.world import World


def make(folder: Path, now: datetime) -> None:
    """Everything is dated `now`, which is written down too."""
    world = World(now=now)
    device = DeviceKey.generate()
    credential = world.compact(world.credential(device))
    bundle = make_bundle(world.root, world.trust_document(), [world.status_token()], made_at=now)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_bytes(bundle)
    (folder / "root.json").write_text(json.dumps(root_to_json(world.root)))
    (folder / "code.txt").write_text(device.offline_code(credential, now))
    (folder / "old-code.txt").write_text(device.offline_code(credential, now - timedelta(minutes=10)))
    (folder / "now.txt").write_text(now.isoformat())


if __name__ == "__main__":
    make(Path(sys.argv[1]), datetime.now(UTC))
