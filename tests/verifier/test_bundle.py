"""The offline bundle: opens only when every part of it holds, and stops being useful when it says so."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.trust.root import TrustRoot, read_root, root_to_json
from ecard_keys.trust.root_chain import RootDraft, assemble_root
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle, open_bundle
from ecard_verifier.check import check
from ecard_verifier.verdict import Outcome, Verdict
from tests.root_holders import Holder
from tests.world import NOW, World, seconds

Content = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def data(world: World) -> bytes:
    return make_bundle(
        world.root, world.trust_document(), [world.status_token({3: EcardStatus.SUSPENDED})], made_at=NOW
    )


def judge(world: World, data: bytes, now: datetime, index: int = 7) -> Verdict:
    bundle = open_bundle(data, now, world.root)
    device = DeviceKey.generate()
    credential = world.credential(device)
    credential = replace(credential, status=replace(credential.status, index=index))
    return check(device.offline_code(world.compact(credential), now), bundle.trust, bundle.statuses, now)


def test_a_bundle_judges_codes_without_anything_else(world: World, data: bytes) -> None:
    assert judge(world, data, NOW).outcome is Outcome.VALID
    assert judge(world, data, NOW, index=3).reason == "suspended"
    assert judge(world, data, NOW).status_as_of == NOW


def test_it_says_until_when_and_whether_its_root_was_pinned(world: World, data: bytes) -> None:
    pinned, loose = open_bundle(data, NOW, world.root), open_bundle(data, NOW)
    assert pinned.until == loose.until == seconds(NOW + timedelta(days=1))
    assert (pinned.root_pinned, loose.root_pinned) == (True, False)
    assert json.loads(data).keys() == {"format", "root", "trust_list", "status_lists", "made_at", "until"}


def test_after_its_end_checks_are_undecided(world: World, data: bytes) -> None:
    verdict = judge(world, data, NOW + timedelta(days=1, seconds=61))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_expired")
    verdict = judge(world, data, NOW + timedelta(days=8))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "trust_expired")


def test_a_list_that_is_missing_is_undecided_and_an_index_past_the_end_is_not_valid(world: World, data: bytes) -> None:
    empty = make_bundle(world.root, world.trust_document(), [], made_at=NOW)
    missing, beyond = judge(world, empty, NOW), judge(world, data, NOW, index=5000)
    assert (missing.outcome, missing.reason) == (Outcome.UNDECIDED, "status_unknown")
    assert (beyond.outcome, beyond.reason) == (Outcome.INVALID, "status_index_out_of_range")


def test_whoever_shortens_the_end_is_obeyed_and_whoever_lengthens_it_is_not(world: World, data: bytes) -> None:
    content = json.loads(data)
    shorter = json.dumps(content | {"until": seconds(NOW) + 3600}).encode()
    longer = json.dumps(content | {"until": seconds(NOW) + 10**8}).encode()
    assert judge(world, shorter, NOW + timedelta(hours=2)).reason == "status_expired"
    assert open_bundle(longer, NOW).until == open_bundle(data, NOW).until


def test_made_at_bends_no_verdict(world: World, data: bytes) -> None:
    content = json.loads(data)
    for made_at in (0, seconds(NOW), seconds(NOW) + 3600, 10**11):
        bent = json.dumps(content | {"made_at": made_at}).encode()
        try:
            outcome = judge(world, bent, NOW + timedelta(days=2)).outcome
        except EcardError:
            outcome = Outcome.UNDECIDED
        assert outcome is Outcome.UNDECIDED


def refused(data: bytes, root: TrustRoot | None = None, now: datetime = NOW) -> str:
    with pytest.raises(EcardError) as caught:
        open_bundle(data, now, root)
    return caught.value.code


def test_a_list_without_a_signature_by_the_issuers_status_key_is_refused(world: World, data: bytes) -> None:
    def with_list(token: str) -> bytes:
        return json.dumps(json.loads(data) | {"status_lists": [token]}).encode()

    good = world.status_token()
    head, body, _ = good.split(".")
    assert refused(with_list(f"{head}.{body}.")) == "bad_status_token"
    assert refused(with_list(world.status_token(signer=EphemeralSigner()))) == "unknown_key"
    assert refused(with_list(world.status_token(signer=world.credential_key))) == "unknown_key"
    assert refused(with_list(world.status_token(signer=EphemeralSigner(world.status_key.key_id)))) == "bad_signature"
    assert refused(with_list(world.status_token(uri="https://other.example/status-lists/1"))) == "status_list_foreign"
    assert refused(with_list(world.status_token(uri="https://issuer.example/status-lists/1x"))) == "status_list_foreign"
    assert refused(with_list(world.status_token(issued_at=NOW - timedelta(days=3)))) == "status_expired"
    assert refused(with_list(world.status_token(issued_at=NOW + timedelta(hours=1)))) == "status_list_future"
    assert refused(with_list(good[: len(good) // 2])) == "bad_status_token"


def test_a_list_that_explodes_when_unpacked_is_refused(world: World, data: bytes) -> None:
    bomb = jose.b64url_encode(zlib.compress(bytes(64 << 20), 9))
    claims = {"sub": "https://issuer.example/status-lists/1", "iat": seconds(NOW), "exp": seconds(NOW) + 600}
    header = {"alg": "ES256", "kid": world.status_key.key_id, "typ": "statuslist+jwt"}
    draft = jose.UnsignedJws(jose.compact_signing_input(header, claims | {"status_list": {"bits": 2, "lst": bomb}}))
    token = draft.complete(world.status_key.sign(world.status_key.key_id, [draft.signing_input])[0])
    assert refused(json.dumps(json.loads(data) | {"status_lists": [token]}).encode()) == "bad_status_list"


def test_a_trust_list_of_other_roots_is_refused_when_the_root_is_pinned(world: World, data: bytes) -> None:
    thief = World()
    forged = make_bundle(thief.root, thief.trust_document(), [thief.status_token()], made_at=NOW)
    assert refused(forged, world.root) == "trust_undersigned"
    mixed = json.dumps(json.loads(data) | {"root": root_to_json(thief.root)}).encode()
    assert refused(mixed) == "trust_undersigned"


BENDS: list[Callable[[Content], object]] = [
    lambda content: content | {"format": "ecard-bundle/2"},
    lambda content: content | {"more": 1},
    lambda content: {name: value for name, value in content.items() if name != "root"},
    lambda content: content | {"made_at": "now"},
    lambda content: content | {"until": True},
    lambda content: content | {"until": -1},
    lambda content: content | {"status_lists": {}},
    lambda content: content | {"status_lists": [1]},
    lambda content: content | {"status_lists": ["x"] * 5000},
    lambda content: content | {"trust_list": []},
    lambda content: content | {"trust_list": {}},
    lambda content: content | {"root": content["root"] | {"threshold": 9}},
    lambda content: content | {"root": content["root"] | {"threshold": "2"}},
    lambda content: content | {"root": content["root"] | {"keys": []}},
    lambda content: content | {"root": None},
    lambda content: [content],
]


@pytest.mark.parametrize("bend", BENDS)
def test_a_bundle_of_the_wrong_form_is_refused(data: bytes, bend: Callable[[Content], object]) -> None:
    assert refused(json.dumps(bend(json.loads(data))).encode()) in (
        "bad_bundle",
        "bad_trust_root",
        "bad_status_token",
        "trust_malformed",
    )


def test_a_truncated_or_doubled_bundle_is_refused(data: bytes) -> None:
    for bent in (
        data[:-1],
        data[: len(data) // 2],
        data * 2,
        b"",
        b"\xff" + data,
        data.replace(b"{", b'{"until":1,', 1),
    ):
        assert refused(bent) == "bad_bundle"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text('{}[]":,ab01', max_size=100).map(str.encode))
def test_opening_any_bytes_raises_only_our_errors(bytes_: bytes) -> None:
    assert refused(bytes_)


def test_a_root_file_is_read_back(world: World) -> None:
    assert read_root(json.dumps(root_to_json(world.root)).encode()) == world.root
    with pytest.raises(EcardError):
        read_root(b"{}")


def test_a_reader_who_pinned_an_older_root_walks_the_bundles_chain(world: World) -> None:
    """And no bundle leads a reader to a root that the pinned one's holders did not sign."""
    newer = World(roots=(*world.roots[:2], Holder()), now=world.now)
    root = TrustRoot(newer.root.holders, 2, 2, world.root.digest)
    draft = RootDraft(root)
    everyone = {holder.public: holder for holder in (*world.roots, *newer.roots)}
    link = assemble_root(draft, {key: holder.sign(draft.signing_inputs(key)) for key, holder in everyone.items()})
    document = newer.trust_document(replace(newer.trust_list(), root_version=2))
    data = make_bundle(root, document, [newer.status_token()], made_at=NOW, chain=[link])
    for pinned in (world.root, root):
        assert open_bundle(data, NOW, pinned).root_pinned
    content = json.loads(data)
    without = json.dumps({name: value for name, value in content.items() if name != "root_chain"}).encode()
    assert refused(without, world.root) == "trust_root_outdated"
    assert refused(data, World().root) == "root_undersigned"
    assert refused(json.dumps(content | {"root_chain": [content["trust_list"]]}).encode(), world.root) == (
        "root_undersigned"
    )
    assert refused(json.dumps(content | {"root_chain": 7}).encode(), world.root) == "bad_bundle"
