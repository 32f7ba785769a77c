"""What counts once counts once: of several at the same moment, across a restart, and in a file that tells nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.errors import CheckFailed, Conflict, EcardError, InvalidInput, Unavailable
from ecard_keys.response_key import ResponseKey
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.openid4vp.response import Answer, read_form
from ecard_verifier.openid4vp.store import FETCHED, WAITING, PresentationStore, Row, hashed
from ecard_verifier.openid4vp.wish import Wish
from tests.verifier.openid4vp.kit import P256, Json, Wallet, encrypted, make_keys, make_presentations, read_request
from tests.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="module")
def wallet(world: World) -> Wallet:
    key = P256()

    class Device:
        point = key.point

    return Wallet(world.selective(world.credential(Device())), key)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Presentations, PresentationStore]:
    folder = tmp_path_factory.mktemp("once")
    store = PresentationStore(folder / "presentations.sqlite3")
    return make_presentations(world, make_keys(folder), store=store)[0], store


def together(work: Callable[[], object], times: int = 6) -> list[str]:
    """What becomes of the same at the same moment: `ok`, or the code."""
    barrier = Barrier(times)

    def one(_: int) -> str:
        barrier.wait(10)
        try:
            work()
        except EcardError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(times) as pool:
        return sorted(pool.map(one, range(times)))


def answer_to(request: Json, wallet: Wallet) -> dict[str, str]:
    return {"response": encrypted(request, {"vp_token": {"ecard": [wallet.show(request)]}, "state": request["state"]})}


def test_of_many_who_fetch_or_answer_at_once_one_does(
    made: tuple[Presentations, PresentationStore], wallet: Wallet
) -> None:
    presentations, _ = made
    opened = presentations.open(Wish(), "counter")
    reference = opened.request_uri[-43:]
    requests: list[str] = []
    fetched = together(lambda: requests.append(presentations.request(reference)))
    assert fetched == ["ok", *["presentation_request_used"] * 5]
    form = answer_to(read_request(requests[0]), wallet)
    assert together(lambda: presentations.respond(reference, form)) == ["ok", *["response_replayed"] * 5]
    assert presentations.result(opened.presentation_id, "counter")["outcome"] == "valid"


def test_who_looked_before_the_other_wrote_is_refused_all_the_same(
    made: tuple[Presentations, PresentationStore], wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is not what decides: both saw the request as it was before."""
    presentations, store = made
    opened = presentations.open(Wish(), "counter")
    reference = opened.request_uri[-43:]
    waiting = store.find(reference)
    request = read_request(presentations.request(reference))
    fetched = store.find(reference)
    presentations.respond(reference, answer_to(request, wallet))

    def seen(row: Row | None) -> Callable[[str], Row | None]:
        return lambda _: row

    monkeypatch.setattr(store, "find", seen(waiting))
    with pytest.raises(Conflict, match="presentation_request_used"):
        presentations.request(reference)
    monkeypatch.setattr(store, "find", seen(fetched))
    with pytest.raises(Conflict, match="response_replayed"):
        presentations.respond(reference, answer_to(request, wallet))


def test_a_request_outlives_a_restart_and_its_file_tells_nothing(world: World, wallet: Wallet, tmp_path: Path) -> None:
    path = tmp_path / "presentations.sqlite3"
    keys = make_keys(tmp_path)
    before, _ = make_presentations(world, keys, store=PresentationStore(path))
    opened = before.open(Wish(claims=("name",), return_url="https://shop.example/order-4711"), "counter 7")
    reference = opened.request_uri[-43:]
    request = read_request(before.request(reference))
    before.close()
    after, _ = make_presentations(world, keys, store=PresentationStore(path))
    back = after.respond(reference, answer_to_named(request, wallet)) or ""
    after.close()
    third, _ = make_presentations(world, keys, store=PresentationStore(path))
    code = back.rpartition("=")[2]
    written = b"".join(file.read_bytes() for file in tmp_path.glob("presentations.sqlite3*"))
    secrets = (
        reference,
        opened.presentation_id,
        request["nonce"],
        request["state"],
        code,
        "order-4711",
        "测试",
        "name",
    )
    for secret in secrets:
        assert secret.encode() not in written, secret
    assert b"counter 7" in written, "what is looked for would be found"
    assert third.complete(opened.presentation_id, "counter 7", code)["claims"] == {"name": "测试"}


def answer_to_named(request: Json, wallet: Wallet) -> dict[str, str]:
    text = wallet.show(request, ("name",))
    return {"response": encrypted(request, {"vp_token": {"ecard": [text]}, "state": request["state"]})}


def test_what_was_asked_is_gone_with_the_answer(made: tuple[Presentations, PresentationStore], wallet: Wallet) -> None:
    """And with it the key that opened the answer: who recorded it opens it no more."""
    presentations, store = made
    opened = presentations.open(Wish(), "counter")
    reference = opened.request_uri[-43:]
    request = read_request(presentations.request(reference))
    presentations.respond(reference, answer_to(request, wallet))
    row = store.find(reference)
    assert row is not None
    assert row.asked == b""


def test_the_store_is_full_forgets_and_says_when_it_cannot_be_written(tmp_path: Path) -> None:
    store = PresentationStore(capacity=2)
    for number in range(2):
        store.add(f"r{number}", f"p{number}", "c", b"x", None, 100, number * 60)
    with pytest.raises(Unavailable, match="presentations_full"):
        store.add("r2", "p2", "c", b"x", None, 200, 99)
    store.add("r3", "p3", "c", b"x", None, 300, 101)
    assert store.find("r0") is None, "what is over is deleted"
    assert store.move("r3", WAITING, FETCHED)
    assert not store.move("r3", WAITING, FETCHED)
    assert hashed("a") != hashed("b")
    store.close()
    with pytest.raises(Unavailable, match="presentations_unavailable"):
        store.find("r3")
    (tmp_path / "broken").write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable, match="presentations_unavailable"):
        PresentationStore(tmp_path / "broken")


KEY = ResponseKey.generate()
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["vp_token", "state", "ecard"]), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["response", "error", "state", "x"]), st.text(max_size=200), max_size=3))
def test_whatever_form_comes_in_only_our_errors_come_out(form: dict[str, str]) -> None:
    try:
        said = read_form(form, KEY, "state")
    except (InvalidInput, CheckFailed):
        return
    assert isinstance(said, str)
    assert form["state"] == "state"


@settings(max_examples=60, deadline=None)
@given(_JSON | st.binary(max_size=60))
def test_whatever_was_sealed_is_one_credential_or_one_of_our_errors(content: Any) -> None:
    text = content if isinstance(content, bytes) else jose.dump_json(content)
    try:
        name, shown = Answer(text).presented("state", ("ecard",))
    except (InvalidInput, CheckFailed):
        return
    assert name == "ecard"
    assert isinstance(shown, str)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abcABC019-_.{}=", max_size=200) | st.text(max_size=80))
def test_whatever_jwe_comes_in_only_our_errors_come_out(text: str) -> None:
    with pytest.raises(InvalidInput):
        KEY.open(text)
