"""Digits that tests type."""

from __future__ import annotations

from typing import Final

from ecard_issuer.pins.secret import Secret

INITIAL: Final = Secret("123456")
FIRST: Final = Secret("739184")
SECOND: Final = Secret("402857")
WRONG: Final = Secret("864209")
