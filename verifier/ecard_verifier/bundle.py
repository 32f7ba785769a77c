"""The offline bundle: one JSON document with all that a check needs where there is no network.

    {"format": "ecard-bundle/1", "root": {...}, "trust_list": {...}, "status_lists": ["..."], "made_at": n, "until": n}

Everything in it but `made_at` and `until` is signed, so its carrier is not trusted. Whether its root is the right
one only a pinned root can tell. `docs/formats/bundle.md` has the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_keys.trust.root import TrustRoot, root_from_json, root_to_json
from ecard_keys.trust.root_chain import walk_roots
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import MAX_DOCUMENT, open_trust_list
from ecard_verifier.status_deltas import OfflineStatuses
from ecard_verifier.statuses import accept_status_token

FORMAT: Final = "ecard-bundle/1"
MAX_BUNDLE: Final = 64 << 20
_MAX_PARTS: Final = 65_536  # 1,400 status lists serve a nation
MAX_LISTS: Final = 4096
_MAX_CHAIN: Final = 64
MAX_DELTAS: Final = 8192  # about three days of them; then a new bundle is smaller
MAX_UNPACKED: Final = 512 << 20  # bytes of all lists; 1,400 million cards have 350 million
_MAX_TIME: Final = 253402300799  # 9999-12-31T23:59:59Z
_MEMBERS: Final = {"format", "root", "trust_list", "status_lists", "made_at", "until"}
_OPTIONAL: Final = {"root_chain", "status_deltas"}


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle, ready for `check`. Times are NumericDates.

    `root_pinned` is False when the bundle vouched for its own root: then a verdict is worth no more than the way the
    bundle came. `statuses` takes deltas, and says at which place of its issuer's feed each of them stands.
    """

    trust: Trust
    statuses: OfflineStatuses
    made_at: int
    root_pinned: bool

    @property
    def until(self) -> int:
        """After this time every check says `undecided`: the earliest end of anything in it, which deltas can move."""
        return self.statuses.until


def make_bundle(
    root: TrustRoot,
    trust_list: bytes,
    status_lists: Iterable[str],
    *,
    made_at: datetime,
    chain: Sequence[bytes] = (),
) -> bytes:
    """The bundle of a trust list document and status list tokens (JWT). Each is checked as a reader would.

    `chain` are the signed root documents that end with `root`, for readers who pinned an older one.

    Raises what `open_bundle` raises: nobody should carry a bundle that does not open.
    """
    now = int(made_at.timestamp())
    content: dict[str, object] = {
        "format": FORMAT,
        "root": root_to_json(root),
        "trust_list": jose.parse_json(trust_list, limit=MAX_DOCUMENT, max_items=1024),
        "status_lists": list(status_lists),
        "made_at": now,
        "until": _MAX_TIME,
    }
    if chain:
        content["root_chain"] = [jose.parse_json(document, limit=MAX_DOCUMENT) for document in chain]
    content["until"] = open_bundle(jose.dump_json(content), made_at, root).until
    return jose.dump_json(content)


def open_bundle(data: bytes, now: datetime, root: TrustRoot | None = None) -> Bundle:
    """Open `data`; `now` is aware UTC; `root` pins the trust root (else the bundle's own is taken);
    a pinned one that is older than the bundle's is followed along the bundle's chain of roots.

    Raises `InvalidInput` `bad_bundle`, or the reason for which a part of it is refused (`trust_undersigned`,
    `status_list_foreign`, `bad_signature`, `delta_gap`, ...). An old bundle opens: its checks then say `undecided`.
    """
    content = _members(data)
    made_at, until = _time(content["made_at"]), _time(content["until"])
    own_root = root_from_json(content["root"])
    trusted = own_root if root is None else _walked(root, own_root, content.get("root_chain", []))
    # Whether things have expired is for the check to say, at its own time. What is dated ahead of us is not opened.
    seconds = min(int(now.timestamp()), made_at)
    document = jose.dump_json(_object(content["trust_list"]))
    trust_list = open_trust_list(document, trusted, now=seconds)
    trust = Trust.of(trust_list)
    texts = content["status_lists"]
    if not isinstance(texts, list) or len(texts) > MAX_LISTS:
        raise InvalidInput("bad_bundle", "status_lists is a list of at most 4096 tokens")
    tokens, unpacked = [], 0
    for text in texts:
        if not isinstance(text, str):
            raise InvalidInput("bad_bundle", "a status list token is a text")
        token = accept_status_token(text, trust, datetime.fromtimestamp(seconds, UTC))
        unpacked += token.statuses.size * token.statuses.bits // 8
        if unpacked > MAX_UNPACKED:
            raise InvalidInput("bad_bundle", "the status lists unpack to more than is allowed")
        tokens.append(token)
    until = min(until, trust_list.expires_at, *(token.expires_at for token in tokens))
    lists = (replace(token, expires_at=min(token.expires_at, until)) for token in tokens)
    statuses = OfflineStatuses(lists, trust, until)
    for delta in _deltas(content):
        statuses.apply(delta, now)
    return Bundle(trust, statuses, made_at, root is not None)


def extend_bundle(data: bytes, deltas: Sequence[str], now: datetime, root: TrustRoot | None = None) -> bytes:
    """The bundle `data` with the next `deltas` in it. Raises what `open_bundle` and `OfflineStatuses.apply` raise, and
    `InvalidInput` `bundle_full` where it has as many as it may."""
    statuses, content = open_bundle(data, now, root).statuses, dict(_members(data))
    for delta in deltas:
        statuses.apply(delta, now)
    whole = [*_deltas(content), *deltas]
    if len(whole) > MAX_DELTAS:
        raise InvalidInput("bundle_full", f"a bundle holds at most {MAX_DELTAS} deltas")
    return jose.dump_json({**content, "status_deltas": whole} if whole else content)


def _deltas(content: Mapping[str, object]) -> list[str]:
    deltas = content.get("status_deltas", [])
    if not isinstance(deltas, list) or len(deltas) > MAX_DELTAS or not all(type(item) is str for item in deltas):
        raise InvalidInput("bad_bundle", f"status_deltas is a list of at most {MAX_DELTAS} texts")
    return deltas


def _walked(pinned: TrustRoot, last: TrustRoot, chain: object) -> TrustRoot:
    """From the pinned root along the bundle's chain, as far as it leads on; raises what `walk_roots` raises."""
    if not isinstance(chain, list) or len(chain) > _MAX_CHAIN:
        raise InvalidInput("bad_bundle", "root_chain is a list of at most 64 documents")
    known = pinned.version - (last.version - len(chain))  # how many of them the pinned root has behind it
    if known < 0:
        return pinned  # the chain starts too late; the trust list's refusal says that the root is outdated
    return walk_roots(pinned, [jose.dump_json(_object(document)) for document in chain[known:]])


def _members(data: bytes) -> Mapping[str, object]:
    try:
        content = jose.parse_json(data, limit=MAX_BUNDLE, max_items=_MAX_PARTS)
    except InvalidInput as error:
        raise InvalidInput("bad_bundle", f"the bundle does not parse: {error.detail}") from None
    if not isinstance(content, dict) or content.keys() - _OPTIONAL != _MEMBERS or content["format"] != FORMAT:
        raise InvalidInput("bad_bundle", "not an ecard-bundle/1 document")
    return content


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidInput("bad_bundle", "an object was expected")
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_TIME:
        raise InvalidInput("bad_bundle", "a time is a NumericDate")
    return value
