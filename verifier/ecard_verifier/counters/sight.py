"""What may be seen of a holder after a verdict: from the claims that the holder disclosed, or from the issuer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ecard_card.errors import EcardError
from ecard_verifier.counters.holder_facts import Facts, HolderFacts, Wanted
from ecard_verifier.counters.record import Sighted
from ecard_verifier.purposes.masking import Mask, masked
from ecard_verifier.purposes.purposes import Field, Sight
from ecard_verifier.service import Result

#: The claim of a credential that holds each field.
CLAIMS: Final[Mapping[Field, str]] = {
    Field.NAME: "name",
    Field.ID_NUMBER: "personal_administrative_number",
    Field.CARD_NUMBER: "card_number",
    Field.BIRTH_YEAR: "birthdate",
    Field.REGION: "card_issuing_region",
}


def look(result: Result, audience: str | None, sight: Sight, source: HolderFacts) -> Sighted:
    """Never raises for want of facts: then nothing is shown, and `missing` has the code of why."""
    code, verdict = result.code, result.verdict
    wanted: dict[Field, set[Mask]] = {}
    for masks in (sight.page, sight.system):
        for field, mask in masks.items():
            wanted.setdefault(field, set()).add(mask)
    if not wanted:
        return Sighted({}, {}, None)
    if "~" in code:  # a token: the holder chose what to disclose, and nobody is asked for more
        facts: Facts = _disclosed(verdict.claims, wanted)
        return Sighted(_seen(sight.page, facts), _seen(sight.system, facts), None)
    try:
        facts = source.of(verdict.issuer or "", code, audience, wanted, answers=result.answers)
    except EcardError as error:
        return Sighted({}, {}, error.code)
    return Sighted(_seen(sight.page, facts), _seen(sight.system, facts), None)


def told(field: Field, value: str | None, mask: Mask) -> str | None:
    """One field as its mask shows it; of a date of birth the year."""
    if value is None:
        return None
    return masked(value[:4] if field is Field.BIRTH_YEAR else value, mask)


def _disclosed(claims: Mapping[str, object], wanted: Wanted) -> dict[Field, dict[Mask, str | None]]:
    found: dict[Field, dict[Mask, str | None]] = {}
    for field, masks in wanted.items():
        value = claims.get(CLAIMS[field])
        text = value if isinstance(value, str) and value.isprintable() and len(value) <= 200 else None
        found[field] = {mask: told(field, text, mask) for mask in masks}
    return found


def _seen(masks: Mapping[Field, Mask], facts: Facts) -> dict[str, str]:
    shown = {field.value: facts[field][mask] for field, mask in masks.items()}
    return {name: value for name, value in shown.items() if value is not None}
