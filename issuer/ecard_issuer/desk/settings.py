"""The agent's settings: `ECARD_DESK_…` of the environment, under the options of the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecard_card.errors import InvalidInput

DEFAULT_PORT: Final = 8429
_PREFIX: Final = "ECARD_DESK_"
_NAMES: Final = frozenset({"PORT", "ORIGINS", "DATA"})
#: A page that came over a network without encryption may be anybody's; this machine's own may be without it.
_ORIGIN: Final = re.compile(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?|http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """Where the agent listens, which pages it answers, and where it remembers their pairings."""

    port: int
    origins: tuple[str, ...]
    data: Path


def load(
    environ: Mapping[str, str],
    *,
    port: int | None = None,
    origins: Sequence[str] = (),
    data: Path | None = None,
) -> DeskSettings:
    """Raises `InvalidInput` `unknown_setting`, `bad_setting`."""
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name[len(_PREFIX) :] not in _NAMES:
            raise InvalidInput("unknown_setting", f"environment variable {name[:60]} is not a setting")
    listed = tuple(origins) or tuple(part.strip() for part in environ.get("ECARD_DESK_ORIGINS", "").split(","))
    return DeskSettings(
        _port(environ.get("ECARD_DESK_PORT", str(DEFAULT_PORT))) if port is None else port,
        _origins(tuple(origin for origin in listed if origin)),
        data or (Path(environ["ECARD_DESK_DATA"]) if "ECARD_DESK_DATA" in environ else _home(environ)),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 0xFFFF):
        raise InvalidInput("bad_setting", "ECARD_DESK_PORT: want a number from 1 to 65535")
    return int(text)


def _origins(listed: tuple[str, ...]) -> tuple[str, ...]:
    for origin in listed:
        if not _ORIGIN.fullmatch(origin):
            raise InvalidInput(
                "bad_setting", "ECARD_DESK_ORIGINS: want exact origins, https://desk.example or http://127.0.0.1:8420"
            )
    return listed


def _home(environ: Mapping[str, str]) -> Path:
    """Where programs of this user keep their state on this system."""
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA", os.path.expanduser("~"))) / "ecard-desk"
    base = environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "ecard-desk"
