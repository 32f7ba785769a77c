"""What a verifier keeps of trust on disk: the last good list, and the roots it walked to get there.

Both are signed and are judged anew when they are read; a file that cannot be used is as good as none.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.trust.root import TrustRoot
from ecard_keys.trust.root_chain import open_root

_MAX_ROOTS: Final = 64 << 20
_FORMAT: Final = "ecard-root-cache/1"


class TrustCache:
    """The file `path` for the list, and one beside it for roots."""

    def __init__(self, path: Path) -> None:
        self._list, self._roots = path, path.with_suffix(".roots.json")

    def document(self) -> bytes | None:
        """The list as it was kept, None if there is none. Raises `OSError`."""
        return self._list.read_bytes() if self._list.exists() else None

    def chain(self, pinned: TrustRoot) -> tuple[TrustRoot, ...]:
        """`pinned` and, in order, the roots after it that are kept, as far as they hold."""
        chain = [pinned]
        with contextlib.suppress(EcardError, OSError):
            for document in _read(self._roots):
                with contextlib.suppress(EcardError):  # those up to a root that was pinned later do not follow it
                    chain.append(open_root(document, chain[-1]))
        return tuple(chain)

    def keep(self, document: bytes, roots: Sequence[bytes]) -> None:
        """Put the list and the roots walked since the last time in their places. What fails is fetched again."""
        with contextlib.suppress(OSError, EcardError):
            if roots:
                _replace(self._roots, _written([*self._kept(), *roots]))
            _replace(self._list, document)

    def _kept(self) -> list[bytes]:
        """The roots so far. A file that cannot be used must not keep newer ones, and newer lists, from their place."""
        with contextlib.suppress(OSError, EcardError):
            return _read(self._roots)
        return []


def _written(documents: Sequence[bytes]) -> bytes:
    return jose.dump_json({"format": _FORMAT, "roots": [jose.b64url_encode(document) for document in documents]})


def _read(path: Path) -> list[bytes]:
    content = jose.parse_json(path.read_bytes(), limit=_MAX_ROOTS)
    listed = content.get("roots") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise InvalidInput("bad_json", "not a cache of roots")
    return [jose.b64url_decode(item) for item in listed]


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # an empty file after a power cut would let an older list back in
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
