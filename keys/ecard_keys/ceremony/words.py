"""A plan in words: what changes against the list and the root before, for the people who are about to sign it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.messages import Language, text
from ecard_keys.ceremony.ceremony import Standing
from ecard_keys.ceremony.plan import Plan
from ecard_keys.ceremony.transcript import Transcript
from ecard_keys.key import KeyRecord
from ecard_keys.trust.content import IssuerEntry, TrustList
from ecard_keys.trust.root import HOLDER_ALGORITHMS, RootHolder, TrustRoot

_INDENT: Final = "    "


def say(word: str, lang: Language, **values: object) -> str:
    """One sentence of the message catalogue, with its values."""
    return text(f"ceremony_word_{word}", lang).format(**values)


def moment(seconds: int) -> str:
    """A NumericDate for people, UTC; the number itself where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def holder_name(holder: RootHolder) -> str:
    """The holder's name, if there is one, and both key ids."""
    kids = " ".join(holder.kid(algorithm) for algorithm in HOLDER_ALGORITHMS)
    return kids if holder.name is None else f"{holder.name} ({kids})"


def describe(plan: Plan, lang: Language) -> list[str]:
    """All that the plan would make true, line by line, and its digest last."""
    root = plan.root
    under = {"version": root.version, "threshold": root.threshold, "count": len(root.holders), "digest": root.digest}
    lines = [say("plan", lang, at=moment(plan.made_at)), say("under", lang, **under)]
    if plan.new_root is not None:
        lines += _root(plan.root, plan.new_root, lang)
    if plan.content is not None:
        lines += _list(plan.content, plan.predecessor, lang)
    groups = plan.digest_groups
    return [*lines, say("digest", lang), *("  " + " ".join(groups[row : row + 8]) for row in (0, 8))]


def describe_list(content: TrustList, before: TrustList | None, lang: Language) -> list[str]:
    """A list by itself, or against the one before it."""
    return list(_list(content, before, lang))


def describe_standing(transcript: Transcript, standing: Standing, lang: Language) -> list[str]:
    """Who signed, who may, and what is lacking."""
    lines = [say("signed", lang, holder=holder_name(step.holder), at=moment(step.at)) for step in transcript.steps]
    lines += [say("may_sign", lang, holder=holder_name(holder)) for holder in standing.open]
    if standing.complete:
        return [*lines, say("complete", lang)]
    lacking = {"root": standing.of_root, "new": standing.of_new_holders, "list": standing.of_list}
    return [*lines, say("lacking", lang, **lacking)]


def _root(before: TrustRoot, after: TrustRoot, lang: Language) -> Iterator[str]:
    earlier = f"{before.threshold}/{len(before.holders)}"
    count = len(after.holders)
    yield say("root", lang, version=after.version, threshold=after.threshold, count=count, before=earlier)
    for holder in after.holders:
        yield say("holder_same" if holder in before.holders else "holder_added", lang, holder=holder_name(holder))
    for holder in before.holders:
        if holder not in after.holders:
            yield say("holder_removed", lang, holder=holder_name(holder))


def _list(content: TrustList, before: TrustList | None, lang: Language) -> Iterator[str]:
    yield say("list", lang, version=content.version, root=content.root_version, **_dates(content))
    if before is not None:
        yield say("follows", lang, version=before.version, **_dates(before))
    elif content.version == 1:
        yield say("first", lang)
    known = {} if before is None else {entry.issuer: entry for entry in before.issuers}
    for entry in content.issuers:
        yield from _issuer(entry, known.pop(entry.issuer, None), lang)
    for entry in known.values():
        yield say("issuer_removed", lang, issuer=entry.issuer)


def _issuer(entry: IssuerEntry, before: IssuerEntry | None, lang: Language) -> Iterator[str]:
    if entry == before:
        yield say("issuer_same", lang, issuer=entry.issuer, count=len(entry.keys))
        return
    yield say("issuer_added" if before is None else "issuer_changed", lang, issuer=entry.issuer)
    earlier = before or IssuerEntry(entry.issuer, entry.status_uri, (), ())
    if entry.regions != earlier.regions:
        yield _INDENT + say("regions", lang, before=_regions(earlier), after=_regions(entry))
    if entry.status_uri != earlier.status_uri:
        yield _INDENT + say("status_uri", lang, before=earlier.status_uri, after=entry.status_uri)
    known = {(record.purpose, record.public): record for record in earlier.keys}
    for record in entry.keys:
        was = known.pop((record.purpose, record.public), None)
        if was is None:
            about = {"kid": record.kid, "algorithm": record.algorithm, "print": _thumbprint(record)}
            yield _INDENT + say("key_added", lang, purpose=record.purpose.value, state=_state(record), **about)
        elif was != record:
            change = {"before": _state(was), "after": _state(record)}
            yield _INDENT + say("key_changed", lang, kid=record.kid, purpose=record.purpose.value, **change)
    for record in known.values():
        yield _INDENT + say("key_removed", lang, kid=record.kid, purpose=record.purpose.value, state=_state(record))


def _state(record: KeyRecord) -> str:
    """The state with every date that bounds it: a change of one of them is a change."""
    dates = {"nbf": record.not_before, "retired": record.retired_from, "compromised": record.compromised_from}
    known = ", ".join(f"{name} {moment(value)}" for name, value in dates.items() if value is not None)
    return f"{record.state.value} ({known})"


def _thumbprint(record: KeyRecord) -> str:
    """RFC 7638, in hex: what `ecard key list` of that issuer says."""
    return jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm))).hex()


def _regions(entry: IssuerEntry) -> str:
    return " ".join(entry.regions) or "-"


def _dates(content: TrustList) -> dict[str, str]:
    return {"issued": moment(content.issued_at), "expires": moment(content.expires_at)}
