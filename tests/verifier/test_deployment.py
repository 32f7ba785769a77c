"""`deploy/verifier/`: no container engine here, so each file is read and its steps are walked by other means."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib.metadata import distribution, requires
from pathlib import Path

from ecard_keys.trust.root import root_to_json
from ecard_verifier.bundle import make_bundle
from ecard_verifier.callers import token_hash
from ecard_verifier.config import load_settings
from tests.world import World

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "verifier"


def steps() -> list[tuple[str, list[str]]]:
    """The instructions of the Containerfile: name and words."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split()[1:]) for line in lines]


def test_what_the_image_copies_is_there_and_is_what_the_wheel_is_made_of() -> None:
    copied = [words[:-1] for name, words in steps() if name == "COPY" and not words[0].startswith("--from")]
    sources = {word for words in copied for word in words}
    assert all((ROOT / source).exists() for source in sources), sources
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {package.split("/")[0] for package in packages} <= sources
    assert project["project"]["readme"] in sources
    stages = [words[-1] for name, words in steps() if name == "FROM" and len(words) > 1]
    assert [words[0] for name, words in steps() if name == "COPY" and words[0].startswith("--")] == [
        f"--from={stage}" for stage in stages
    ]


def test_it_runs_as_nobody_what_exists_and_no_registry_is_named() -> None:
    named = dict(steps())
    assert named["USER"] == ["10001"]
    entry = json.loads(" ".join(named["ENTRYPOINT"]))
    assert entry == ["ecard", "serve", "verifier"]
    helped = subprocess.run(
        [sys.executable, "-m", "ecard_sdk.cli", *entry[1:], "--help"], capture_output=True, timeout=60, check=False
    )
    assert helped.returncode == 0
    text = (DEPLOY / "Containerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["debian:bookworm-slim"] * 2
    assert "--require-hashes -r requirements.lock" in text
    paths = {word.partition("=")[2] for word in named["ENV"]}
    settings = next(words[1] for name, words in steps() if name == "COPY" and words[0].endswith("verifier.toml"))
    assert settings in paths


def test_the_example_settings_are_settings(tmp_path: Path) -> None:
    text = (DEPLOY / "verifier.toml").read_text()
    (tmp_path / "feed-token").write_text("secret")
    environment = {
        "ECARD_CONFIG": str(DEPLOY / "verifier.toml"),
        "ECARD_VERIFIER_FEED_TOKEN_FILE": str(tmp_path / "feed-token"),
    }
    settings = load_settings(environment)
    volume = next(words[0] for name, words in steps() if name == "VOLUME")
    assert (str(settings.data), settings.port) == (volume, int(dict(steps())["EXPOSE"][0]))
    commented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "all.toml").write_text(commented)
    assert load_settings(environment | {"ECARD_CONFIG": str(tmp_path / "all.toml")}).audience == "hospital-7"


def test_the_unit_starts_the_same_and_gives_nothing_away() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "ecard-verifier.service")
    service = unit["Service"]
    assert shlex.split(service["ExecStart"])[1:] == ["serve", "verifier"]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectClock", "DynamicUser"):
        assert service[name] == "yes", name
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"], service["UMask"]) == ("strict", "", "0077")
    analyse = shutil.which("systemd-analyze")
    if analyse is not None:
        said = subprocess.run([analyse, "verify", DEPLOY / "ecard-verifier.service"], capture_output=True, check=False)
        assert b"Unknown" not in said.stderr, said.stderr


#: Runs `ecard` where nothing can be imported but what `ecard[service]` asks for, as in the image.
ALONE = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
allowed, blocked = set(sys.argv[1].split(",")), set()
for name, owners in packages_distributions().items():
    if not allowed & {owner.lower().replace("_", "-").replace(".", "-") for owner in owners}:
        blocked.add(name)
class Only:
    def __init__(self, finders):
        self.finders = finders
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)
    def find_distributions(self, *given):
        return PathFinder.find_distributions(*given)
sys.meta_path[:] = [Only([finder for finder in sys.meta_path if hasattr(finder, "find_spec")])]
sys.argv = ["ecard", "serve", "verifier"]
from ecard_sdk.cli import main
sys.exit(main())
"""


def closure(extras: set[str]) -> set[str]:
    """Names of the distributions that `ecard` with `extras` brings along."""
    found, waiting = {"ecard"}, [("ecard", frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        for line in requires(name) or ():
            match = re.match(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?", line)
            assert match is not None
            extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", match[4] or "")
            other = re.sub(r"[-_.]+", "-", match[1]).lower()
            if (extra is None or extra[1] in wanted) and other not in found:
                try:
                    distribution(other)
                except ModuleNotFoundError:
                    continue  # for another platform
                found.add(other)
                waiting.append((other, frozenset((match[2] or "").replace(" ", "").split(","))))
    return found


def test_the_installed_service_extra_is_all_that_it_needs(tmp_path: Path) -> None:
    allowed = closure({"service"})
    assert {"fastapi", "uvicorn", "cryptography"} <= allowed
    assert not {"pytest", "playwright", "pillow", "hvac"} & allowed
    world = World(now=datetime.now(UTC).replace(microsecond=0))
    (tmp_path / "bundle.json").write_bytes(
        make_bundle(world.root, world.trust_document(), [world.status_token()], made_at=world.now)
    )
    (tmp_path / "root.json").write_text(json.dumps(root_to_json(world.root)))
    tokens = [{"name": "desk", "role": "counter", "sha256": token_hash("t")}]
    (tmp_path / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": tokens}))
    named = {"BUNDLE": "bundle.json", "TRUST_ROOT": "root.json", "TOKENS": "tokens.json", "DATA": "data", "PORT": "0"}
    environment = {f"ECARD_VERIFIER_{name}": value for name, value in named.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, ",".join(sorted(allowed))],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        assert "verifier" in said[0], said[0] + process.stdout.read()
    finally:
        process.terminate()
        process.communicate(timeout=20)
