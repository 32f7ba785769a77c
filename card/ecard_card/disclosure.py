"""Disclosures of an SD-JWT and the processing of a payload with them (RFC 9901 §4.2 and §7.1).

A payload carries digests; a disclosure is the text behind one digest. Objects hide claims under `_sd`, arrays hide
elements as `{"...": digest}`, and what is disclosed may hide more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ecard_card import jose
from ecard_card.errors import InvalidInput

#: How deep objects, arrays and the disclosures within them may nest, taken together.
MAX_DEPTH: Final = 16
#: More disclosures than this are no card.
MAX_DISCLOSURES: Final = 128

_RESERVED: Final = frozenset({"_sd", "..."})
_TEXT: Final = frozenset({str})
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


def digest(disclosure: str) -> str:
    """base64url of SHA-256 over the encoded disclosure (RFC 9901 §4.2.3)."""
    return jose.b64url_encode(hashlib.sha256(disclosure.encode()).digest())


def encode(salt: bytes, name: str, value: object) -> str:
    """The disclosure of an object property (RFC 9901 §4.2.1)."""
    return jose.b64url_encode(jose.dump_json([jose.b64url_encode(salt), name, value]))


def hides_only_at_the_top(payload: Mapping[str, object], text: bytes) -> bool:
    """Whether the JSON `text` that `payload` was read from can hold no digest below its top level.

    Most credentials are so, and then nothing below the top has to be walked. An escape could spell a name otherwise,
    so a text with one is walked.
    """
    return b"\\" not in text and b'"..."' not in text and text.count(b'"_sd"') == ("_sd" in payload)


def process(
    payload: dict[str, object], disclosures: Iterable[str], *, only_at_the_top: bool = False
) -> dict[str, object]:
    """The processed payload of RFC 9901 §7.1: disclosed claims merged in, every digest and `_sd_alg` removed.

    `only_at_the_top` is what `hides_only_at_the_top` says of the payload; it saves a walk and changes no result.

    Raises `InvalidInput` `bad_sd_jwt` for a hash other than SHA-256, a malformed, repeated or unreferenced
    disclosure, a digest that stands in two places, a reserved name or one that exists already, and too much nesting.
    """
    if payload.get("_sd_alg", "sha-256") != "sha-256":
        raise InvalidInput("bad_sd_jwt", "the hash algorithm is not sha-256")
    merging = _Merging(_read(disclosures))
    processed = merging.claims(payload, MAX_DEPTH, flat=only_at_the_top)
    if merging.open:
        raise InvalidInput("bad_sd_jwt", "a disclosure that no digest refers to")
    processed.pop("_sd_alg", None)
    return processed


def select(payload: dict[str, object], disclosures: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Those disclosures that show the claims called `names` with all below them, in the order given.

    Raises `InvalidInput` `claim_not_available` where a name is neither disclosable nor in the open.
    """
    disclosures = tuple(disclosures)
    process(payload, disclosures)  # whatever is malformed is refused before anything is shown
    selecting = _Selecting(_read(disclosures), frozenset(names))
    selecting.walk(payload, chosen=False)
    if selecting.names - selecting.found:
        raise InvalidInput("claim_not_available", "the credential has no such claim, or it lies inside a hidden one")
    return tuple(item for item in disclosures if item in selecting.kept)


class _Disclosure(NamedTuple):
    text: str
    parts: list[object]  # [salt, name, value], or [salt, value] for an array element


def _read(disclosures: Iterable[str]) -> dict[str, _Disclosure]:
    """The disclosures by their digests."""
    found: dict[str, _Disclosure] = {}
    for count, text in enumerate(disclosures):
        if count >= MAX_DISCLOSURES:
            raise InvalidInput("bad_sd_jwt", "too many disclosures")
        try:
            parts = jose.parse_json(jose.b64url_decode(text), max_depth=MAX_DEPTH)
        except InvalidInput as error:
            raise InvalidInput("bad_sd_jwt", error.detail) from None
        if type(parts) is not list or not 2 <= len(parts) <= 3 or type(parts[0]) is not str:
            raise InvalidInput("bad_sd_jwt", "a disclosure is not [salt, name, value] or [salt, value]")
        key = digest(text)
        if key in found:
            raise InvalidInput("bad_sd_jwt", "a disclosure twice")
        found[key] = _Disclosure(text, parts)
    return found


class _Merging:
    """One walk over a payload. `open` holds the disclosures that no digest has referred to so far."""

    def __init__(self, disclosures: dict[str, _Disclosure]) -> None:
        self.open = disclosures
        self._seen: set[str] = set()

    def claims(self, source: dict[str, object], depth: int, *, flat: bool = False) -> dict[str, object]:
        if depth < 0:
            raise InvalidInput("bad_sd_jwt", "nested too deeply")
        if "..." in source:
            raise InvalidInput("bad_sd_jwt", "the name ... outside of an array")
        merged = {
            name: value if flat or type(value) in _LEAVES else self._value(value, depth)
            for name, value in source.items()
            if name != "_sd"
        }
        if "_sd" in source:
            for hidden in self._take(_digests(source["_sd"])):
                if len(hidden.parts) != 3:
                    raise InvalidInput("bad_sd_jwt", "an array element disclosed as a claim")
                name = hidden.parts[1]
                if type(name) is not str or name in _RESERVED or name in merged:
                    raise InvalidInput("bad_sd_jwt", "a disclosed claim has a reserved name, or one that exists")
                merged[name] = self._value(hidden.parts[2], depth)
        return merged

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, dict):
            return self.claims(value, depth - 1)
        if isinstance(value, list):
            return self._elements(value, depth - 1)
        return value

    def _elements(self, source: list[object], depth: int) -> list[object]:
        if depth < 0:
            raise InvalidInput("bad_sd_jwt", "nested too deeply")
        merged: list[object] = []
        for item in source:
            if type(item) in _LEAVES:
                merged.append(item)
                continue
            reference = _element_digest(item)
            if reference is None:
                merged.append(self._value(item, depth))
                continue
            for hidden in self._take([reference]):
                if len(hidden.parts) != 2:
                    raise InvalidInput("bad_sd_jwt", "a claim disclosed as an array element")
                merged.append(self._value(hidden.parts[1], depth))
        return merged

    def _take(self, digests: list[str]) -> list[_Disclosure]:
        """The disclosures behind `digests`; a digest without one is a decoy or stays hidden."""
        distinct = set(digests)
        if len(distinct) != len(digests) or not distinct.isdisjoint(self._seen):
            raise InvalidInput("bad_sd_jwt", "a digest in two places")
        self._seen |= distinct
        return [self.open.pop(key) for key in digests if key in self.open]


@dataclass(slots=True)
class _Selecting:
    """One walk that chooses disclosures. `process` has bounded the nesting and the references before."""

    disclosures: dict[str, _Disclosure]
    names: frozenset[str]
    found: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)

    def walk(self, value: object, *, chosen: bool) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                if name != "_sd":
                    self.walk(item, chosen=self._choose(name, chosen))
            for key in value.get("_sd", ()):
                hidden = self.disclosures.get(key)
                if hidden is not None and self._choose(str(hidden.parts[1]), chosen):
                    self.kept.add(hidden.text)
                    self.walk(hidden.parts[2], chosen=True)
        elif isinstance(value, list):
            for item in value:
                reference = _element_digest(item)
                if reference is None:
                    self.walk(item, chosen=chosen)
                elif chosen and reference in self.disclosures:
                    self.kept.add(self.disclosures[reference].text)
                    self.walk(self.disclosures[reference].parts[1], chosen=True)

    def _choose(self, name: str, chosen: bool) -> bool:
        if name in self.names:
            self.found.add(name)
            return True
        return chosen


def _digests(value: object) -> list[str]:
    if not isinstance(value, list) or not set(map(type, value)) <= _TEXT:
        raise InvalidInput("bad_sd_jwt", "_sd is not a list of digests")
    return value


def _element_digest(item: object) -> str | None:
    """The digest of an array element that stands for a hidden one."""
    if isinstance(item, dict) and len(item) == 1 and "..." in item:
        reference = item["..."]
        if type(reference) is not str:
            raise InvalidInput("bad_sd_jwt", "a hidden array element without a digest")
        return reference
    return None
