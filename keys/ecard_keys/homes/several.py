"""Several homes of keys as one: new keys are made in the first, old ones go on signing wherever they are.

Moving from a file to Vault or a token is then one rotation, and no key ever travels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from ecard_card.errors import NotFound, Unavailable
from ecard_keys.key import KeyPurpose
from ecard_keys.signer import HeldKey, KeyHome

T = TypeVar("T")

_CREATE_ATTEMPTS = 8


class Homes:
    """A `KeyHome` made of `primary` and `others`; where two hold a key with one id, the earlier one named counts.

    New keys are made in `primary`, those of a purpose in `made_in` in the home named there, one of `others`.

    A home that is away hides no key of another: what it held when last seen is remembered as long as this object
    lives. Calls for one of its keys raise its own `Unavailable`, and so do calls for a key that no home knows, because
    the one that is away might. Every method raises what the homes raise.
    """

    def __init__(self, primary: KeyHome, *others: KeyHome, made_in: Mapping[KeyPurpose, KeyHome] | None = None) -> None:
        self._homes = (primary, *others)
        self._made_in = {purpose: self._homes.index(home) for purpose, home in (made_in or {}).items()}
        self._known: dict[int, tuple[HeldKey, ...]] = {}  # what each held when last seen, by its place
        self._places: dict[str, int] = {}  # where a key was met

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`: by the home that holds the key."""
        return self._ask(key_id, lambda home: home.sign(key_id, messages))

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a key in the home for its purpose, with an id that no other home uses.

        Raises the `Unavailable` of a home that is away and was never seen: who asks for a new key may be replacing
        one that merely cannot be shown.
        """
        here = self._made_in.get(purpose, 0)
        taken = {key.key_id for place in range(len(self._homes)) if place != here for key in self._look(place)}
        for _ in range(_CREATE_ATTEMPTS):
            key_id = self._homes[here].create(purpose, now)
            if key_id not in taken:
                self._places[key_id] = here
                return key_id
            self._homes[here].destroy(key_id)  # 32 bits: rare, but an id means one key
        raise Unavailable("key_home_unavailable", "the home makes keys whose ids are taken")

    def public_key(self, key_id: str) -> bytes:
        """See `KeyHome.public_key`."""
        return self._ask(key_id, lambda home: home.public_key(key_id))

    def held(self) -> tuple[HeldKey, ...]:
        """The keys of all homes, oldest first; of a home that is away, those it held when last seen.

        Raises `Unavailable` only when nothing is known of any home: an answer does not mean that `create` would work.
        """
        found: dict[str, HeldKey] = {}
        failures = []
        for place in range(len(self._homes)):
            try:
                for key in self._look(place):
                    found.setdefault(key.key_id, key)
            except Unavailable as failure:
                failures.append(failure)
        if len(failures) == len(self._homes):
            raise failures[0]
        return tuple(sorted(found.values(), key=lambda key: (key.created_at, key.key_id)))

    def destroy(self, key_id: str) -> None:
        """See `KeyHome.destroy`: in the home that holds the key."""
        self._ask(key_id, lambda home: home.destroy(key_id))
        place = self._places.pop(key_id, None)
        if place in self._known:
            self._known[place] = tuple(key for key in self._known[place] if key.key_id != key_id)

    def _look(self, place: int) -> tuple[HeldKey, ...]:
        """What a home holds, or held when last seen. Raises its `Unavailable` if it never was."""
        try:
            keys = self._homes[place].held()
        except Unavailable:
            if place not in self._known:
                raise
            return self._known[place]
        self._known[place] = keys
        self._places.update({key.key_id: place for key in keys if self._places.get(key.key_id, place) >= place})
        return keys

    def _ask(self, key_id: str, act: Callable[[KeyHome], T]) -> T:
        """`act` on the home that holds the key: the one where it was met, then each in turn."""
        met = self._places.get(key_id)
        failure: Unavailable | None = None
        for place in sorted(range(len(self._homes)), key=lambda place: place != met):
            try:
                done = act(self._homes[place])
            except NotFound:
                if place == met:
                    self._places.pop(key_id, None)
            except Unavailable as away:
                if place == met:
                    raise
                failure = failure or away
            else:
                self._places[key_id] = place
                return done
        raise failure or NotFound("key_unknown", "none of the homes holds such a key")
