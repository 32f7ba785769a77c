"""Issuers that publish, for a verifier to fetch from: real keys, lists and deltas, no server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ecard_card.errors import NotFound, Unavailable
from ecard_card.status import EcardStatus
from ecard_card.status_delta import FIRST, StatusDelta, digest_of
from ecard_keys.trust.root import TrustRoot
from ecard_keys.trust.trust_list import TrustList
from ecard_verifier.bundle import make_bundle
from tests.verifier.delta_kit import signed
from tests.world import World, seconds

START = 100  # events that the first lists know of


@dataclass
class Issuer:
    """A `PublishedSource`: its lists as of now, and the deltas that were made. Counts what it is asked."""

    world: World
    clock: Callable[[], datetime]
    trust_list: TrustList | None = None
    lists: tuple[int, ...] = (1,)
    values: dict[int, EcardStatus] = field(default_factory=dict)
    deltas: list[tuple[StatusDelta, str]] = field(default_factory=list)
    away: bool = False
    kept_from: int = 1
    asked: list[str] = field(default_factory=list)
    trust_document: bytes | None = None

    @property
    def root(self) -> TrustRoot:
        return self.world.root

    def bundle(self) -> bytes:
        self._asked("bundle")
        position = self.deltas[-1][0].upto if self.deltas else START
        tokens = [
            self.world.status_token(self.values, list_id=number, position=position, issued_at=self.clock())
            for number in self.lists
        ]
        document = self.trust_document or self.world.trust_document(self.trust_list)
        return make_bundle(self.world.root, document, tokens, made_at=self.clock())

    def deltas_since(self, number: int) -> list[str]:
        self._asked("deltas")
        if self.deltas and number + 1 < self.kept_from:
            raise NotFound("status_delta_gone", "gone")
        return [token for delta, token in self.deltas if delta.number > number]

    def deltas_from(self, position: int) -> list[str]:
        self._asked("deltas")
        found = [token for delta, token in self.deltas if delta.upto >= position and delta.number >= self.kept_from]
        if found or not self.deltas:
            return found
        raise NotFound("status_delta_gone", "gone")

    def change(self, index: int, value: EcardStatus, *, trust_list: int = 1) -> str:
        """One entry of list 1 changes, and a delta says so."""
        self.values[index] = value
        last = self.deltas[-1] if self.deltas else None
        after = last[0].upto if last else START
        now = seconds(self.clock())
        delta = StatusDelta(
            issuer=self.world.issuer,
            issued_at=now,
            expires_at=now + 86_400,
            number=len(self.deltas) + 1,
            after=after,
            upto=after + 1,
            previous=digest_of(last[1].rpartition(".")[0].encode()) if last else FIRST,
            as_of=now,
            trust_list=trust_list,
            changes=((1, index, int(value)),),
        )
        token = signed(delta, self.world.status_key)
        self.deltas.append((delta, token))
        return token

    def _asked(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise Unavailable("published_unavailable", "away")
