"""The issuer's keys: which key signs what now, and what the trust list says of them.

States live in the register, private halves in a `KeyHome`, and root keys wherever the trust board has them: whoever
can ask for credentials cannot add a key to the trust list. Every change of a key is published, or waits for a
ceremony. Who may ask for a change, and when, is the matter of `key_office`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, EcardError, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_issuer.ports import Keys
from ecard_issuer.rows import Grant, SigningKeyRow
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.signer import KeyHome
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustRoot

#: What an issuer signs for the outside.
PURPOSES: Final = (KeyPurpose.CREDENTIAL, KeyPurpose.STATUS, KeyPurpose.EVENT, KeyPurpose.STATEMENT)
#: A new event key signs only this long after its promotion. Until then its predecessor does, which verifiers accept
#: for 60 s more: so the news of the promotion comes under a key that every follower already believes.
EVENT_KEY_LEAD: Final = timedelta(seconds=10)
#: States that the trust list leaves out. A generated key is listed as `next`: the list is what makes it that.
_UNLISTED: Final = frozenset({KeyState.RETIRED, KeyState.DESTROYED})
_PUBLISH_ATTEMPTS: Final = 8
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IssuerIdentity:
    """Who this issuer is to the world: `issuer` is its URL, `regions` the codes (GB/T 2260) it may sign for."""

    issuer: str
    regions: tuple[str, ...]

    @property
    def status_uri(self) -> str:
        """The template of its status lists' addresses."""
        return f"{self.issuer}/status-lists/{{list}}"


class KeyRing:
    """The issuer's keys by purpose, and its entry of the trust list.

    `home` holds the signing keys, `home_of` says what it is called for a new key, `board` makes the list. Times are
    aware UTC. Any verb raises `Unavailable` when the register or a home does not answer.
    """

    def __init__(
        self,
        register: Keys,
        home: KeyHome,
        board: TrustBoard,
        identity: IssuerIdentity,
        *,
        home_of: Callable[[KeyPurpose], str] = lambda purpose: "file",
    ) -> None:
        self.identity = identity
        self.board = board
        self._home_of = home_of
        self._register = register
        self._home = home

    def open(self, now: datetime) -> None:
        """Make what was never there: the first key of each purpose, the first trust list. Repeatable.

        Where a purpose had keys and none is active, people decided so, and a start of a process decides nothing: it
        would put a key in use that nobody agreed to, or fail while the home is away.

        Raises `Conflict` `issuer_changed` when the register belongs to an issuer of another name: credentials in
        circulation name that one, and would all stop verifying.
        """
        rows = self.rows()
        own = {row.public for row in rows}
        latest = self.board.latest()
        for entry in () if latest is None else latest.issuers:
            if entry.issuer != self.identity.issuer and any(key.public in own for key in entry.keys):
                raise Conflict("issuer_changed", f"this register belongs to issuer {entry.issuer}")
        for purpose in PURPOSES:
            if not any(row.purpose == purpose for row in rows):
                self._first_key(purpose, now)
        self.refresh(now)

    def active(self, purpose: KeyPurpose) -> KeyRecord:
        """The key that signs for `purpose` now.

        Raises `NotFound` `no_active_key`; `Unavailable` `key_unpublished` while no trust list names it: what it signed
        would be refused everywhere.
        """
        return record_of(self._signing(purpose))

    def event_key(self, now: datetime) -> KeyRecord:
        """The key that signs events now: the active one, or its predecessor within `EVENT_KEY_LEAD`. Raises as
        `active`."""
        row = self._signing(KeyPurpose.EVENT)
        if row.activated_at is not None and now - row.activated_at < EVENT_KEY_LEAD:
            for old in self.rows([KeyPurpose.EVENT]):
                if old.retired_from == row.activated_at and old.state == KeyState.VERIFY_ONLY:
                    return record_of(old)
        return record_of(row)

    def rows(self, purposes: Collection[KeyPurpose] = PURPOSES) -> tuple[SigningKeyRow, ...]:
        """Every key, whatever its state, in the order of making."""
        rows = self._register.list_keys([purpose.value for purpose in purposes])
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.purpose)))

    def row(self, kid: str) -> SigningKeyRow:
        """The key of that id. Raises `NotFound` `key_unknown`."""
        for row in self.rows():
            if row.kid == kid:
                return row
        raise NotFound("key_unknown", "no key of this issuer has this id")

    def records(self) -> tuple[KeyRecord, ...]:
        """The public records of all keys that were not destroyed, in the order of making."""
        return tuple(record_of(row) for row in self.rows() if row.state != KeyState.DESTROYED)

    def create_next(self, purpose: KeyPurpose, now: datetime) -> KeyRecord:
        """Make a key that may not sign yet, and publish it, so that verifiers learn it before it does.

        Where the roots are offline it stays `generated` until a ceremony has signed a list that names it. Raises
        `InvalidInput` `bad_key_purpose` for a purpose that issuers do not have, `Conflict` `next_key_exists`.
        """
        if purpose not in PURPOSES:
            raise InvalidInput("bad_key_purpose", "an issuer has keys for credential, status, event and statement")
        waiting = (KeyState.GENERATED, KeyState.NEXT)
        if any(row.state in waiting for row in self.rows([purpose])):
            raise Conflict("next_key_exists", "promote the waiting key of this purpose first")
        row = self.generate(purpose, KeyState.GENERATED, now)
        self.publish(now)
        return record_of(self.row(row.kid))

    def generate(self, purpose: KeyPurpose, state: KeyState, now: datetime) -> SigningKeyRow:
        """Make a key in the home and enter it into the register in `state`; publishes nothing.

        A key that the register refuses is destroyed in the home again, so that none lies about that nobody knows of.
        """
        kid = self._home.create(purpose, now)
        try:
            row = self._described(kid, purpose, state, now)
            self._register.add_key(row)
        except EcardError as error:
            if error.code != "outcome_unknown":  # else the register may have it
                self._forget(kid)
            raise
        return row

    def promote(self, kid: str, now: datetime, *, grant: Grant | None = None) -> KeyRecord:
        """`next` becomes `active`, and the key that was active signs no more; both in one moment.

        Raises `NotFound` `key_unknown`, `RuleViolation` `key_change_impossible`, `key_not_held`, `approval_not_usable`.
        """
        row = self.row(kid)
        if row.state == KeyState.NEXT and not self.holds(row):
            raise RuleViolation("key_not_held", "the home does not hold this key; its predecessor goes on signing")
        row = self._register.activate_key(row.purpose, kid, now, grant=grant)
        self.publish(now)
        return record_of(row)

    def holds(self, row: SigningKeyRow) -> bool:
        """Whether the home has just this key. Raises what the home raises while it is away."""
        try:
            return self._home.public_key(row.kid) == row.public
        except NotFound:
            return False

    def publish(self, now: datetime) -> bool:
        """Have the trust list say what the register says. False where it waits for a ceremony."""
        for _ in range(_PUBLISH_ATTEMPTS):
            entry = self.entry()
            if not self.board.publish(entry, self._named(), now):
                return False
            if entry == self.entry():
                break  # else another process changed a key meanwhile, and may have published that before we did this
        return True

    def refresh(self, now: datetime) -> bool:
        """Publish anew when the trust list is past half of its life or says less than the register; True if so.

        The second is what a crash between a key's change and its publishing leaves behind.
        """
        return self.board.refresh(self.entry(), self._named(), now)

    def entry(self) -> IssuerEntry:
        """What the trust list shall say of this issuer."""
        keys = tuple(record_of(row) for row in self.rows() if row.state not in _UNLISTED)
        return IssuerEntry(self.identity.issuer, self.identity.status_uri, self.identity.regions, keys)

    def document(self) -> bytes:
        """The newest trust list as signed. Raises `NotFound` `no_trust_list` before the first."""
        return self.board.document()

    def trust(self, now: datetime) -> Trust:
        """The newest list as a verifier reads it."""
        return self.board.trust(now)

    def root(self) -> TrustRoot:
        """The root that signs lists now."""
        return self.board.root()

    def _signing(self, purpose: KeyPurpose) -> SigningKeyRow:
        for row in self.rows([purpose]):
            if row.state == KeyState.ACTIVE:
                if row.published_at is None:
                    raise Unavailable("key_unpublished", f"no trust list names the key for {purpose.value} yet")
                return row
        raise NotFound("no_active_key", f"no key is active for {purpose.value}")

    def _named(self) -> set[tuple[str, str]]:
        return {(row.purpose, row.kid) for row in self.rows() if row.state not in _UNLISTED}

    def _first_key(self, purpose: KeyPurpose, now: datetime) -> None:
        try:
            self.generate(purpose, KeyState.ACTIVE, now)
        except Conflict as conflict:
            if conflict.code != "key_already_active":  # another process was faster, and its key is the one
                raise

    def _described(self, kid: str, purpose: KeyPurpose, state: KeyState, now: datetime) -> SigningKeyRow:
        held = next((key for key in self._home.held() if key.key_id == kid), None)
        if held is None:
            raise Unavailable("key_home_unavailable", "the home does not show the key that it has just made")
        return SigningKeyRow(
            purpose=purpose.value,
            kid=kid,
            state=state.value,
            public=held.public,
            algorithm=held.algorithm,
            user_id=held.user_id,
            home=self._home_of(purpose),
            created_at=now,
            activated_at=now if state is KeyState.ACTIVE else None,
        )

    def _forget(self, kid: str) -> None:
        try:
            self._home.destroy(kid)
        except EcardError as error:
            _log.warning("key %s was made, is in no register, and could not be destroyed: %s", kid, error)


def record_of(row: SigningKeyRow) -> KeyRecord:
    """The public record of a stored key, as the next trust list shall have it: a key just made is listed as `next`.

    Before its promotion a key's life starts when it was made.
    """
    start = row.activated_at or row.created_at
    return KeyRecord(
        kid=row.kid,
        purpose=KeyPurpose(row.purpose),
        state=KeyState.NEXT if row.state == KeyState.GENERATED else KeyState(row.state),
        algorithm=row.algorithm,
        public=row.public,
        not_before=int(start.timestamp()),
        retired_from=None if row.retired_from is None else int(row.retired_from.timestamp()),
        compromised_from=None if row.compromised_from is None else int(row.compromised_from.timestamp()),
        user_id=row.user_id,
    )
