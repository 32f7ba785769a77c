"""How many codes a device makes in a second, against the one P-256 signature that each of them is."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_sdk import Device, MemoryStore
from tests.benchmarks.measure import per_second, row
from tests.world import NOW, World


def run() -> list[dict[str, object]]:
    """Two rows: whole codes (`EC1:`) and short ones (`EC0:`), with their text. `ratio` is ours over the signature."""
    world, device = World(), Device(MemoryStore(), clock=lambda: NOW)
    device.keep("link", world.compact(world.credential(device.key)))
    private, message, algorithm = ec.generate_private_key(ec.SECP256R1()), b"x" * 300, ec.ECDSA(hashes.SHA256())
    whole, short, alone = per_second(
        lambda: device.code("link"), lambda: device.short_code("link"), lambda: private.sign(message, algorithm)
    )
    against = f"a P-256 signature {alone:.0f}/s"
    return [
        row("sdk_code_create", whole, "/s", against, whole / alone),
        row("sdk_short_code_create", short, "/s", against, short / alone),
    ]
