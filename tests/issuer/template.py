"""An empty register with its schema in place, made once per process: a copy is quicker than a dozen migrations."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from ecard_issuer.config import REGISTER_FILE
from ecard_issuer.migrations import migrate
from ecard_issuer.register import make_engine


def place_register(folder: Path) -> None:
    """Put an empty register where a first start would make one. Does nothing where there is one."""
    target = folder / REGISTER_FILE
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), target)
        target.chmod(0o600)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ecard-register-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = make_engine(f"sqlite:///{folder / REGISTER_FILE}")
    migrate(engine)
    engine.dispose()
    return folder / REGISTER_FILE
