"""The chain of roots: an old client comes to the present root, and nobody takes it anywhere else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import CheckFailed, Unavailable
from ecard_keys.trust import root_signature
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import TrustRoot, root_to_json
from ecard_keys.trust.root_chain import RootDraft, assemble_root, is_root_document, open_root, walk_roots
from ecard_keys.trust.root_signature import LIST_TYPE, ROOT_TYPE, assemble_signed, signing_inputs
from tests.root_holders import Holder, root_of, without_ml_dsa

A, B, C, D, E, F = (Holder(name) for name in "ABCDEF")
FIRST = root_of([A, B, C])


def after(root: TrustRoot, holders: Sequence[Holder], threshold: int = 2) -> TrustRoot:
    return TrustRoot(tuple(one.public for one in holders), threshold, root.version + 1, root.digest)


def document(root: TrustRoot, *signers: Holder) -> bytes:
    draft = RootDraft(root)
    return assemble_root(draft, {one.public: one.sign(draft.signing_inputs(one.public)) for one in signers})


def payload_signed(payload: bytes, *signers: Holder, kind: str = ROOT_TYPE) -> bytes:
    pairs = {one.public: one.sign(signing_inputs(one.public, kind, payload)) for one in signers}
    return assemble_signed(kind, payload, pairs)


def refusal(documents: Sequence[bytes], pinned: TrustRoot = FIRST) -> str:
    with pytest.raises(CheckFailed) as caught:
        walk_roots(pinned, documents)
    return caught.value.code


SECOND = after(FIRST, [B, C, D])
THIRD = after(SECOND, [D, E, F], 3)
TO_SECOND = document(SECOND, A, B, C, D)
TO_THIRD = document(THIRD, C, D, E, F)


def test_an_old_client_walks_to_the_present_root() -> None:
    assert walk_roots(FIRST, [TO_SECOND, TO_THIRD]) == THIRD
    assert walk_roots(SECOND, [TO_THIRD]) == THIRD
    assert walk_roots(THIRD, []) == THIRD


def test_no_holder_need_stay_where_the_old_ones_sign() -> None:
    new = after(FIRST, [D, E, F])
    assert walk_roots(FIRST, [document(new, A, C, D, E, F)]) == new


@pytest.mark.parametrize(
    ("root", "signers"),
    [
        pytest.param(SECOND, (B, D), id="one of the old root"),
        pytest.param(SECOND, (D,), id="none of the old root"),
        pytest.param(SECOND, (A, B, C), id="the new holder did not sign"),
        pytest.param(SECOND, (A, B, D), id="a holder who stays did not sign"),
        pytest.param(after(FIRST, [D, E, F]), (D, E, F), id="strangers among themselves"),
    ],
)
def test_a_root_without_its_signatures_is_refused(root: TrustRoot, signers: tuple[Holder, ...]) -> None:
    assert refusal([document(root, *signers)]) == "root_undersigned"


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.ML_DSA_65])
@pytest.mark.parametrize("who", [A, D], ids=["of the old root", "of the new root"])
def test_half_a_signature_is_none(who: Holder, algorithm: Algorithm) -> None:
    outer = json.loads(document(after(FIRST, [B, D]), A, B, D))
    kid = who.public.kid(algorithm)
    outer["signatures"] = [
        entry for entry in outer["signatures"] if json.loads(jose.b64url_decode(entry["protected"]))["kid"] != kid
    ]
    assert len(outer["signatures"]) == 5
    assert refusal([json.dumps(outer).encode()]) == "root_undersigned"


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([TO_SECOND, TO_SECOND], id="the same again"),
        pytest.param([document(after(SECOND, [B, C, D]), B, C, D)], id="a version skipped"),
        pytest.param([TO_SECOND, document(SECOND, A, B, C, D)], id="replayed in the next place"),
        pytest.param(
            [TO_SECOND, document(replace(after(SECOND, [C, D]), previous=FIRST.digest), B, C, D)],
            id="linked to another predecessor",
        ),
        pytest.param([TO_SECOND, document(after(after(FIRST, [B, C, E]), [B, C]), B, C)], id="spliced from a fork"),
        pytest.param([document(replace(SECOND, version=3), A, B, C, D)], id="a version too high"),
        pytest.param([document(FIRST, A, B, C)], id="back to the first"),
    ],
)
def test_roots_that_do_not_follow_one_another_are_refused(documents: list[bytes]) -> None:
    assert refusal(documents) == "root_unlinked"


def test_a_client_with_the_newer_root_cannot_be_taken_back() -> None:
    assert refusal([TO_SECOND], THIRD) in ("root_undersigned", "root_unlinked")
    assert refusal([TO_THIRD], THIRD) == "root_unlinked"


def test_the_chain_in_another_order_is_refused() -> None:
    assert refusal([TO_THIRD, TO_SECOND]) in ("root_undersigned", "root_unlinked")


def test_a_trust_list_signature_does_not_make_a_root() -> None:
    assert refusal([payload_signed(SECOND.payload, A, B, C, D, kind=LIST_TYPE)]) == "root_undersigned"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        json.dumps(root_to_json(SECOND)).encode(),
        canonical_json(root_to_json(SECOND) | {"more": 1}),
        canonical_json(root_to_json(SECOND) | {"holders": []}),
        canonical_json(root_to_json(SECOND) | {"threshold": 9}),
    ],
)
def test_a_payload_that_is_no_root_is_refused_even_when_signed(payload: bytes) -> None:
    assert refusal([payload_signed(payload, A, B, C, D)]) == "root_malformed"


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b'{"payload":"","signatures":[7]}', b"\xff"])
def test_garbage_is_refused_with_our_error(garbage: bytes) -> None:
    assert refusal([garbage]) == "root_malformed"
    assert not is_root_document(garbage)


def test_what_a_document_is_can_be_told() -> None:
    assert is_root_document(TO_SECOND)
    assert not is_root_document(payload_signed(b'{"version":1}', A, kind=LIST_TYPE))


def test_without_ml_dsa_a_client_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_signature, "load_public_key", without_ml_dsa)
    with pytest.raises(Unavailable, match="algorithm_unavailable"):
        open_root(TO_SECOND, FIRST)


def test_a_walk_has_an_end() -> None:
    root, chain = root_of([A], 1), []
    for _ in range(3):
        root = after(root, [A], 1)
        chain.append(document(root, A))
    assert walk_roots(root_of([A], 1), chain).version == 4
