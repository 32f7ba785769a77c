"""Two public generators make working clients from our own document, without a warning.

`openapi-python-client` in Python, `@hey-api/openapi-ts` in TypeScript; both are pinned by our locks.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import FastAPI

from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service
from tests.require import needs_node
from tests.verifier.http_kit import running

NODE = Path(__file__).parents[2] / "node"
#: What the generator reads as bytes: it knows JSON and text by itself.
OVERRIDES = (
    *("application/jose", "application/secevent+jwt", "application/statuslist+jwt", "application/statuslist+cwt"),
    "application/oauth-authz-req+jwt",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("generated"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    embedded = embed(service.issuer)
    embedded.app.router.lifespan_context = FastAPI().router.lifespan_context  # answers, and does nothing besides
    return embedded.app


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with running(app) as base:
        yield base


@pytest.fixture(scope="module")
def document(app: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(json.dumps(app.openapi()), encoding="utf-8")
    return path


def run(*command: str | Path, folder: Path) -> str:
    asked = [str(part) for part in command]
    done = subprocess.run(asked, cwd=folder, check=False, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    return said


@pytest.fixture(scope="module")
def in_python(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client that openapi-python-client makes."""
    folder = tmp_path_factory.mktemp("python")
    config = folder / "config.yml"
    overrides = {media_type: "application/octet-stream" for media_type in OVERRIDES}
    config.write_text(json.dumps({"content_type_overrides": overrides, "post_hooks": []}), encoding="utf-8")
    command = (sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning")
    said = run(
        *command, "--path", document, "--config", config, "--output-path", folder / "generated_ecard", folder=folder
    )
    assert "arning" not in said
    sys.path.insert(0, str(folder))
    yield importlib.import_module("generated_ecard")
    sys.path.remove(str(folder))


def test_the_python_client_has_every_operation(in_python: ModuleType, app: FastAPI) -> None:
    """Each is a module that can be imported, by the name of its operation."""
    assert in_python.__file__ is not None
    modules = {
        name.rpartition(".")[2]: importlib.import_module(name)
        for _, name, package in pkgutil.walk_packages(in_python.__path__, "generated_ecard.")
        if not package and ".api." in name
    }
    operations = {
        operation["operationId"] for operations in app.openapi()["paths"].values() for operation in operations.values()
    }
    assert operations <= modules.keys()
    assert all(callable(modules[name].sync_detailed) for name in operations)


def test_the_python_client_works(in_python: ModuleType, url: str, service: Service) -> None:
    def module(name: str) -> ModuleType:
        return importlib.import_module(f"generated_ecard.{name}")

    models, api = module("models"), "api.cards"
    anybody = in_python.Client(base_url=url, httpx_args={"trust_env": False})
    assert module("api.health.health_live").sync(client=anybody).live is True
    root = module("api.published.get_trust_root").sync_detailed(client=anybody)
    assert root.status_code == 200

    operator = in_python.AuthenticatedClient(url, service.token(Role.OPERATOR), httpx_args={"trust_env": False})
    card = models.NewCard.from_dict(service.card_body(1))
    made = module(f"{api}.register_card").sync(client=operator, body=card)
    assert isinstance(made, models.RegisteredCard)
    found = module(f"{api}.find_cards").sync(client=operator, body=models.FindCards(card_number=card.card_number))
    assert [each.card_ref for each in found.cards] == [made.card_ref]

    missing = module(f"{api}.get_card").sync(client=operator, card_ref="ab" * 16)
    assert isinstance(missing, models.Problem)
    assert missing.code == "card_unknown"
    stranger = module(f"{api}.find_cards").sync(client=anybody, body=models.FindCards())
    assert stranger.code == "not_authenticated"


def test_the_typescript_client_is_well_typed_and_works(
    document: Path, url: str, service: Service, tmp_path: Path
) -> None:
    node, compiler = needs_node(), NODE / "node_modules" / "typescript" / "bin" / "tsc"
    run(node, NODE / "generate-client.mjs", document, tmp_path / "generated", folder=tmp_path)
    (tmp_path / "use-client.ts").write_bytes((NODE / "use-client.ts").read_bytes())
    (tmp_path / "package.json").write_text('{"type": "commonjs"}')
    how = ("--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom,dom.iterable")
    run(node, compiler, *how, "--outDir", "built", "use-client.ts", folder=tmp_path)
    card = json.dumps(service.card_body(2))
    run(node, "built/use-client.js", url, service.token(Role.OPERATOR), card, folder=tmp_path)


def test_what_a_developer_would_call_by_name_does_not_collide(app: FastAPI) -> None:
    """Two models of one name would be told apart by our own module paths, and a generator may drop them."""
    assert not [name for name in app.openapi()["components"]["schemas"] if "__" in name or "-" in name]
