"""What a first start makes at some cost, made once per process: a register with its schema, keys of a passphrase."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from ecard_issuer.config import REGISTER_FILE
from ecard_issuer.data_dir import PASSPHRASE_FILE
from ecard_issuer.migrations import migrate
from ecard_issuer.register import make_engine


def place_register(folder: Path, name: str = REGISTER_FILE) -> str:
    """Put an empty register where a first start would make one, and say its URL. Leaves one that is there."""
    target = folder / name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), target)
        target.chmod(0o600)
    return f"sqlite:///{target}"


def place_passphrase(folder: Path) -> None:
    """Put the passphrase of the key files where a first start would make one: all are opened with the same work."""
    target = folder / PASSPHRASE_FILE
    if not target.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(0o600)
        target.write_text("only for tests, in a temporary folder\n")


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ecard-register-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = make_engine(f"sqlite:///{folder / REGISTER_FILE}")
    migrate(engine)
    engine.dispose()  # the last connection folds the write-ahead log into the file
    return folder / REGISTER_FILE
