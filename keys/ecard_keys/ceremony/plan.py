"""The plan of a ceremony: what is going to be signed, complete and readable, fixed before the day.

One JSON file. It embeds the list that the new one follows and the root that signs, so that a machine without a network
can judge all of it; whatever it says twice must agree. The digest of the plan is what people read to each other.
`docs/formats/ceremony.md`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_keys.trust import content as trust_content
from ecard_keys.trust.content import TrustList, canonical_json
from ecard_keys.trust.root import MAX_HOLDERS, RootHolder, TrustRoot, root_from_json, root_to_json
from ecard_keys.trust.root_chain import walk_roots
from ecard_keys.trust.root_signature import LIST_TYPE, MAX_DOCUMENT, ROOT_TYPE
from ecard_keys.trust.trust_list import SKEW, open_trust_list

PLAN_FORMAT: Final = "ecard-ceremony-plan/1"
MAX_PLAN: Final = 3 * MAX_DOCUMENT
_MAX_PARTS: Final = 1 << 20  # commas and containers: a list of four megabytes has some 200,000
_MEMBERS: Final = frozenset({"format", "made_at", "root", "chain", "predecessor", "new_root", "list"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as read. `content` is the new list, `new_root` the new root; at least one is there.

    `root` signs: the root of `predecessor`, followed by `chain` (signed root documents) where roots changed since.
    """

    made_at: int
    root: TrustRoot
    predecessor: TrustList | None
    new_root: TrustRoot | None
    content: TrustList | None
    value: Mapping[str, object] = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the plan in canonical JSON, white space in the file aside."""
        return hashlib.sha256(canonical_json(self.value)).hexdigest()

    @property
    def digest_groups(self) -> tuple[str, ...]:
        """The same in 16 groups of 4 digits, to be read aloud."""
        digest = self.digest
        return tuple(digest[place : place + 4] for place in range(0, len(digest), 4))

    @property
    def list_root(self) -> TrustRoot:
        """Whose holders sign the list: the new root's, if there is one."""
        return self.new_root or self.root

    @property
    def payloads(self) -> dict[str, bytes]:
        """By kind of document, what is signed: the root first."""
        found = {}
        if self.new_root is not None:
            found[ROOT_TYPE] = self.new_root.payload
        if self.content is not None:
            found[LIST_TYPE] = trust_content.encode(self.content)
        return found

    def signs(self, holder: RootHolder) -> tuple[str, ...]:
        """The kinds of document that this holder signs: a root those of the old and the new one, a list those of the
        newest. Empty for a stranger."""
        of_root = self.new_root is not None and holder in (*self.root.holders, *self.new_root.holders)
        of_list = self.content is not None and holder in self.list_root.holders
        return (ROOT_TYPE,) * of_root + (LIST_TYPE,) * of_list

    @property
    def holders(self) -> tuple[RootHolder, ...]:
        """Everyone who has something to sign."""
        new = () if self.new_root is None else self.new_root.holders
        everyone = dict.fromkeys((*self.root.holders, *new))
        return tuple(holder for holder in everyone if self.signs(holder))


def make_plan(
    made_at: int,
    root: TrustRoot,
    predecessor: bytes | None,
    *,
    chain: Sequence[bytes] = (),
    new_root: TrustRoot | None = None,
    content: TrustList | None = None,
) -> bytes:
    """The plan's file, indented for readers. `root` opens `predecessor` (a list document); `chain` leads from it to the
    root that signs now. Raises what `read_plan` raises: a plan that cannot be read is not handed out."""
    value: dict[str, object] = {
        "format": PLAN_FORMAT,
        "made_at": made_at,
        "root": root_to_json(root),
        "chain": [jose.parse_json(document, limit=MAX_DOCUMENT) for document in chain],
        "predecessor": None if predecessor is None else jose.parse_json(predecessor, limit=MAX_DOCUMENT),
        "new_root": None if new_root is None else root_to_json(new_root),
        "list": None if content is None else jose.parse_json(trust_content.encode(content), limit=MAX_DOCUMENT),
    }
    data = jose.dump_json(value)
    read_plan(data)
    return indented(value)


def read_plan(data: bytes) -> Plan:
    """Read a plan and judge all that needs no clock.

    Raises `InvalidInput` `bad_ceremony_plan` (form; a member nobody knows; a list or root that says more than this
    version understands), `RuleViolation` `ceremony_plan_unlinked` (list or root do not follow directly), and for the
    embedded documents what `open_trust_list` and `walk_roots` raise.
    """
    try:
        value = jose.parse_json(data, limit=MAX_PLAN, max_items=_MAX_PARTS)
    except InvalidInput as error:
        raise InvalidInput("bad_ceremony_plan", f"the plan does not parse: {error.detail}") from None
    return plan_of(value)


def plan_of(value: object) -> Plan:
    """`read_plan` for a parsed one."""
    if not isinstance(value, dict) or value.keys() != _MEMBERS or value["format"] != PLAN_FORMAT:
        raise InvalidInput("bad_ceremony_plan", "not an ecard-ceremony-plan/1 object")
    made_at, chain = value["made_at"], value["chain"]
    if type(made_at) is not int or made_at < 0 or not isinstance(chain, list) or len(chain) > 64:
        raise InvalidInput("bad_ceremony_plan", "made_at is a NumericDate and chain a list of at most 64 roots")
    try:
        base = root_from_json(value["root"])
        new_root = None if value["new_root"] is None else root_from_json(value["new_root"])
        content = None if value["list"] is None else _exact_list(canonical_json(value["list"]))
    except (InvalidInput, ValueError) as error:
        detail = error.detail if isinstance(error, InvalidInput) else "not JSON that can be written"
        raise InvalidInput("bad_ceremony_plan", detail) from None
    predecessor = None
    if value["predecessor"] is not None:
        predecessor = open_trust_list(jose.dump_json(value["predecessor"]), base, now=None)
    plan = Plan(
        made_at=made_at,
        root=walk_roots(base, [jose.dump_json(document) for document in chain]),
        predecessor=predecessor,
        new_root=new_root,
        content=content,
        value=value,
    )
    _require_linked(plan)
    return plan


def require_root(plan: Plan, known: TrustRoot) -> None:
    """Raise `RuleViolation` `ceremony_other_root` unless `known` is the plan's root, or the one its chain starts at.

    A plan brings its root along. Without this a stranger's root, with a real holder among its own, could show as the
    list before one in which the stranger's keys stand already, and the real holder's signature would count elsewhere.
    """
    if known.digest not in (plan.root.digest, root_from_json(plan.value["root"]).digest):
        raise RuleViolation("ceremony_other_root", "the plan is under another root than the one given")


def judge_time(plan: Plan, now: int, *, allow_expired: bool = False) -> None:
    """Whether the plan may be signed at `now` (NumericDate, this machine's clock).

    Raises `RuleViolation`: `ceremony_clock_odd` (the clock is behind the plan, or the list is dated ahead of it),
    `ceremony_plan_expired` (the new list has ended), `ceremony_predecessor_expired` unless `allow_expired`: the plan
    lay too long, or the clock is wrong, or verifiers are without a list and it is high time.
    """
    latest = [plan.made_at, *(known.issued_at for known in (plan.predecessor, plan.content) if known is not None)]
    if now + SKEW < max(latest):
        raise RuleViolation("ceremony_clock_odd", "this machine's clock is earlier than what the plan holds")
    if plan.content is not None and plan.content.expires_at <= now:
        raise RuleViolation("ceremony_plan_expired", "the list would be expired when signed; make a new plan")
    if plan.predecessor is not None and plan.predecessor.expires_at <= now and not allow_expired:
        raise RuleViolation("ceremony_predecessor_expired", "the list before this one has expired; is the clock right?")


def _exact_list(payload: bytes) -> TrustList:
    """A list of which nothing is skipped and nothing lost: what people are shown is all that they sign."""
    content = trust_content.decode(payload, limit=MAX_DOCUMENT)
    if content.skipped or trust_content.encode(content) != payload:
        raise InvalidInput("bad_ceremony_plan", "the list holds something that this version does not understand")
    return content


def _require_linked(plan: Plan) -> None:
    new_root, content, before = plan.new_root, plan.content, plan.predecessor
    if new_root is None and content is None:
        raise InvalidInput("bad_ceremony_plan", "the plan has nothing to sign")
    if new_root is not None and (new_root.version, new_root.previous) != (plan.root.version + 1, plan.root.digest):
        raise RuleViolation("ceremony_plan_unlinked", "the new root does not follow the present one")
    if len(plan.holders) > 2 * MAX_HOLDERS:
        raise InvalidInput("bad_ceremony_plan", "more than 32 holders")
    if content is None:
        return
    if content.root_version != plan.list_root.version:
        raise RuleViolation("ceremony_plan_unlinked", "the list names another root than the one that signs it")
    following = (1, None) if before is None else (before.version + 1, before.digest)
    if (content.version, content.previous) != following:
        raise RuleViolation("ceremony_plan_unlinked", "the list does not follow the one in the plan")
    if before is not None and content.issued_at < before.issued_at:
        raise RuleViolation("ceremony_plan_unlinked", "the list is dated before the one it follows")


def indented(value: object) -> bytes:
    """JSON that people read: two spaces, one member a line."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
