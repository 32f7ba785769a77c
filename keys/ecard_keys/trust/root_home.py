"""Root holders' private keys in one encrypted file: one holder's for a ceremony, three in the embedded default.

Which two keys belong together is written nowhere, so it cannot be written wrongly: of a complete file, sorted by their
public halves, the first ES256 key and the first ML-DSA-65 key are one holder's, and so on. Nothing is signed with a
file that has more of one kind than of the other.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from ecard_card.algorithm import Algorithm
from ecard_card.errors import NotFound, Unavailable
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey
from ecard_keys.trust.root import HOLDER_ALGORITHMS, RootHolder
from ecard_keys.trust.root_signature import Pair


class RootHome:
    """The holders in the file at `path`. Raises the `Unavailable` codes of `EncryptedFile` anywhere, and
    `root_keys_incomplete` where a pair is not complete."""

    def __init__(self, path: Path | str, passphrase: bytes, *, create: bool = False) -> None:
        self._home = FileKeyHome(path, passphrase, create=create)
        self._open = partial(FileKeyHome, path, passphrase, create=False)

    def make(self, count: int, now: datetime) -> None:
        """Make keys until there are `count` holders; what is there stays. One process at a time."""
        for algorithm in HOLDER_ALGORITHMS:
            missing = count - len(self._held(algorithm))
            if missing > 0:
                home = self._open(algorithm=algorithm)
                for _ in range(missing):
                    home.create(KeyPurpose.TRUST, now)

    def holders(self) -> tuple[RootHolder, ...]:
        """The public halves, in pairs. None for an empty file."""
        return tuple(RootHolder(classical.public, quantum.public) for classical, quantum in self._pairs())

    def sign(self, holder: RootHolder, inputs: Pair) -> Pair:
        """The holder's signatures over `inputs`, as `signing_inputs` gives them.

        Raises `NotFound` `key_unknown` where the file is another's.
        """
        for pair in self._pairs():
            if (pair[0].public, pair[1].public) == (holder.es256, holder.ml_dsa_65):
                classical, quantum = (self._home.sign(pair[half].key_id, [inputs[half]])[0] for half in (0, 1))
                return classical, quantum
        raise NotFound("key_unknown", "the keys of this holder are not in this file")

    def _pairs(self) -> tuple[tuple[HeldKey, HeldKey], ...]:
        classical, quantum = (self._held(algorithm) for algorithm in HOLDER_ALGORITHMS)
        if len(classical) != len(quantum):
            raise Unavailable("root_keys_incomplete", "the file holds half a pair: making it was interrupted")
        return tuple(zip(classical, quantum, strict=True))

    def _held(self, algorithm: Algorithm) -> list[HeldKey]:
        found = [key for key in self._home.held() if key.purpose is KeyPurpose.TRUST and key.algorithm == algorithm]
        return sorted(found, key=lambda key: key.public)
