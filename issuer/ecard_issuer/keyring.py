"""The issuer's keys: which key signs what, and the trust list that tells verifiers so.

States live in the register, private halves in a `KeyHome`, and root keys in a home of their own: whoever can ask for
credentials cannot add a key to the trust list. Every change of a key publishes the next version of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_issuer.ports import Keys
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.rows import SigningKeyRow, TrustListRow
from ecard_keys import trust_list
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.signer import KeyHome
from ecard_keys.trust import Trust
from ecard_keys.trust_list import IssuerEntry, TrustList, TrustRoot

#: What an issuer signs for the outside.
PURPOSES: Final = (KeyPurpose.CREDENTIAL, KeyPurpose.STATUS, KeyPurpose.EVENT)
#: A new event key signs only this long after its promotion. Until then its predecessor does, which verifiers accept
#: for 60 s more: so the news of the promotion comes under a key that every follower already believes.
EVENT_KEY_LEAD: Final = timedelta(seconds=10)
_PUBLISH_ATTEMPTS: Final = 8


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
    """The issuer's keys by purpose, and the publishing of the trust list.

    `home` holds the signing keys; `on_publish` is called after each new trust list. Times are aware UTC. Any verb
    raises `Unavailable` when the register or a home does not answer.
    """

    def __init__(
        self,
        register: Keys,
        home: KeyHome,
        roots: RootKeys,
        identity: IssuerIdentity,
        *,
        trust_days: int = 30,
        home_name: str = "file",
        on_publish: Callable[[], None] = lambda: None,
    ) -> None:
        self.identity = identity
        self._register = register
        self._home = home
        self._roots = roots
        self._life = timedelta(days=trust_days)
        self._home_name = home_name
        self._on_publish = on_publish

    def open(self, now: datetime) -> None:
        """Make what is missing: root keys, one active key per purpose, the first trust list. Repeatable.

        Raises `Conflict` `issuer_changed` when the register belongs to an issuer of another name: credentials in
        circulation name that one, and would all stop verifying.
        """
        latest = self._latest()
        if latest is not None and latest.issuers[0].issuer != self.identity.issuer:
            raise Conflict("issuer_changed", f"this register belongs to issuer {latest.issuers[0].issuer}")
        self._roots.open(now)
        for purpose in PURPOSES:
            if not any(row.state == KeyState.ACTIVE for row in self._rows(purpose)):
                self._first_key(purpose, now)
        if latest is None:
            self._publish(now, only_first=True)
        else:
            self.refresh(now)

    def active(self, purpose: KeyPurpose) -> KeyRecord:
        """The key that signs for `purpose` now. Raises `NotFound` `no_active_key`."""
        for row in self._rows(purpose):
            if row.state == KeyState.ACTIVE:
                return record_of(row)
        raise NotFound("no_active_key", f"no key is active for {purpose.value}")

    def event_key(self, now: datetime) -> KeyRecord:
        """The key that signs events now: the active one, or its predecessor within `EVENT_KEY_LEAD`."""
        rows = self._rows(KeyPurpose.EVENT)
        for row in rows:
            if row.state == KeyState.ACTIVE:
                if row.activated_at is not None and now - row.activated_at < EVENT_KEY_LEAD:
                    before = [
                        old
                        for old in rows
                        if old.retired_from == row.activated_at and old.state == KeyState.VERIFY_ONLY
                    ]
                    if before:
                        return record_of(before[0])
                return record_of(row)
        raise NotFound("no_active_key", "no key is active for event")

    def records(self) -> tuple[KeyRecord, ...]:
        """Every key, whatever its state, in the order of making."""
        rows = self._register.list_keys([purpose.value for purpose in PURPOSES])
        return tuple(record_of(row) for row in sorted(rows, key=lambda row: (row.created_at, row.purpose)))

    def create_next(self, purpose: KeyPurpose, now: datetime) -> KeyRecord:
        """Make and publish a key that may not sign yet, so that verifiers learn it before it does.

        Raises `InvalidInput` `bad_key_purpose` for a purpose that issuers do not have, `Conflict` `next_key_exists`.
        """
        if purpose not in PURPOSES:
            raise InvalidInput("bad_key_purpose", "an issuer has keys for credential, status and event")
        if any(row.state == KeyState.NEXT for row in self._rows(purpose)):
            raise Conflict("next_key_exists", "promote the waiting key of this purpose first")
        row = self._new_row(purpose, KeyState.NEXT, now)
        try:
            self._register.add_key(row)
        except Conflict as conflict:
            if conflict.code == "next_key_exists":
                self._home.destroy(row.kid)  # another process was faster, and its key is the one that waits
            raise
        self._publish(now)
        return record_of(row)

    def promote(self, kid: str, now: datetime) -> KeyRecord:
        """`next` becomes `active`, and the key that was active signs no more; both in one moment.

        Raises `NotFound` `key_unknown`, `RuleViolation` `key_change_impossible`.
        """
        found = [row for row in self._register.list_keys([purpose.value for purpose in PURPOSES]) if row.kid == kid]
        if not found:
            raise NotFound("key_unknown", "no key of this issuer has this id")
        waiting = [row for row in found if row.state == KeyState.NEXT]
        if not waiting:
            raise RuleViolation("key_change_impossible", "only a key in state next can be promoted")
        row = self._register.activate_key(waiting[0].purpose, kid, now)
        self._publish(now)
        return record_of(row)

    def refresh(self, now: datetime) -> bool:
        """Publish anew when the trust list is past half of its life or says less than the register; True if so.

        The second is what a crash between a key's change and its publishing leaves behind.
        """
        latest = self._latest()
        if latest is not None and latest.issuers == (self._entry(),):
            half = (latest.issued_at + latest.expires_at) // 2
            if now.timestamp() < half:
                return False
        self._publish(now)
        return True

    def document(self) -> bytes:
        """The newest trust list as signed. Raises `NotFound` `no_trust_list` before `open`."""
        row = self._register.latest_trust_list()
        if row is None:
            raise NotFound("no_trust_list", "no trust list was published yet")
        return row.document

    def trust(self, now: datetime) -> Trust:
        """The newest list as a verifier reads it."""
        return Trust.of(trust_list.open_trust_list(self.document(), self.root(), now=int(now.timestamp())))

    def root(self) -> TrustRoot:
        """What verifiers pin."""
        return self._roots.root()

    def _rows(self, purpose: KeyPurpose) -> tuple[SigningKeyRow, ...]:
        return self._register.list_keys([purpose.value])

    def _first_key(self, purpose: KeyPurpose, now: datetime) -> None:
        row = self._new_row(purpose, KeyState.ACTIVE, now)
        try:
            self._register.add_key(row)
        except Conflict as conflict:
            if conflict.code != "key_already_active":
                raise
            self._home.destroy(row.kid)  # another process was faster, and its key is the one

    def _new_row(self, purpose: KeyPurpose, state: KeyState, now: datetime) -> SigningKeyRow:
        kid = self._home.create(purpose, now)
        return SigningKeyRow(
            purpose=purpose.value,
            kid=kid,
            state=state.value,
            public=self._home.public_key(kid),
            algorithm="ES256",
            home=self._home_name,
            created_at=now,
            activated_at=now if state is KeyState.ACTIVE else None,
        )

    def _entry(self) -> IssuerEntry:
        keys = tuple(record for record in self.records() if record.state is not KeyState.RETIRED)
        return IssuerEntry(self.identity.issuer, self.identity.status_uri, self.identity.regions, keys)

    def _latest(self) -> TrustList | None:
        row = self._register.latest_trust_list()
        return None if row is None else self._roots.read(row.document)

    def _publish(self, now: datetime, *, only_first: bool = False) -> None:
        for _ in range(_PUBLISH_ATTEMPTS):
            latest = self._latest()
            if latest is not None and only_first:
                return
            issued_at = max(int(now.timestamp()), latest.issued_at if latest else 0)
            content = TrustList(
                version=latest.version + 1 if latest else 1,
                issued_at=issued_at,
                expires_at=issued_at + int(self._life.total_seconds()),
                previous=latest.digest if latest else None,
                issuers=(self._entry(),),
            )
            try:
                self._register.add_trust_list(TrustListRow(content.version, self._roots.sign(content), now))
            except Conflict:
                continue  # another process published: say it again on top of that
            self._on_publish()
            return
        raise Conflict("trust_list_version_taken", "other processes publish trust lists without a pause")


def record_of(row: SigningKeyRow) -> KeyRecord:
    """The public record of a stored key. Before its promotion a key's life starts when it was made."""
    start = row.activated_at or row.created_at
    return KeyRecord(
        kid=row.kid,
        purpose=KeyPurpose(row.purpose),
        state=KeyState(row.state),
        algorithm=row.algorithm,
        public=row.public,
        not_before=int(start.timestamp()),
        retired_from=None if row.retired_from is None else int(row.retired_from.timestamp()),
        compromised_from=None if row.compromised_from is None else int(row.compromised_from.timestamp()),
    )
