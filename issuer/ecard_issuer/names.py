"""When two names are one person: what four eyes rest on."""

from __future__ import annotations

import unicodedata


def person_key(name: str) -> str:
    """What is left of a name without case, spaces and Unicode forms (NFKC, UAX #15).

    Two spellings with the same key are one person: nobody approves their own request by writing their name otherwise.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in folded if not character.isspace())
