"""Regions of GB/T 2260 as six digits: which code covers which region.

Two digits each name the province, the prefecture and the county. A code that ends in pairs of zeros stands for all
below it: `330100` for every 3301xx, `330000` for every 33xxxx, `000000` for the whole country.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ecard_card.errors import InvalidInput

#: The whole country.
EVERYWHERE: Final = "000000"
#: The largest region code as a number.
MAX_REGION: Final = 999_999


def is_region(value: object) -> bool:
    """Whether `value` is a text of six digits 0-9."""
    return type(value) is str and len(value) == 6 and value.isascii() and value.isdigit()


def to_number(region: str) -> int:
    """The six digits as one number, 0 to 999999. Raises `InvalidInput` `bad_region`."""
    if not is_region(region):
        raise InvalidInput("bad_region", "a region is six digits")
    return int(region)


@lru_cache(maxsize=1024)  # the same few pairs in every check
def covers(code: str, region: str) -> bool:
    """Whether who may sign for `code` may sign for `region`; both are six digits, and anything else covers nothing.

    A wildcard covers itself. It takes whole pairs: `331000` is a prefecture, and not all of 331xxx.
    """
    if not is_region(code) or not is_region(region):
        return False
    end = 6
    while end and code[end - 2 : end] == "00":
        end -= 2
    return code[:end] == region[:end]


def span(code: str) -> tuple[str, str]:
    """The least and the greatest of the codes that `code` covers: `330100` gives itself and `330199`."""
    end = 6
    while end and code[end - 2 : end] == "00":
        end -= 2
    return code, code[:end] + "9" * (6 - end)
