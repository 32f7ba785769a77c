"""`python -m tests.sdk.make_sync`: the synchronous client, made from the asynchronous one, word by word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

SDK: Final = Path(__file__).parents[2] / "sdk" / "ecard_sdk"
#: In this order. What is not here is the same in both.
WORDS: Final = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bimport anyio\n", "import threading\nimport time\n"),
    (r"\banyio\.Lock\b", "threading.Lock"),
    (r"\banyio\.sleep\b", "time.sleep"),
    (r"\bAsync(Iterator|Client|ECardClient|Driver|Claims|Links|Relatives|Tickets|Events|Webhooks|Run|Pages)\b", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\becard_sdk\.aio\b", "ecard_sdk.sync"),
    (r"\basynchronous\b", "synchronous"),
)
HEAD: Final = "# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.\n"


def translated(source: str) -> str:
    """The synchronous form of a module of `ecard_sdk.aio`, formatted as the house has it."""
    for pattern, word in WORDS:
        source = re.sub(pattern, word, source)
    sorted_ = _ruff("check", "--select", "F401,I,UP028", "--fix", "--unsafe-fixes", "--quiet", given=HEAD + source)
    return _ruff("format", given=sorted_)


def modules() -> list[Path]:
    """Those that are translated: all but the package's own."""
    return sorted(path for path in (SDK / "aio").glob("*.py") if path.name != "__init__.py")


def _ruff(*arguments: str, given: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(SDK / "sync" / "module.py"), "-"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 or done.stdout else given


if __name__ == "__main__":
    for module in modules():
        (SDK / "sync" / module.name).write_text(translated(module.read_text("utf-8")), "utf-8")
