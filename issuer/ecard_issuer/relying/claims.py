"""What a relying service may be told about a person, and how each claim is read from the sealed data."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Final

from ecard_issuer.card_desk import Identity
from ecard_issuer.rows import CardRow


class Claim(StrEnum):
    """One claim, with the names of the credential. A masked one shows too little to be looked up elsewhere."""

    NAME = "name"
    NAME_MASKED = "name_masked"
    ID_NUMBER = "personal_administrative_number"  # 社会保障号码
    ID_NUMBER_MASKED = "personal_administrative_number_masked"
    BIRTHDATE = "birthdate"
    AGE_OVER_16 = "age_over_16"
    AGE_OVER_18 = "age_over_18"
    AGE_OVER_60 = "age_over_60"
    CARD_NUMBER = "card_number"
    CARD_NUMBER_MASKED = "card_number_masked"
    EXPIRY_DATE = "expiry_date"
    REGION = "region"  # where the card was issued
    BANK_ACCOUNT = "bank_account"  # bank and number
    BANK_ACCOUNT_TOKEN = "bank_account_token"  # noqa: S105 - bank, last digits, and a reference of the service's own


#: What `ecard_issuer.accounts` answers.
ACCOUNT_CLAIMS: Final = frozenset({Claim.BANK_ACCOUNT, Claim.BANK_ACCOUNT_TOKEN})


def disclosed(claims: Collection[Claim], identity: Identity, card: CardRow, today: date) -> dict[str, object]:
    """The values of `claims`, those about the bank account excepted. `today` is a date in China."""
    return {claim.value: _value(claim, identity, card, today) for claim in claims if claim not in ACCOUNT_CLAIMS}


def _value(claim: Claim, identity: Identity, card: CardRow, today: date) -> object:
    id_number, born = identity.holder.id_number, identity.holder.birth_date
    match claim:
        case Claim.NAME:
            return identity.holder.name
        case Claim.NAME_MASKED:
            return mask_name(identity.holder.name)
        case Claim.ID_NUMBER:
            return id_number.text
        case Claim.ID_NUMBER_MASKED:
            return mask_tail(id_number.text)
        case Claim.BIRTHDATE:
            return None if born is None else born.isoformat()
        case Claim.AGE_OVER_16 | Claim.AGE_OVER_18 | Claim.AGE_OVER_60:
            return None if born is None else age_on(born, today) >= int(claim.value.rpartition("_")[2])
        case Claim.CARD_NUMBER:
            return identity.number.text
        case Claim.CARD_NUMBER_MASKED:
            return mask_tail(identity.number.text)
        case Claim.EXPIRY_DATE:
            return card.expires_on.isoformat()
        case Claim.REGION:
            return card.region
        case Claim.BANK_ACCOUNT | Claim.BANK_ACCOUNT_TOKEN:
            raise AssertionError("accounts are answered elsewhere")


def age_on(birth: date, today: date) -> int:
    """Whole years; who was born on 29 February is a year older on 1 March."""
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


def mask_name(name: str) -> str:
    """The first character; of a name of three or more the last one too: 张*, 张*三. One character is all masked."""
    if len(name) <= 2:
        return name[:-1] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]


def mask_tail(text: str, shown: int = 4) -> str:
    """The last characters, the others masked; of a text that short, nothing."""
    return "*" * len(text) if len(text) <= shown else "*" * (len(text) - shown) + text[-shown:]
