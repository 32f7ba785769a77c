"""The routes by which a client that knows an old root, or none, learns keys."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.testclient import TestClient

from ecard_keys.trust.root import RootHolder, TrustRoot, root_from_json
from ecard_keys.trust.root_chain import RootDraft, assemble_root, walk_roots
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.root_signature import Pair
from tests.issuer.service import START, Service
from tests.root_holders import Holder


def signing(service: Service, draft: RootDraft) -> Mapping[RootHolder, Pair]:
    """The embedded holders' signatures, from their file."""
    folder = service.issuer.settings.data_dir
    home = RootHome(folder / "root-keys.json", (folder / "key-passphrase").read_bytes().strip())
    return {holder: home.sign(holder, draft.signing_inputs(holder)) for holder in home.holders()}


def test_a_client_walks_from_the_root_it_pinned(service: Service, anybody: TestClient) -> None:
    pinned = root_from_json(anybody.get("/v1/trust-root").json())
    assert anybody.get("/.well-known/ecard-trust-roots/2").json()["code"] == "trust_root_unknown"
    for odd in ("0", "-1", "02", "x", "9" * 11):
        assert anybody.get(f"/.well-known/ecard-trust-roots/{odd}").status_code in (404, 422)
    board = service.issuer.keys.board
    new = Holder()
    root = TrustRoot((new.public,), 1, 2, pinned.digest)
    draft = RootDraft(root)
    pairs = {**signing(service, draft), new.public: new.sign(draft.signing_inputs(new.public))}
    board.accept(assemble_root(draft, pairs), START)
    answer = anybody.get("/.well-known/ecard-trust-roots/2")
    assert answer.headers["content-type"] == "application/jose+json"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert walk_roots(pinned, [answer.content]) == root
    assert root_from_json(anybody.get("/v1/trust-root").json()) == pinned, "until a list stands under the new one"


def test_a_jwk_set_for_clients_that_know_nothing_else(anybody: TestClient) -> None:
    answer = anybody.get("/.well-known/jwks.json")
    assert answer.json() == anybody.get("/.well-known/jwt-vc-issuer").json()["jwks"]
    assert [key["use"] for key in answer.json()["keys"]] == ["sig"]
