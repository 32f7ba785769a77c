"""The trust list as this deployment keeps it: one list for all issuers it hosts, under the present trust root.

Where the root keys are at hand (the embedded default) every change is signed and published at once. Where they are
kept offline, changes wait: a ceremony signs what `draft` says, and `accept` takes what comes out of it. Registers of
several hosted issuers each hold a copy; the newest one counts, and a copy that a crash left behind is made good.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import CheckFailed, Conflict, NotFound, RuleViolation
from ecard_issuer.own_keys import KeyName, names_foreign_key, names_our_key, own_keys
from ecard_issuer.ports import Keys
from ecard_issuer.root_keys import RootKeys
from ecard_issuer.rows import Grant, TrustListRow, TrustRootRow
from ecard_keys.trust import content as trust_content
from ecard_keys.trust.root import TrustRoot
from ecard_keys.trust.root_chain import is_root_document, open_root, walk_roots
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList, follows, open_trust_list

_ATTEMPTS: Final = 8


class TrustBoard:
    """Makes, keeps and hands out trust lists and roots. Times are aware UTC.

    `registers` are those of all hosted issuers; the first one decides who publishes a version, and uses up a grant.
    `pinned` is the root that this deployment was given; `life` is that of a list; `on_publish` is called after each
    new list or root; `issuers` are the names of those hosted here, where they are known from elsewhere than the list.
    Any verb raises `Unavailable` when a register does not answer, and `CheckFailed` when what a register holds is not
    what the roots signed: somebody wrote to it behind our back.
    """

    def __init__(
        self,
        registers: Sequence[Keys],
        roots: RootKeys | None,
        pinned: TrustRoot,
        *,
        life: timedelta = timedelta(days=30),
        on_publish: Callable[[], None] = lambda: None,
        issuers: Collection[str] = (),
    ) -> None:
        self._registers = tuple(registers)
        self._roots = roots
        self._pinned = pinned
        self._life = int(life.total_seconds())
        self._on_publish = on_publish
        self._issuers = frozenset(issuers)

    def latest(self) -> TrustList | None:
        """What the newest list says, whatever its age: an expired one must be readable, or it had no successor."""
        row = self._newest()
        return None if row is None else self.read(row.document)

    def document(self) -> bytes:
        """The newest list as signed. Raises `NotFound` `no_trust_list`."""
        row = self._newest()
        if row is None:
            raise NotFound("no_trust_list", "no trust list was published yet")
        return row.document

    def trust(self, now: datetime) -> Trust:
        """The newest list as a verifier reads it. Raises `NotFound` `no_trust_list`, and `CheckFailed` as verifiers
        do."""
        return Trust.of(open_trust_list(self.document(), self.root(), now=int(now.timestamp())))

    def root(self) -> TrustRoot:
        """The root of the newest list; before the first list, and for the next one, `next_root`."""
        latest = self.latest()
        return self.next_root() if latest is None else self._root_of_version(latest.root_version)

    def next_root(self) -> TrustRoot:
        """The newest root: the one that signs from now on."""
        return walk_roots(self._pinned, self._later_documents())

    def root_documents(self) -> tuple[bytes, ...]:
        """The chain of signed roots, in order, as far back as it is kept: what comes before is pinned."""
        return tuple(row.document for row in self._root_rows())

    def root_document(self, version: int) -> bytes:
        """One of them. Raises `NotFound` `trust_root_unknown`."""
        for row in self._root_rows():
            if row.version == version:
                return row.document
        raise NotFound("trust_root_unknown", "no root of this version has a document here")

    def chain(self) -> tuple[bytes, ...]:
        """The root documents that lead from `root` to `next_root`; empty unless roots changed since the last list."""
        version = self.root().version
        return tuple(row.document for row in self._root_rows() if row.version > version)

    def signs(self) -> bool:
        """Whether enough holders of the newest root are at hand to sign a list here and now."""
        return self._roots is not None and self._can_sign(self._roots, self.next_root())

    def is_current(self, entry: IssuerEntry) -> bool:
        """Whether the newest list says of this issuer exactly what `entry` says."""
        latest = self.latest()
        return latest is not None and entry in latest.issuers

    def publish(self, entry: IssuerEntry, published: Collection[KeyName], now: datetime) -> bool:
        """Put `entry` in the place of its issuer's, keep all others, sign and store. False: it waits for a ceremony.

        `published` are the keys that the entry names; their registers note that the world now knows them.
        """
        for _ in range(_ATTEMPTS):
            root = self.next_root()
            if self._roots is None or not self._can_sign(self._roots, root):
                return False
            content = self.draft((entry,), now)
            row = TrustListRow(content.version, self._roots.sign(content, root), now)
            try:
                self._store(row, content, published, None)
            except Conflict:
                continue  # another process published: say it again on top of that
            self._on_publish()
            return True
        raise Conflict("trust_list_version_taken", "other processes publish trust lists without a pause")

    def refresh(self, entry: IssuerEntry, published: Collection[KeyName], now: datetime) -> bool:
        """Publish anew when the list is past half of its life, says less than the register or is under an old root;
        True if so. Copies of list and roots that a crash kept from a register are stored first."""
        self._repair()
        latest = self.latest()
        if latest is None or entry not in latest.issuers or latest.root_version != self.next_root().version:
            return self.publish(entry, published, now)
        if now.timestamp() < (latest.issued_at + latest.expires_at) // 2:
            return False
        return self.publish(entry, published, now)

    def draft(self, entries: Iterable[IssuerEntry], now: datetime, *, root_version: int | None = None) -> TrustList:
        """The next list: the newest one with `entries` in the places of their issuers, new ones at the end.

        `root_version` where a root is to be replaced in the same ceremony.
        """
        latest = self.latest()
        issuers = {} if latest is None else {known.issuer: known for known in latest.issuers}
        issuers |= {entry.issuer: entry for entry in entries}
        issued_at = max(int(now.timestamp()), latest.issued_at if latest else 0)
        return TrustList(
            version=latest.version + 1 if latest else 1,
            issued_at=issued_at,
            expires_at=issued_at + self._life,
            previous=latest.digest if latest else None,
            issuers=tuple(issuers.values()),
            root_version=self.next_root().version if root_version is None else root_version,
            skipped=latest.skipped if latest else 0,  # a list with entries we cannot write has no draft of ours
        )

    def read(self, document: bytes) -> TrustList:
        """What a list says, whatever its age, under whichever root of the chain signed it: after a change of roots the
        old list stands until its successor comes. Raises what `open_trust_list` raises."""
        try:
            return open_trust_list(document, self._pinned, now=None)
        except CheckFailed as refusal:
            root, error = self._pinned, refusal
        for later in self._later_documents():
            root = open_root(later, root)
            try:
                return open_trust_list(document, root, now=None)
            except CheckFailed as refusal:
                error = refusal
        raise error

    def examine(self, document: bytes, now: datetime, *, under: TrustRoot | None = None) -> TrustList | TrustRoot:
        """Judge a list or a root from a ceremony as `accept` does, and store nothing. `under`: as if that were the
        newest root, for a list that comes with it.

        A root must come directly after the newest one (`open_root`). A list must open under the newest root, follow
        the newest list (`trust_rolled_back`, `trust_unlinked`; `trust_not_newer` for that very list; a deployment that
        has none yet joins at whatever version the roots signed), and name for an
        issuer of ours no key that is not in our register with the same public half: `trust_list_foreign_key`. Entries
        that this version does not understand are `trust_malformed`; keys or templates that two of them claim are
        `InvalidInput` `bad_trust_list`. Raises the others as `CheckFailed`, those of the newest list and of foreign
        keys as `RuleViolation`.
        """
        if is_root_document(document):
            return open_root(document, under or self.next_root())
        opened = open_trust_list(document, under or self.next_root(), now=int(now.timestamp()))
        latest = self.latest()
        if latest is not None:
            follows(opened, latest)
            if opened.version == latest.version:
                raise RuleViolation("trust_not_newer", "this very list is published already")
        if opened.skipped:
            raise CheckFailed("trust_malformed", "the list has entries of which nobody here could draft a successor")
        trust_content.encode(opened)  # refuses keys named twice, and templates that overlap
        self._refuse_foreign_keys(opened, latest)
        return opened

    def accept(self, document: bytes, now: datetime, *, grant: Grant | None = None) -> TrustList | TrustRoot:
        """Store a list or a root that a ceremony signed, after `examine`, and use up `grant` in the same transaction.

        `Conflict` `trust_list_version_taken`, `trust_root_version_taken` where another process was faster.
        """
        examined = self.examine(document, now)
        if isinstance(examined, TrustRoot):
            first, *others = self._registers
            row = TrustRootRow(examined.version, document, now)
            first.add_trust_root(row, grant=grant)
            for register in others:
                register.add_trust_root(row)
        else:
            named = {(record.purpose.value, record.kid) for entry in examined.issuers for record in entry.keys}
            self._store(TrustListRow(examined.version, document, now), examined, named, grant)
        self._on_publish()
        return examined

    def _can_sign(self, roots: RootKeys, root: TrustRoot) -> bool:
        return len(roots.of(root)) >= root.threshold

    def _newest(self) -> TrustListRow | None:
        rows = [row for register in self._registers if (row := register.latest_trust_list()) is not None]
        return max(rows, key=lambda row: row.version, default=None)

    def _root_rows(self) -> tuple[TrustRootRow, ...]:
        return max((register.trust_roots() for register in self._registers), key=len)

    def _later_documents(self) -> tuple[bytes, ...]:
        return tuple(row.document for row in self._root_rows() if row.version > self._pinned.version)

    def _root_of_version(self, version: int) -> TrustRoot:
        steps = version - self._pinned.version
        return walk_roots(self._pinned, self._later_documents()[:steps])

    def _refuse_foreign_keys(self, opened: TrustList, latest: TrustList | None) -> None:
        """A ceremony's list may not slip a key in under the name of an issuer whose keys we hold ourselves."""
        before = {} if latest is None else {entry.issuer: entry for entry in latest.issuers}
        for entry in opened.issuers:
            known = (entry, before.get(entry.issuer))
            if names_foreign_key(entry, known, self._registers, hosted=entry.issuer in self._issuers):
                raise RuleViolation("trust_list_foreign_key", "the list names a key for our issuer that is not ours")
            if self._issuers and entry.issuer not in self._issuers and names_our_key(entry, self._registers):
                raise RuleViolation("trust_list_foreign_key", "the list names a key of ours for another issuer")

    def _store(
        self, row: TrustListRow, content: TrustList, published: Collection[KeyName], grant: Grant | None
    ) -> None:
        """The first register decides; a later one that is ahead, or does not answer, is put right by `refresh`."""
        first, *others = self._registers
        first.add_trust_list(row, own_keys(first, content, published), grant=grant)
        for register in others:
            self._copy(register, row, content, published)

    def _copy(self, register: Keys, row: TrustListRow, content: TrustList, published: Collection[KeyName]) -> None:
        held = register.latest_trust_list()
        if held is None or held.version < row.version:
            register.add_trust_list(row, own_keys(register, content, published))

    def _repair(self) -> None:
        rows = self._root_rows()
        for register in self._registers:
            held = max((row.version for row in register.trust_roots()), default=0)
            for row in rows:
                if row.version > held:
                    register.add_trust_root(row)
        newest = self._newest()
        if newest is None:
            return
        content = self.read(newest.document)
        named = {(record.purpose.value, record.kid) for entry in content.issuers for record in entry.keys}
        for register in self._registers:
            self._copy(register, newest, content, named)
