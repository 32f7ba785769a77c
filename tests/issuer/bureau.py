"""A key office with everything around it that is real: register, key file, roots or a ceremony, four eyes, a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ecard_card.errors import Unavailable
from ecard_issuer.approvals import Approvals
from ecard_issuer.foresight import Foresight
from ecard_issuer.key_lives import KeyLives
from ecard_issuer.key_office import KeyOffice
from ecard_issuer.keyring import IssuerIdentity, KeyRing
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.rows import ApprovalRow
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.key import KeyPurpose
from ecard_keys.rotation import RotationRules
from ecard_keys.signer import HeldKey
from ecard_keys.trust import trust_list
from ecard_keys.trust.root_home import RootHome
from tests.contracts.register_world import World
from tests.issuer.service import Clock
from tests.issuer.template import place_register
from tests.root_holders import Holder, root_of, sign_list

PASSPHRASE = b"only for tests"
DAY = timedelta(days=1)
RULES = RotationRules(DAY, 365 * DAY, DAY, 30 * DAY)


class LeavingHome(FileKeyHome):
    """A key file that can be taken away."""

    away = False

    def held(self) -> tuple[HeldKey, ...]:
        self._be_there()
        return super().held()

    def create(self, purpose: KeyPurpose, now: object) -> str:
        self._be_there()
        return super().create(purpose, now)  # type: ignore[arg-type]

    def destroy(self, key_id: str) -> None:
        self._be_there()
        super().destroy(key_id)

    def _be_there(self) -> None:
        if self.away:
            raise Unavailable("key_home_unavailable", "taken away by a test")


@dataclass
class Bureau:
    """Open it on a folder. Keys of all three purposes are active; with `offline` roots only after a `ceremony`."""

    register: SqlRegister
    home: LeavingHome
    board: TrustBoard
    ring: KeyRing
    approvals: Approvals
    office: KeyOffice
    clock: Clock
    world: World
    holders: Sequence[Holder] = field(repr=False)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        offline: bool = False,
        needed: int = 0,
        rules: RotationRules = RULES,
        clock: Clock | None = None,
    ) -> Bureau:
        clock = clock or Clock()
        register = SqlRegister(make_engine(place_register(folder)))
        home = LeavingHome(folder / "keys.json", PASSPHRASE)
        holders: list[Holder] = [Holder() for _ in range(3)] if offline else []
        if offline:
            roots, pinned = None, root_of(holders)
        else:
            roots = RootKeys(RootHome(folder / "roots.json", PASSPHRASE, create=True))
            roots.open(clock())
            pinned = roots.root()
        board = TrustBoard([register], roots, pinned, life=rules.list_life, on_publish=lambda: None)
        ring = KeyRing(register, home, board, IssuerIdentity("https://issuer.example", ("000000",)))
        ring.open(clock())
        lives = KeyLives(register, ring, rules)
        approvals = Approvals(register, needed=needed)
        office = KeyOffice(ring, register, home, approvals, lives, Foresight(ring, home, lives, needed))
        return cls(register, home, board, ring, approvals, office, clock, World(register), holders)

    def active(self, purpose: KeyPurpose = KeyPurpose.CREDENTIAL) -> str:
        return self.ring.active(purpose).kid

    def state(self, kid: str) -> str:
        return self.ring.row(kid).state

    def ceremony(self) -> None:
        """Two of the holders sign what the register says, and the board takes it."""
        content = self.board.draft([self.ring.entry()], self.clock())
        self.board.accept(sign_list(trust_list.draft(content), self.holders[:2]), self.clock(), grant=None)

    def agree(self, by: str = "second admin") -> ApprovalRow:
        """Another person agrees to the one request that waits."""
        (request,) = [row for row in self.approvals.list(self.clock()) if row.state == "pending"]
        return self.approvals.decide(request.request_id, by, approve=True, now=self.clock())
