"""The port to a chip: one verb."""

from __future__ import annotations

from typing import Protocol

#: Short APDUs only (ISO 7816-4 §5.1): an answer is at most 256 bytes and its status word.
MAX_ANSWER = 258


class ChipReader(Protocol):
    """A powered chip at the end of a wire.

    An adapter promises that
    - `transceive` sends the bytes exactly as given, once, and returns data and the two status bytes as they came:
      no following of `61xx`, no repeat after `6Cxx`, no interpretation;
    - it returns or raises within the adapter's own deadline: a mute chip never blocks its caller;
    - no other program's command comes between two commands of one reader object;
    - it raises nothing but `ChipFault`: `chip_removed` (pulled; this object is used up), `chip_mute` (powered but
      silent past the deadline; used up), `reader_unavailable` (reader or its service fails, or used up),
      `reader_missing` (no reader of that name).

    It does not promise that the answer comes from a chip, or is well-formed: callers treat it as hostile.
    """

    @property
    def atr(self) -> bytes:
        """The complete answer to reset, TS to the last byte, as the reader gave it."""
        ...

    def transceive(self, command: bytes) -> bytes:
        """One command APDU (4 to 261 bytes) in, response data and SW1 SW2 out."""
        ...
