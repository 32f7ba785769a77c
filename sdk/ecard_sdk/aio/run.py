"""What a resource needs of its client: that it makes a call."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ecard_sdk.core.call import Call

T = TypeVar("T")


class AsyncRun(Protocol):
    """Makes a call. Raises an `ECardError`."""

    async def __call__(self, call: Call[T], /) -> T: ...
