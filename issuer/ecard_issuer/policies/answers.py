"""Policies as routes and commands show them."""

from __future__ import annotations

from ecard_card import messages
from ecard_card.region_policy import STRICT, RegionPolicy
from ecard_issuer.answers import Json
from ecard_issuer.policies.book import SetPolicy
from ecard_issuer.policies.differences import settings_of, text_code
from ecard_issuer.policies.office import Preview
from ecard_issuer.policies.values import PolicyRow
from ecard_verifier.verdict import rfc3339

_LANGUAGES: tuple[messages.Language, messages.Language] = ("en", "zh")


def policy_answer(region: str, found: SetPolicy | None) -> Json:
    """A `PolicyAnswer`: what holds in `region`; None where nobody has set anything."""
    policy = found.policy if found else STRICT
    return {
        "region": region,
        "set_for": policy.region,
        "effective_from": rfc3339(found.effective_from) if found else None,
        "digest": found.digest if found else None,
        "settings": settings_answer(policy),
    }


def settings_answer(policy: RegionPolicy) -> list[Json]:
    """A list of `Setting`."""
    return [
        {"name": name, "value": value, "text": _in_both(text_code(name))} for name, value in settings_of(policy).items()
    ]


def row_answer(row: PolicyRow) -> Json:
    """A `PolicyRecord`."""
    return {
        "number": row.number,
        "region": row.region,
        "effective_from": rfc3339(row.effective_from),
        "digest": row.digest,
        "set_by": row.set_by,
        "set_at": rfc3339(row.set_at),
        "document": row.document,
    }


def preview_answer(preview: Preview) -> Json:
    """A `PreviewAnswer`."""
    return {
        "region": preview.region,
        "effective_from": rfc3339(preview.effective_from),
        "digest": preview.digest,
        "differences": [
            {"name": item.setting, "before": item.before, "after": item.after} for item in preview.differences
        ],
        "cards": preview.cards,
        "cards_changed": preview.changed,
        "words": {language: list(preview.words(language)) for language in _LANGUAGES},
    }


def _in_both(code: str) -> dict[str, str]:
    return {language: messages.text(code, language) for language in _LANGUAGES}
