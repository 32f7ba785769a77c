"""Copies of documents that people hand in: their types and bounds. What they show is for a clerk to judge."""

from __future__ import annotations

from typing import Final

from ecard_card.errors import InvalidInput

#: The largest copy, in bytes: a page scanned at 200 dpi as JPEG has about 300 KiB.
MAX_COPY: Final = 512 << 10
_MIN_COPY: Final = 128
_BEGINNINGS: Final = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "application/pdf": (b"%PDF-",),
}
MEDIA_TYPES: Final = frozenset(_BEGINNINGS)


def require_copy(media_type: str, content: bytes) -> None:
    """Raises `InvalidInput` `document_type_refused` (not one of `MEDIA_TYPES`, or another one inside),
    `document_size_refused`."""
    if not _MIN_COPY <= len(content) <= MAX_COPY:
        raise InvalidInput("document_size_refused", f"want {_MIN_COPY} to {MAX_COPY} bytes")
    if not content.startswith(_BEGINNINGS.get(media_type, ())):
        raise InvalidInput("document_type_refused", "want JPEG, PNG or PDF, and that inside")
