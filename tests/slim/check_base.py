"""Run by the Python of an environment that holds the wheel and its base dependencies only: what a partner has.

python check_base.py FOLDER-OF-make_sample
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from ecard_keys.trust.root import read_root
from ecard_sdk import AsyncECardClient
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.device import DeviceKey
from ecard_sdk.offline import OfflineVerifier
from ecard_sdk.testing import FakeECard
from ecard_sdk.webhooks import unwrap

HEAVY = ("sqlalchemy", "fastapi", "starlette", "hvac", "smartcard", "pydantic_settings")
SERVER = {"sqlalchemy", "fastapi", "starlette", "hvac", "pyscard", "pydantic-settings", "uvicorn", "qrcode"}
ECARD = Path(sys.executable).with_name("ecard")


def run(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([ECARD, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)


def demand(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"base install: {what}")


def check_library(folder: Path, now: datetime) -> None:
    root = read_root((folder / "root.json").read_bytes())
    verifier = OfflineVerifier.from_bundle(folder / "bundle.json", root=root, now=now)
    verdict = verifier.verify((folder / "code.txt").read_text(), now=now)
    demand((verdict.outcome, verdict.reason) == ("valid", "ok"), f"a good code is {verdict.outcome} {verdict.reason}")
    late = verifier.verify((folder / "code.txt").read_text(), now=now + timedelta(minutes=10))
    demand(late.reason == "code_expired", f"ten minutes later it is {late.reason}")
    demand(verifier.verify("garbage", now=now).outcome == "invalid", "garbage gets a verdict")
    AuthorityClient("https://issuer.example").close()
    DeviceKey.generate()
    check_channel()
    check_webhooks()


def check_channel() -> None:
    """A channel's whole way, at the fake authority: which needs nothing of the server either."""
    fake = FakeECard()
    with fake.client() as ecard:
        person = ecard.identify(id_number="00009919900101001X", name="测试一")
        claim = ecard.claims.begin(person, person.cards[0], "pin", consent="terms-1")
        link_id = ecard.claims.evidence(claim, pin="158369").link_id
        demand(ecard.links.codes(link_id)[0].code.startswith("EC0:"), "a channel shows a code")
    demand(AsyncECardClient.__name__ == "AsyncECardClient", "the asynchronous client is there")


def check_webhooks() -> None:
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "sdk" / "webhook.json").read_text("utf-8"))
    case = vectors["cases"][0]
    moment = datetime.fromisoformat(case["now"])
    for secret in (vectors["secret"], vectors["public_key"]):
        event = unwrap(case["body"].encode(), case["headers"], [secret], now=moment)
        demand(event.number == 3, "a webhook is read")


def check_command(folder: Path) -> None:
    groups = {
        (): ["bundle", "events", "key", "listen", "read", "trigger", "trust", "verify"],
        ("bundle",): ["update"],
        ("key",): ["serve"],
    }
    for group, expected in (*groups.items(), (("trust",), ["ceremony"])):
        shown = run(*group, "--help")
        listed = re.findall(r"^    (\w+)", shown.stdout.partition("commands:")[2].partition("COMMAND")[2], re.MULTILINE)
        demand(shown.returncode == 0 and listed == expected, f"ecard {' '.join(group)} --help shows {listed}")
    bundle = ("--offline", folder / "bundle.json", "--root", folder / "root.json")
    good = run("verify", "--json", *bundle, "-", given=(folder / "code.txt").read_text())
    demand(good.returncode == 0, f"ecard verify --offline ends with {good.returncode}: {good.stderr}")
    demand(json.loads(good.stdout)["outcome"] == "valid", "ecard verify --offline says valid")
    old = run("verify", *bundle, (folder / "old-code.txt").read_text())
    demand(old.returncode == 1 and "code_expired" in old.stdout, "an old code is refused")
    unread = run("read")
    demand(
        unread.returncode == 3 and "ecard[reader]" in unread.stderr, f"ecard read says what to install: {unread.stderr}"
    )


def check_light() -> None:
    demand(not [name for name in HEAVY if name in sys.modules], "something heavy was imported")
    demand(not [name for name in HEAVY if find_spec(name)], "something heavy can be imported")
    installed = {(item.metadata["Name"] or "").lower() for item in distributions()}
    demand(not installed & SERVER, f"installed: {sorted(installed & SERVER)}")


if __name__ == "__main__":
    sample = Path(sys.argv[1]).resolve()
    check_library(sample, datetime.fromisoformat((sample / "now.txt").read_text()).astimezone(UTC))
    check_command(sample)
    check_light()
    print("base install: an offline code verified, nothing of the server installed or imported")
