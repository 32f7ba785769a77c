"""Root holders and the chain of roots under attack: half signatures, other people's halves, signatures moved between
kinds of document, roots that replace themselves, documents that keep a processor busy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.ceremony.transcript import STEP_TYPE
from ecard_keys.trust import trust_list
from ecard_keys.trust.content import canonical_json, digest_of
from ecard_keys.trust.root import RootHolder, TrustRoot, root_from_json, root_to_json
from ecard_keys.trust.root_chain import RootDraft, assemble_root, open_root, walk_roots
from ecard_keys.trust.root_signature import LIST_TYPE, ROOT_TYPE, Pair, signing_inputs
from ecard_keys.trust.submission import SUBMISSION_TYPE
from ecard_keys.trust.trust_list import TrustList, open_trust_list
from ecard_verifier.trust_source import TrustSource
from tests.attack.kit import cost
from tests.root_holders import Holder, root_of, sign_list
from tests.twins import twins
from tests.world import NOW, World, seconds

WORLD = World()
ANA, BO, CHEN = WORLD.roots
DAI, EVE = Holder(), Holder()
ROOT = WORLD.root
LIST = WORLD.trust_list()
PAYLOAD = trust_list.draft(LIST).payload


def entries(holder: RootHolder, kind: str, pair: Sequence[bytes | None]) -> list[dict[str, str]]:
    """The two signatures as they stand in a document, each under the header of its own half."""
    inputs = signing_inputs(holder, kind, PAYLOAD)
    return [
        {"protected": text.decode().partition(".")[0], "signature": jose.b64url_encode(half)}
        for text, half in zip(inputs, pair, strict=True)
        if half is not None
    ]


def document(*signatures: dict[str, str], payload: bytes = PAYLOAD) -> bytes:
    return canonical_json({"payload": jose.b64url_encode(payload), "signatures": list(signatures)})


def by(holder: Holder, kind: str = LIST_TYPE) -> Pair:
    return holder.sign(signing_inputs(holder.public, kind, PAYLOAD))


def refused(data: bytes, root: TrustRoot = ROOT, known: TrustList | None = None) -> str:
    with pytest.raises(EcardError) as caught:
        open_trust_list(data, root, now=seconds(NOW), known=known)
    return caught.value.code


ANA_SIGNED, BO_SIGNED = entries(ANA.public, LIST_TYPE, by(ANA)), entries(BO.public, LIST_TYPE, by(BO))


def test_the_pair_that_these_attacks_bend_is_good() -> None:
    assert open_trust_list(document(*ANA_SIGNED, *BO_SIGNED), ROOT, now=seconds(NOW)) == LIST


@pytest.mark.parametrize(
    "signatures",
    [
        [*ANA_SIGNED] * 32,
        [*ANA_SIGNED, BO_SIGNED[0]],
        [*ANA_SIGNED, BO_SIGNED[1]],
        [ANA_SIGNED[0], BO_SIGNED[0], ANA_SIGNED[0], BO_SIGNED[0]],
        [ANA_SIGNED[1], BO_SIGNED[1]],
        [ANA_SIGNED[0], BO_SIGNED[1]],
        # the halves of two people under the headers of a third
        [*ANA_SIGNED, *entries(CHEN.public, LIST_TYPE, (by(BO)[0], by(BO)[1]))],
        [*ANA_SIGNED, *entries(CHEN.public, LIST_TYPE, (by(ANA)[0], by(ANA)[1]))],
        # one key's signature for both halves
        [*ANA_SIGNED, *entries(BO.public, LIST_TYPE, (by(BO)[0], by(BO)[0]))],
        [*ANA_SIGNED, {"protected": BO_SIGNED[1]["protected"], "signature": BO_SIGNED[0]["signature"]}, BO_SIGNED[0]],
        # other spellings of the same
        [*ANA_SIGNED, *({**one, "protected": one["protected"] + "="} for one in BO_SIGNED)],
        [*ANA_SIGNED, *({**one, "signature": one["signature"] + "="} for one in BO_SIGNED)],
        [*ANA_SIGNED, *({**one, "signature": ""} for one in BO_SIGNED)],
        [*ANA_SIGNED, *entries(BO.public, LIST_TYPE, (bytes(64), bytes(3309)))],
        [*ANA_SIGNED, *entries(BO.public, LIST_TYPE, (b"\xff" * 64, b"\xff" * 3309))],
    ],
)
def test_no_arrangement_of_one_holders_signatures_and_halves_makes_two(
    signatures: list[dict[str, str]],
) -> None:
    assert refused(document(*signatures)) == "trust_undersigned"


@pytest.mark.parametrize("kind", [ROOT_TYPE, STEP_TYPE, SUBMISSION_TYPE, "JWT", ""])
def test_a_signature_counts_for_its_own_kind_of_document_only(kind: str) -> None:
    """Also where the header that was signed is replaced by the one that is wanted."""
    moved = entries(BO.public, LIST_TYPE, by(BO, kind))
    kept = entries(BO.public, kind, by(BO, kind))
    assert refused(document(*ANA_SIGNED, *moved)) == "trust_undersigned"
    assert refused(document(*ANA_SIGNED, *kept)) == "trust_undersigned"


def test_holders_who_share_a_key_id_are_two_holders() -> None:
    first, second = Holder(), Holder()
    for holder, key in zip((first, second), twins(), strict=True):
        holder.classical, holder.public = key, replace(holder.public, es256=key.public)
    root = root_of([first, second, CHEN])
    assert open_trust_list(sign_list(trust_list.draft(LIST), [first, second]), root, now=seconds(NOW)) == LIST
    alone = entries(first.public, LIST_TYPE, by(first)) * 2
    assert refused(document(*alone), root) == "trust_undersigned"


@pytest.mark.parametrize("half", ["es256", "ml_dsa_65"])
def test_a_root_where_one_key_stands_with_two_holders_is_refused(half: str) -> None:
    double = replace(DAI.public, **{half: getattr(ANA.public, half)})
    with pytest.raises(InvalidInput, match="bad_trust_root"):
        TrustRoot((ANA.public, double, BO.public), 2)


def test_a_pair_put_together_of_two_holders_is_neither_of_them() -> None:
    mixed = Holder()
    mixed.classical, mixed.quantum = ANA.classical, BO.quantum
    mixed.public = RootHolder(ANA.public.es256, BO.public.ml_dsa_65)
    signed = sign_list(trust_list.draft(LIST), [mixed, CHEN])
    assert refused(signed) == "trust_undersigned"


def next_root(holders: Sequence[Holder], before: TrustRoot = ROOT) -> TrustRoot:
    return TrustRoot(tuple(one.public for one in holders), 2, before.version + 1, before.digest)


def signed_root(root: TrustRoot, signers: Sequence[Holder]) -> bytes:
    draft = RootDraft(root)
    return assemble_root(draft, {one.public: one.sign(draft.signing_inputs(one.public)) for one in signers})


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        ([DAI, EVE, CHEN], {}, "root_undersigned"),  # all of the new, one of the old
        ([ANA, DAI, EVE, CHEN], {"version": 3}, "root_unlinked"),
        ([ANA, DAI, EVE, CHEN], {"version": 2**53 - 1}, "root_unlinked"),
        ([ANA, DAI, EVE, CHEN], {"previous": digest_of(b"another")}, "root_unlinked"),
        ([ANA, DAI, EVE, CHEN], {"previous": replace(ROOT, threshold=1).digest}, "root_unlinked"),
        ([ANA, BO, DAI, CHEN], {}, "root_undersigned"),  # one of the new is missing
    ],
)
def test_a_root_that_the_old_holders_did_not_make_their_successor_is_refused(
    signers: list[Holder], changes: dict[str, object], code: str
) -> None:
    root = replace(next_root([CHEN, DAI, EVE]), **changes)  # type: ignore[arg-type]
    with pytest.raises(CheckFailed) as caught:
        open_root(signed_root(root, signers), ROOT)
    assert caught.value.code == code


def test_a_chain_has_no_gap_no_repetition_and_no_way_back() -> None:
    second = next_root([CHEN, DAI, EVE])
    third = next_root([DAI, EVE], second)
    one, two = signed_root(second, [ANA, CHEN, DAI, EVE]), signed_root(third, [CHEN, DAI, EVE])
    assert walk_roots(ROOT, [one, two]) == third
    for chain in ([two], [two, one], [one, one], [one, two, one]):
        with pytest.raises(CheckFailed):
            walk_roots(ROOT, chain)


def test_a_list_signed_under_the_old_root_does_not_become_one_under_the_new() -> None:
    """Both roots have Chen and Dai; what they signed for version 1 must not count for version 2."""
    known = root_of([CHEN, DAI, ANA])
    second = next_root([CHEN, DAI, EVE], known)
    old = sign_list(trust_list.draft(LIST), [CHEN, DAI])
    assert open_trust_list(old, known, now=seconds(NOW)) == LIST
    assert refused(old, second) == "trust_rolled_back"
    new = sign_list(trust_list.draft(replace(LIST, root_version=2)), [CHEN, DAI])
    assert refused(new, known) == "trust_root_outdated"


@pytest.mark.parametrize(
    "member", ["version", "threshold", "holders", "previous", "format", "name"], ids=lambda name: f"odd-{name}"
)
@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 2**53, [], {}, "\u0661", 10**400], ids=repr)
def test_a_root_of_another_form_is_refused_with_our_error(member: str, value: object) -> None:
    content = root_to_json(next_root([ANA, BO]))
    if member == "name":
        content["holders"][0]["name"] = value  # type: ignore[index]
    else:
        content[member] = value
    if content == root_to_json(next_root([ANA, BO])) or (member, value) == ("name", "1"):
        return
    if (member, value) == ("name", "\u0661"):
        return  # a name may be written in any script
    with pytest.raises(EcardError):
        root_from_json(content)


def test_four_megabytes_under_sixty_four_signatures_are_refused_within_seconds() -> None:
    """A replayed list of a real holder gives good ES256 signatures, so ML-DSA-65 is computed for each forged half."""
    forged = [
        {"protected": ANA_SIGNED[1]["protected"], "signature": jose.b64url_encode(bytes([n]) * 3309)} for n in range(62)
    ]
    assert cost(lambda: refused(document(ANA_SIGNED[0], *forged))).milliseconds < 300
    bogus = [
        {"protected": ANA_SIGNED[0]["protected"], "signature": jose.b64url_encode(bytes([n + 1]) * 64)}
        for n in range(62)
    ]
    large = document(*bogus, payload=bytes(3_000_000))
    assert cost(lambda: refused(large)).milliseconds < 2000


class Store:
    """A host of lists and roots that holds no key."""

    def __init__(self, data: bytes, *roots: bytes) -> None:
        self.data, self.roots = data, roots

    def __call__(self) -> bytes | None:
        return self.data

    def root(self, version: int) -> bytes:
        if version - 2 >= len(self.roots):
            raise CheckFailed("trust_unavailable", "no such root")
        return self.roots[version - 2]

    def forget(self) -> None:
        """It remembers nothing."""


@pytest.mark.parametrize("spoil", ["empty", "cut", "garbage", "other-roots", "none"])
def test_a_cache_that_was_spoiled_gives_no_trust_of_its_own_and_is_put_right(tmp_path: Path, spoil: str) -> None:
    second = next_root([CHEN, DAI, EVE])
    link = signed_root(second, [ANA, CHEN, DAI, EVE])
    fresh = replace(LIST, root_version=2)
    good = sign_list(trust_list.draft(fresh), [DAI, EVE])
    cache = tmp_path / "trust.json"
    roots = cache.with_suffix(".roots.json")
    first = TrustSource(ROOT, Store(good, link), lambda: NOW, cache=cache)
    first.maintain()
    assert first.current() is not None
    whole = roots.read_bytes()
    spoiled = {"empty": b"", "cut": whole[:-9], "garbage": b"\xff", "other-roots": whole.replace(b"A", b"B")}
    if spoil != "none":
        roots.write_bytes(spoiled[spoil])
    again = TrustSource(ROOT, Store(b"{}"), lambda: NOW, cache=cache)
    assert (again.current() is not None) == (spoil == "none")
    healed = TrustSource(ROOT, Store(good, link), lambda: NOW, cache=cache)
    healed.maintain()
    assert healed.current() is not None
    restarted = TrustSource(ROOT, Store(b"{}"), lambda: NOW, cache=cache)
    assert restarted.current() is not None, "what was fetched again was not kept"


def test_a_list_that_jumps_versions_still_bars_the_ones_before_it() -> None:
    later = replace(LIST, version=7, previous=digest_of(b"six"), issued_at=seconds(NOW))
    source = TrustSource(ROOT, Store(WORLD.trust_document(later)), lambda: NOW)
    source.maintain()
    between = replace(LIST, version=6, previous=digest_of(b"five"), issued_at=seconds(NOW) + 1)
    assert refused(WORLD.trust_document(between), known=later) == "trust_rolled_back"
    twin = replace(later, expires_at=seconds(NOW + timedelta(days=9)))
    assert refused(WORLD.trust_document(twin), known=later) == "trust_unlinked"


def test_the_algorithm_is_never_the_headers_to_choose() -> None:
    """The ML-DSA half under a header that says ES256, and the other way round."""
    swapped = [
        {"protected": BO_SIGNED[0]["protected"], "signature": BO_SIGNED[1]["signature"]},
        {"protected": BO_SIGNED[1]["protected"], "signature": BO_SIGNED[0]["signature"]},
    ]
    assert refused(document(*ANA_SIGNED, *swapped)) == "trust_undersigned"
    for algorithm in ("none", "HS256", "ES384", "ML-DSA-44", Algorithm.SM2.value):
        header = {"alg": algorithm, "kid": BO.classical.key_id, "typ": LIST_TYPE}
        protected = jose.b64url_encode(json.dumps(header, separators=(",", ":")).encode())
        assert refused(document(*ANA_SIGNED, BO_SIGNED[1], {**BO_SIGNED[0], "protected": protected})) == (
            "trust_undersigned"
        )
