"""What differs between two policies, and that documents, texts and the example name exactly the settings there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecard_card import messages
from ecard_card.region_policy import STRICT, read_policy
from ecard_issuer.policies.differences import differences, settings_of, text_code

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = (DOCS / "region-policy.toml").read_text(encoding="utf-8")


def test_two_policies_differ_in_what_they_say_and_nowhere_else() -> None:
    other = read_policy('region = "410000"\n[loss]\ntemporary_days = 15\nchannels = ["hotline", "desk"]\n')
    found = differences(STRICT, other)
    assert (found[0].before, found[0].after) == ('"never"', "15")
    assert [item.setting for item in found] == ["loss.temporary_days", "loss.channels"]
    assert found[1].after == '["desk", "hotline"]'
    assert differences(other, other) == ()
    assert (
        found[0].words("en") == 'Days until a temporary loss ends by itself (loss.temporary_days): "never" becomes 15.'
    )
    assert found[0].words("zh") == '临时挂失的期限（天）（loss.temporary_days）：由 "never" 改为 15。'


@pytest.mark.parametrize("setting", settings_of(STRICT))
def test_a_setting_has_a_text_in_both_languages(setting: str) -> None:
    assert text_code(setting) in messages.codes()


def test_no_text_is_left_of_a_setting_that_is_gone() -> None:
    others = {"policy_difference", "policy_no_difference", "policy_cards", "policy_too_soon", "policy_unreadable"}
    texts = {code for code in messages.codes() if code.startswith("policy_")} - others
    assert texts == {text_code(setting) for setting in settings_of(STRICT)}


def test_the_page_lists_every_setting_with_its_strict_reading() -> None:
    page = (DOCS / "policies.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| `([^`]+)` \|", page, re.MULTILINE))
    assert rows == settings_of(STRICT)


def test_a_document_reads_as_what_the_settings_say() -> None:
    """The values shown are those that a document may hold: written out and read again they give the same policy."""
    for policy in (STRICT, read_policy(EXAMPLE)):
        plain = [f'region = "{policy.region}"']
        tables: list[str] = []
        for name, value in settings_of(policy).items():
            (tables if "." in name else plain).append(f"{name} = {value}")
        assert read_policy("\n".join(plain + tables)) == policy


def test_the_example_says_every_setting_and_is_a_policy() -> None:
    policy = read_policy(EXAMPLE)
    assert policy.region == "410000"
    said, table = set(), ""
    for line in EXAMPLE.splitlines():
        if header := re.match(r"\[(\w+)\]", line):
            table = f"{header[1]}."
        elif setting := re.match(r"(\w+) = ", line):
            said.add(table + setting[1])
    assert said - {"region"} == set(settings_of(policy))
