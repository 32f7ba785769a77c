"""What a log may say of an exception that nobody foresaw."""

from __future__ import annotations

import traceback


def described(error: BaseException) -> str:
    """Its type and the places in the code it came through. Never its text, which may hold parameters."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
