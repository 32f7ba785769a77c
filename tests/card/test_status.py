from __future__ import annotations

from itertools import product

import pytest

from ecard_card.errors import RuleViolation
from ecard_card.status import (
    ALLOWED_CHANGES,
    ECARD_CHANGES,
    CardChange,
    CardStatus,
    EcardStatus,
    apply_change,
)

S, C = CardStatus, CardChange

# The whole table, written out: what is not here must be refused.
TABLE = {
    (S.SEALED, C.ENABLE): S.NORMAL,
    (S.NORMAL, C.REPORT_TEMPORARY_LOSS): S.TEMPORARILY_LOST,
    (S.NORMAL, C.REPORT_LOSS): S.LOST,
    (S.TEMPORARILY_LOST, C.REPORT_LOSS): S.LOST,
    (S.LOST, C.RELEASE): S.NORMAL,
    (S.TEMPORARILY_LOST, C.RELEASE): S.NORMAL,
    (S.NORMAL, C.LOCK): S.LOCKED,
    (S.LOCKED, C.UNLOCK): S.NORMAL,
    (S.NORMAL, C.REPLACE): S.CANCELLED,
    (S.LOST, C.REPLACE): S.CANCELLED,
    (S.LOCKED, C.REPLACE): S.CANCELLED,
    (S.TEMPORARILY_LOST, C.REPLACE): S.CANCELLED,
    (S.SEALED, C.CANCEL): S.CANCELLED,
    (S.NORMAL, C.CANCEL): S.CANCELLED,
    (S.LOST, C.CANCEL): S.CANCELLED,
    (S.LOCKED, C.CANCEL): S.CANCELLED,
    (S.TEMPORARILY_LOST, C.CANCEL): S.CANCELLED,
}
TABLE |= {(status, change): status for status in S if status is not S.CANCELLED for change in ECARD_CHANGES}


def test_status_numbers_are_those_of_the_national_table() -> None:
    assert [status.value for status in CardStatus] == [0, 1, 2, 3, 4, 9]
    assert [status.value for status in EcardStatus] == [0, 1, 2]


@pytest.mark.parametrize(("status", "change"), list(product(CardStatus, CardChange)))
def test_every_change_from_every_status(status: CardStatus, change: CardChange) -> None:
    if (status, change) in TABLE:
        assert apply_change(status, change) is TABLE[status, change]
    else:
        with pytest.raises(RuleViolation) as caught:
            apply_change(status, change)
        assert caught.value.code == "card_change_impossible"


def test_cancelled_is_final() -> None:
    assert all(S.CANCELLED not in origins for origins, _ in ALLOWED_CHANGES.values())
