"""What every test shares."""

from __future__ import annotations

from functools import cache

import pytest

from ecard_keys.homes import encrypted_file

pytest_plugins = ["tests.postgres", "tests.openbao"]

#: A key file says how much work opens it: the files of tests ask for half of what others do, and once in a process.
encrypted_file.SCRYPT_N = 1 << 14
encrypted_file._Kdf.derive = cache(encrypted_file._Kdf.derive)  # type: ignore[method-assign]

#: Tests that count something say so by `record_property(COUNTS, ...)`; the run ends with these lines.
COUNTS = "counts"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names cases by position where their value is bytes or long: keys are random, and workers must agree on names."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 60) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The counts that tests recorded, whichever worker ran them."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == COUNTS:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
