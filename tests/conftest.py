"""What every test shares."""

from __future__ import annotations

pytest_plugins = ["tests.postgres"]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names cases by position where their value is bytes or long: keys are random, and workers must agree on names."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 60) else None
