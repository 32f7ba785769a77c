"""What every test shares."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from itertools import cycle
from pathlib import Path
from secrets import token_bytes

import pytest

from ecard_keys.homes import encrypted_file

pytest_plugins = ["tests.postgres", "tests.openbao"]

#: Where temporary folders go if nobody says otherwise: memory, if it is roomy and programs may run from it. Every
#: commit and every key file waits for the disk, ten thousands of times, and no test pulls the plug.
_MEMORY, _ROOM = "/dev/shm", 4 << 30
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK):
    _found = os.statvfs(_MEMORY)
    if _found.f_bavail * _found.f_frsize >= _ROOM and not _found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY

#: A key file says how much work opens it: the files of tests ask for half of what others do, and once in a process.
#: New ones take turns with a few salts, so that one passphrase is stretched a few times and not for each of them.
encrypted_file.SCRYPT_N = 1 << 14
encrypted_file._Kdf.derive = cache(encrypted_file._Kdf.derive)  # type: ignore[method-assign]
_salts = cycle([token_bytes(16) for _ in range(4)])
_new_kdf = encrypted_file._new_kdf
encrypted_file._new_kdf = lambda random: _new_kdf((lambda _size: next(_salts)) if random is token_bytes else random)

#: Files that take longest, the longest first: one that a worker began last would keep the others waiting for it.
LONGEST = (
    "issuer/cli/test_one_server.py",
    "issuer/web/test_fuzz.py",
    "journeys/test_keys_guide.py",
    "journeys/counter/test_looks.py",
    "journeys/channels/test_component.py",
    "faults/test_status_out_chaos.py",
    "faults/test_issuing_crash.py",
    "faults/test_key_homes.py",
)

#: Tests that count something say so by `record_property(COUNTS, ...)`; the run ends with these lines.
COUNTS = "counts"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names cases by position where their value is bytes or long: keys are random, and workers must agree on names."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 60) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others as they were."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    assert all(path.exists() for path in place), "a file of LONGEST has another name now"
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The counts that tests recorded, whichever worker ran them."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == COUNTS:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
