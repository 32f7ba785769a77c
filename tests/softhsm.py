"""A private SoftHSM2 token in a folder of its own: a real PKCS#11 module, for tests and benchmarks.

SoftHSM reads its configuration when it is initialised, once per process: so one token at a time, named by
`SOFTHSM2_CONF`, and the module is finalised before and after.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecard_keys.homes.hsm_session import Pkcs11Settings
from tests.require import require

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "271828"
SO_PIN = "31415926"

_CHANGE_PIN = """
import sys, pkcs11
session = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2]).open(rw=True, user_pin=sys.argv[3])
session.set_pin(sys.argv[3], sys.argv[4])
"""


def require_softhsm() -> None:
    """Skip the calling test where the Debian package is missing."""
    require(MODULE.exists(), "SoftHSM2", "apt-get install softhsm2")


@dataclass(frozen=True)
class SoftToken:
    """One token, and the accidents that can befall it."""

    folder: Path
    label: str
    slot: int

    def settings(self, pin: str = PIN, prefix: str = "ecard") -> Pkcs11Settings:
        return Pkcs11Settings(MODULE, self.label, pin, prefix)

    def close_all_sessions(self) -> None:
        """As another user of the module in this process would."""
        assert ctypes.CDLL(str(MODULE)).C_CloseAllSessions(ctypes.c_ulong(self.slot)) == 0

    def finalize(self) -> None:
        """C_Finalize, likewise."""
        assert ctypes.CDLL(str(MODULE)).C_Finalize(None) == 0

    def pull(self) -> None:
        """The token disappears, as a card out of its reader."""
        self._tokens.rename(self._elsewhere)
        self._tokens.mkdir()

    def plug(self) -> None:
        """It is there again, with all its keys."""
        self._tokens.rmdir()
        self._elsewhere.rename(self._tokens)

    def change_pin(self, old: str, new: str) -> None:
        """In another process: ours stays logged in."""
        subprocess.run(
            [sys.executable, "-c", _CHANGE_PIN, str(MODULE), self.label, old, new], check=True, capture_output=True
        )

    @property
    def _tokens(self) -> Path:
        return self.folder / "tokens"

    @property
    def _elsewhere(self) -> Path:
        return self.folder / "pulled"


@contextlib.contextmanager
def soft_token(folder: Path, label: str = "ecard-test") -> Iterator[SoftToken]:
    """A fresh token in `folder`; this process and those it starts find it through their environment."""
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n", "utf-8"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    try:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        slot = re.search(r"reassigned to slot (\d+)", said)
        assert slot is not None, said
        _forget()
        yield SoftToken(folder, label, int(slot[1]))
    finally:
        _forget()
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


def _forget() -> None:
    """Whatever this process knew of another token. Fails, harmlessly, where the module was not initialised."""
    ctypes.CDLL(str(MODULE)).C_Finalize(None)
