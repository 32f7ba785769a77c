"""Whatever the page says, it says in Chinese and English, and of every reason that a verdict can have."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ecard_card import messages
from ecard_verifier.verdict import OUTCOMES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "verifier/counter_page/src"
TEXTS = json.loads((PAGE / "texts.json").read_text(encoding="utf-8"))
REASONS = json.loads((PAGE / "reasons.json").read_text(encoding="utf-8"))
#: Codes that stand in the sources below and are no reason of a verdict: rules for whoever builds a policy or asks.
NOT_SHOWN = {"unknown_chip_assurance", "bad_counter", "transaction_data_missing", "transaction_data_differs"}


def test_every_text_is_there_in_both_languages() -> None:
    for key, row in TEXTS.items():
        assert {"en", "zh"} <= row.keys() <= {"en", "zh", "step"}, key
        assert re.search(r"[\u4e00-\u9fff]", row["zh"]) or key.startswith("chip."), key
        assert key == "language" or not re.search(r"[\u4e00-\u9fff]", row["en"]), key
        assert sorted(re.findall(r"\{\w+\}", row["en"])) == sorted(re.findall(r"\{\w+\}", row["zh"])), key


def test_every_text_that_is_named_is_there_and_none_is_left_over() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in [*PAGE.rglob("*.js"), PAGE / "index.html"])
    named = set(re.findall(r"'([a-z]+(?:_[a-z]+)*(?:\.[a-z_]+)*)'|data-(?:text|label|text-alt)=\"([\w.]+)\"", sources))
    used = {key for pair in named for key in pair if key}
    literal = set(re.findall(r"data-(?:text|label|text-alt)=\"([\w.]+)\"", sources)) | set(
        re.findall(r"\bwords\('([\w.]+)'", sources)
    )
    assert literal <= TEXTS.keys()
    families = ("reason", "step", "outcome", "say", "otherwise", "field", "detail", "way", "chip", "holder")
    left = {key for key in TEXTS if key not in used and key.split(".")[0] not in families}
    assert left == set()


def test_each_reason_has_a_step_that_exists() -> None:
    steps = {key for key in TEXTS if key.startswith("step.")}
    for code, step in REASONS.items():
        assert f"step.{step}" in steps, code
        assert code in messages.codes(), code
    for key, row in TEXTS.items():
        assert "step" not in row or f"step.{row['step']}" in steps, key


def test_each_reason_that_a_verdict_can_have_is_explained() -> None:
    """Found in the sources that judge, as literals."""
    rooms = ("check", "steps", "presented", "numbers", "replay", "statuses", "mirrors", "verdict", "service")
    sources = [ROOT / f"verifier/ecard_verifier/{name}.py" for name in rooms]
    sources += [ROOT / f"qr/ecard_qr/{name}.py" for name in ("payload", "frame")]
    found = {code for path in sources for code in re.findall(r'"([a-z_]+)"', path.read_text(encoding="utf-8"))}
    reasons = (found & messages.codes()) | OUTCOMES.keys()
    assert {"suspended", "replayed", "code_expired", "bad_signature"} <= reasons
    explained = REASONS.keys() | {key.removeprefix("reason.") for key in TEXTS if key.startswith("reason.")}
    assert reasons - NOT_SHOWN <= explained
