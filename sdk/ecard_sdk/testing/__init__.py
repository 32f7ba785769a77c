"""For the tests of whoever embeds the SDK: `FakeECard`, an authority in memory that refuses what the real one refuses.

`ecard mock` is the real application instead, over HTTP, for trying things by hand.
"""

from ecard_sdk.testing.fake import FakeECard

__all__ = ["FakeECard"]
