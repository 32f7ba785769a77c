"""Deterministic CBOR (RFC 8949 §4.2.1), the small part of it that cards, codes and lists are made of.

Allowed: integers of 64 bits, byte strings, text, booleans, null, arrays, and maps keyed by integers or text. No
tags (COSE adds its one tag itself), no floating point: a tag decoder is code that a stranger's bytes would run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import cbor2

from ecard_card.errors import InvalidInput

_LEAVES: Final = frozenset({int, bytes, str, bool, type(None)})
_MAX_ENCODE_DEPTH: Final = 16


def encode(value: object) -> bytes:
    """The one deterministic encoding of `value`: shortest lengths, map keys in bytewise order of their encoding.

    Raises `InvalidInput` `bad_cbor` for a type or an integer that the allowed part of CBOR does not have.
    """
    try:
        return cbor2.dumps(_ordered(value, _MAX_ENCODE_DEPTH))
    except UnicodeEncodeError:
        raise InvalidInput("bad_cbor", "text holds half of a surrogate pair") from None


def decode(data: bytes, *, limit: int = 65536, max_depth: int = 8) -> object:
    """The value of `data`, at most `limit` bytes and `max_depth` containers deep. Arrays become lists.

    Raises `InvalidInput` `bad_cbor` unless `data` is exactly what `encode` would have written: trailing bytes,
    duplicate keys, indefinite lengths, long forms, tags, floats and unordered maps are all refused.
    """
    if type(data) is not bytes or len(data) > limit:
        raise InvalidInput("bad_cbor", "not bytes, or more of them than allowed")
    try:
        value: object = cbor2.loads(
            data,
            max_depth=max_depth,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NO_TAGS,
        )
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidInput("bad_cbor", "not well-formed, too deep, tagged, indefinite or with a key twice") from None
    _check_order(value, [_MAX_CONTAINERS])
    # What is left to differ after the order of keys: forms longer than needed, and bytes after the end.
    if cbor2.dumps(value) != data:
        raise InvalidInput("bad_cbor", "not the deterministic encoding")
    return value


#: One unsigned integer in its only deterministic spelling, as a pattern: a fixed set of claims is one such pattern,
#: read ten times faster than a map. `uint` gives its value.
UINT32: Final = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19(?!\x00)..|\x1a(?!\x00\x00)....)"
UINT64: Final = UINT32[:-1] + rb"|\x1b(?!\x00\x00\x00\x00)........)"


def uint(encoded: bytes) -> int:
    """The value of an integer that `UINT32` or `UINT64` has matched (with `re.DOTALL`)."""
    return int.from_bytes(encoded[1:], "big") if len(encoded) > 1 else encoded[0]


def _refuse_tag(value: object, immutable: bool) -> NoReturn:
    raise ValueError("no tags here")


class _NoTags(dict[int, Callable[[object, bool], NoReturn]]):
    """Answers every tag with a refusal, so that none of the library's own tag decoders ever runs."""

    def __missing__(self, tag: int) -> Callable[[object, bool], NoReturn]:
        return _refuse_tag


_NO_TAGS: Final = _NoTags()
_MAX_CONTAINERS: Final = 256


def _order(key: object) -> tuple[int, int, bytes]:
    """Sorts keys as their encodings sort: by major type, then by argument, then by content."""
    if type(key) is int:
        return (0, key, b"") if key >= 0 else (1, -key, b"")
    if type(key) is str:
        text = key.encode()
        return (3, len(text), text)
    raise InvalidInput("bad_cbor", "a map key is neither integer nor text")


def _ordered(value: object, depth: int) -> object:
    if depth < 0:
        raise InvalidInput("bad_cbor", "nested too deeply")
    kind = type(value)
    if kind is int:
        if not -(1 << 64) <= value < 1 << 64:  # type: ignore[operator]
            raise InvalidInput("bad_cbor", "an integer of more than 64 bits")
        return value
    if kind in _LEAVES:
        return value
    if isinstance(value, dict):
        return {_ordered(key, depth): _ordered(value[key], depth - 1) for key in sorted(value, key=_order)}
    if isinstance(value, list | tuple):
        return [_ordered(item, depth - 1) for item in value]
    raise InvalidInput("bad_cbor", "a type outside the allowed part of CBOR")


def _check_order(value: object, budget: list[int]) -> None:
    """Refuses unordered maps, foreign types, and more containers than `budget` has left.

    One pass, written for speed. The budget bounds it: half a megabyte of empty arrays is half a million of them.
    """
    kind = type(value)
    if kind in _LEAVES:
        return
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidInput("bad_cbor", "more arrays and maps than any message of ours")
    if kind is dict:
        last = -1
        texts: tuple[int, int, bytes] | None = None
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is int and texts is None:
                rank = key if key >= 0 else (1 << 64) - key
                if rank <= last:
                    raise InvalidInput("bad_cbor", "map keys out of order")
                last = rank
            else:
                order = _order(key)
                if texts is not None and order <= texts:
                    raise InvalidInput("bad_cbor", "map keys out of order")
                texts = order
            if type(item) not in _LEAVES:
                _check_order(item, budget)
    elif kind is list:
        for item in value:  # type: ignore[attr-defined]
            if type(item) not in _LEAVES:
                _check_order(item, budget)
    else:
        raise InvalidInput("bad_cbor", "a type outside the allowed part of CBOR")
