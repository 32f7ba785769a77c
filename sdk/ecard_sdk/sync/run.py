# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""What a resource needs of its client: that it makes a call."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ecard_sdk.core.call import Call

T = TypeVar("T")


class Run(Protocol):
    """Makes a call. Raises an `ECardError`."""

    def __call__(self, call: Call[T], /) -> T: ...
