"""The page opens, extends and refuses the same bundles, trust lists, roots and deltas as our own code, for the same
reasons, and reads the same statuses from them."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.trust import content as trust_content
from ecard_keys.trust.root import root_to_json
from ecard_keys.trust.root_chain import RootDraft, assemble_root, open_root
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import MAX_DOCUMENT
from ecard_verifier.bundle import make_bundle, open_bundle
from tests.root_holders import Holder, root_of
from tests.verifier.delta_kit import LIST, Chain, bundle_of
from tests.verifier.offline.node import Request, ask, b64, refused
from tests.world import NOW, World, seconds

NOW_SECONDS = seconds(NOW)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def opened(data: bytes, now: int, root: Any) -> Any:
    bundle = open_bundle(data, NOW + timedelta(seconds=now - NOW_SECONDS), root)
    places = [
        [issuer, {"position": place.position, "asOf": place.as_of, "number": place.number, "digest": place.digest}]
        for issuer, place in bundle.statuses.places().items()
    ]
    return {"madeAt": bundle.made_at, "until": bundle.until, "places": places}


def test_bundles_of_all_kinds(world: World) -> None:
    rng = random.Random(7)  # noqa: S311
    thief = World()
    chain = Chain(world)
    deltas = [chain.next((index, EcardStatus.SUSPENDED)) for index in range(3)]
    whole: dict[str, Any] = json.loads(bundle_of(world))
    signature = whole["trust_list"]["signatures"]
    changed: list[dict[str, Any]] = [
        whole,
        {**whole, "status_deltas": deltas},
        {**whole, "status_deltas": deltas[1:]},
        {**whole, "status_deltas": [deltas[0], deltas[0]]},
        {**whole, "status_deltas": [*deltas, deltas[0]]},
        {**whole, "status_deltas": "x"},
        {**whole, "status_deltas": [1]},
        {**whole, "format": "ecard-bundle/2"},
        {**whole, "more": 1},
        {name: value for name, value in whole.items() if name != "until"},
        {**whole, "made_at": NOW_SECONDS - 86_400},
        {**whole, "made_at": NOW_SECONDS + 8 * 86_400},
        {**whole, "until": 5},
        {**whole, "until": True},
        {**whole, "status_lists": []},
        {**whole, "status_lists": [whole["status_lists"][0][:-3] + "AAA"]},
        {**whole, "status_lists": [whole["status_lists"][0] + "."]},
        {**whole, "status_lists": [thief.status_token()]},
        {**whole, "status_lists": [world.status_token(uri="https://else.example/1")]},
        {**whole, "status_lists": [world.status_token(issued_at=NOW + timedelta(hours=1))]},
        {**whole, "status_lists": [world.status_token(issued_at=NOW - timedelta(days=2))]},
        {**whole, "status_lists": [world.status_token(signer=world.credential_key)]},
        {**whole, "status_lists": [world.status_token({1: EcardStatus.INVALID}), world.status_token()]},
        {**whole, "status_lists": [7]},
        {**whole, "trust_list": {**whole["trust_list"], "signatures": signature[:2]}},
        {**whole, "trust_list": {**whole["trust_list"], "signatures": signature[:3]}},
        {**whole, "trust_list": {**whole["trust_list"], "signatures": [*signature[:2], *signature[:2]]}},
        {**whole, "trust_list": {**whole["trust_list"], "signatures": [signature[0], *signature]}},
        {**whole, "trust_list": {**whole["trust_list"], "signatures": signature * 17}},
        {**whole, "trust_list": {**whole["trust_list"], "payload": whole["trust_list"]["payload"][:-4]}},
        {**whole, "trust_list": {"payload": 1, "signatures": []}},
        {**whole, "trust_list": 1},
        {**whole, "root": {**whole["root"], "threshold": 3}},
        {**whole, "root": {**whole["root"], "threshold": 4}},
        {**whole, "root": {**whole["root"], "holders": whole["root"]["holders"] * 2}},
        {**whole, "root": {**whole["root"], "version": 2}},
        {**whole, "root": json.loads(json.dumps(root_to_json(thief.root)))},
        {**whole, "root_chain": []},
        {**whole, "root_chain": [{"payload": "", "signatures": []}]},
    ]
    texts = [jose.dump_json(content) for content in changed]
    plain = texts[1]
    for _ in range(60):  # a byte otherwise, anywhere
        at = rng.randrange(len(plain))
        texts.append(plain[:at] + bytes([plain[at] ^ 1 << rng.randrange(7)]) + plain[at + 1 :])
    texts += [b"", b"{}", plain[:-1], plain + b" ", b"\xff" + plain, plain.replace(b'"made_at"', b'"until"')]
    pinned = b64(jose.dump_json(root_to_json(world.root)))
    asked: list[Request] = [
        {"kind": "open", "data": b64(text), "now": NOW_SECONDS + 120, "root": root}
        for text in texts
        for root in (None, pinned)
    ]
    answers = iter(ask(asked))
    met: Counter[str] = Counter()
    for text in texts:
        for root in (None, world.root):
            answer = next(answers)
            expected = refused(opened, text, NOW_SECONDS + 120, root)
            assert answer == expected, text[:300]
            met[expected.get("refused", "ok")] += 1
    wanted = "ok bad_bundle delta_gap delta_repeated delta_old bad_status_token unknown_key bad_signature "
    wanted += "status_list_foreign status_list_future status_expired trust_undersigned trust_malformed bad_trust_root "
    wanted += "trust_not_yet_valid"
    assert set(wanted.split()) <= set(met), set(wanted.split()) - set(met)


def test_roots_are_walked_alike(world: World) -> None:
    first = world.root
    holders = [*world.roots[:2], Holder("另一位")]
    second = replace(root_of(holders), version=2, previous=first.digest)
    everybody = [*world.roots[:2], holders[2]]

    def document(root: Any, signers: list[Holder]) -> bytes:
        draft = RootDraft(root)
        return assemble_root(draft, {one.public: one.sign(draft.signing_inputs(one.public)) for one in signers})

    def root_after(data: bytes) -> str:
        return open_root(data, first).digest

    documents = [
        document(second, everybody),
        document(second, everybody[:2]),
        document(second, [world.roots[0], holders[2]]),
        document(replace(second, version=3), everybody),
        document(replace(second, previous=second.digest), everybody),
        b"{}",
    ]
    data = b64(jose.dump_json(root_to_json(first)))
    answers = ask(
        [{"kind": "root", "data": data, "next": b64(one)} for one in documents] + [{"kind": "root", "data": data}]
    )
    expected = [refused(root_after, one) for one in documents]
    assert answers == [*expected, first.digest]
    assert expected[0] == second.digest

    newer = World(
        issuer=world.issuer, credential_key=world.credential_key, status_key=world.status_key, roots=tuple(holders)
    )
    content = replace(newer.trust_list(), root_version=2)
    data_ = make_bundle(second, newer.trust_document(content), [newer.status_token()], made_at=NOW, chain=documents[:1])
    short = jose.dump_json({**json.loads(data_), "root_chain": []})
    asked: list[Request] = [
        {"kind": "open", "data": b64(one), "now": NOW_SECONDS, "root": data} for one in (data_, short)
    ]
    for one, answer in zip((data_, short), ask(asked), strict=True):
        assert answer == refused(opened, one, NOW_SECONDS, first)
    assert refused(opened, short, NOW_SECONDS, first) == {"refused": "trust_root_outdated"}


def test_lists_of_keys_are_understood_alike(world: World) -> None:
    """What the holders sign may hold entries of a later time: each is skipped, or refuses all, here as there."""
    rng = random.Random(9)  # noqa: S311
    base = json.loads(trust_content.encode(world.trust_list()))
    strange: list[Any] = [None, 0, -1, 1, 2**53, "", "x", [], {}, True, ["330000"], "compromised", "verify-only", "SM2"]
    payloads = [trust_content.canonical_json(base), b"{}", b"[]", json.dumps(base).encode()]
    for _ in range(600):
        content = json.loads(json.dumps(base))
        issuer = content["issuers"][0]
        if rng.random() < 0.3:
            content["issuers"].append(json.loads(json.dumps(issuer)) | {"iss": "https://second.example"})
            if rng.random() < 0.5:
                content["issuers"][1]["status_uri"] = "https://second.example/{list}"
                content["issuers"][1]["keys"] = [_key()]
        place = rng.choice([content, issuer, issuer["keys"][0], issuer["keys"][1]])
        name = rng.choice([*place, "retired_from", "compromised_from", "user_id", "previous", "later"])
        place[name] = rng.choice(strange) if rng.random() < 0.7 else str(place.get(name)) + rng.choice("0a/")
        if rng.random() < 0.1:
            del place[rng.choice(list(place))]
        payloads.append(trust_content.canonical_json(content))
    times = [0, NOW_SECONDS - 61, NOW_SECONDS, NOW_SECONDS + 86_400, 2**53 - 1]
    kids = [key["kid"] for key in base["issuers"][0]["keys"]]
    answers = ask([{"kind": "trust", "data": b64(payload), "times": times, "kids": kids} for payload in payloads])
    met: Counter[str] = Counter()
    for payload, answer in zip(payloads, answers, strict=True):
        try:
            expected = _understood(payload, times, kids)
        except EcardError:
            expected = None
        if expected is None:
            assert "refused" in answer, payload
        else:
            assert answer == expected, payload
        met["refused" if expected is None else str(len(expected["keys"]))] += 1
    assert {"refused", "3", "2", "0"} <= set(met)


def _key() -> dict[str, Any]:
    signer = EphemeralSigner()
    content = World(credential_key=signer).trust_list([signer.record(KeyPurpose.CREDENTIAL)])
    return dict(json.loads(trust_content.encode(content))["issuers"][0]["keys"][0])


def _understood(payload: bytes, times: list[int], kids: list[str]) -> Any:
    content = trust_content.decode(payload, limit=MAX_DOCUMENT)
    trust = Trust.of(content)
    purposes = (KeyPurpose.CREDENTIAL, KeyPurpose.STATUS, KeyPurpose.EVENT)
    keys = [key for kid in kids for purpose in purposes for key in trust.candidates(kid, purpose)]
    return {
        "version": content.version,
        "issuers": [[entry.issuer, list(entry.regions)] for entry in content.issuers],
        "keys": [
            [
                *(key.record.kid, key.record.purpose.value, key.record.state.value, key.record.public.hex()),
                *(key.issuer.issuer, *(key.accepts(time) for time in times)),
            ]
            for key in keys
        ],
    }


def test_deltas_are_taken_and_statuses_read_alike(world: World) -> None:
    """A random walk: deltas in order, again, left out, forked, stolen and dated ahead; after each a few readings."""
    rng = random.Random(11)  # noqa: S311
    data = bundle_of(world, {5: EcardStatus.SUSPENDED, 6: EcardStatus.INVALID})
    bundle = open_bundle(data, NOW, world.root)
    chain = Chain(world)
    stranger = EphemeralSigner()
    asked: list[Request] = [{"kind": "open", "name": "b", "data": b64(data), "now": NOW_SECONDS}]
    expected: list[Any] = [opened(data, NOW_SECONDS, world.root)]
    met: Counter[str] = Counter()

    def taken(token: str, moment: datetime) -> int:
        return bundle.statuses.apply(token, moment).number

    past: list[str] = []
    for _ in range(150):
        statuses = [EcardStatus.VALID, EcardStatus.SUSPENDED, EcardStatus.INVALID]
        changes = {rng.randrange(12): rng.choice(statuses) for _ in range(rng.randrange(3))}
        after = rng.choice([30, 30, 30, -100, 10_000_000])
        kind = rng.randrange(11)
        if kind < 5:
            token = chain.next(*changes.items(), trust_list=rng.choice([1, 1, 2]))
            past.append(token)
        elif kind == 5 and past:
            token = rng.choice(past)
        elif kind == 6:
            token = chain.made(*changes.items(), number=chain.number + rng.choice([0, 2, 3]) or 1)[0]
        elif kind == 7:
            token = chain.made(*changes.items(), after_seconds=after, previous="A" * 43, number=chain.number + 2)[0]
        elif kind == 10:  # the next one, and it knows less
            token = chain.made(*changes.items(), as_of=seconds(chain.at) - 1)[0]
        elif kind == 8:
            token = chain.made(*changes.items(), signer=rng.choice([stranger, world.credential_key]))[0]
        else:
            token = chain.made(*changes.items(), issuer=rng.choice(["https://else.example", world.issuer]))[0]
            at = rng.randrange(len(token))
            token = token[:at] + rng.choice("A.-x") + token[at + 1 :]
        now = seconds(chain.at) + rng.choice([0, 0, 0, -3600])
        moment = NOW + timedelta(seconds=now - NOW_SECONDS)
        asked.append({"kind": "apply", "bundle": "b", "delta": token, "now": now})
        answer = refused(taken, token, moment)
        expected.append(answer)
        met[answer["refused"] if isinstance(answer, dict) else "ok"] += 1
        for index in rng.sample(range(12), 2):
            uri = world.status_uri.replace("{list}", str(LIST))
            reading = bundle.statuses.read(uri, index)
            asked.append({"kind": "read", "bundle": "b", "uri": uri, "index": index})
            expected.append({"value": reading.value, "asOf": reading.as_of, "expiresAt": reading.expires_at})
    assert ask(asked) == expected
    wanted = "ok delta_old delta_gap delta_forked unknown_key bad_signature bad_status_delta delta_future"
    assert set(wanted.split()) <= set(met), met
