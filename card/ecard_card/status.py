"""The physical card's status, its allowed changes, and what follows from it for the e-card.

Status codes are those of national code table AAZ502. The e-card has no status of its own:
`ecard_card.effective.effective_status` derives it, so nothing has to be kept in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType

from ecard_card.errors import RuleViolation


class CardStatus(IntEnum):
    """AAZ502 card application status (卡应用状态)."""

    SEALED = 0  # 封存: issued, social function not yet enabled
    NORMAL = 1  # 正常
    LOST = 2  # 正式挂失: formally reported lost
    LOCKED = 3  # 应用锁定
    TEMPORARILY_LOST = 4  # 临时挂失
    CANCELLED = 9  # 注销: final


class CardChange(StrEnum):
    """What may happen to a card after it was registered."""

    ENABLE = "enable"  # 启用
    REPORT_TEMPORARY_LOSS = "report_temporary_loss"  # 临时挂失
    REPORT_LOSS = "report_loss"  # 正式挂失
    RELEASE = "release"  # 解挂: the card was found
    LOCK = "lock"  # 应用锁定
    UNLOCK = "unlock"
    REPLACE = "replace"  # 补换: ends this chip; the e-card moves to the new one
    CANCEL = "cancel"  # 注销: ends card and e-card
    # What leaves the status as it is, and bears on the e-card alone:
    HOLDER_LOCK = "holder_lock"  # the holder shut their e-card
    HOLDER_UNLOCK = "holder_unlock"
    CONSENT = "consent"  # the holder permits its use, where the policy leaves that to them
    WITHDRAW_CONSENT = "withdraw_consent"
    REVIEW = "review"  # time alone: its last day is over, or another policy holds in its region


_ANY_LIVE = frozenset(CardStatus) - {CardStatus.CANCELLED}

#: Which statuses a change of the status may start from, and the one status it leads to.
ALLOWED_CHANGES: Mapping[CardChange, tuple[frozenset[CardStatus], CardStatus]] = MappingProxyType(
    {
        CardChange.ENABLE: (frozenset({CardStatus.SEALED}), CardStatus.NORMAL),
        CardChange.REPORT_TEMPORARY_LOSS: (frozenset({CardStatus.NORMAL}), CardStatus.TEMPORARILY_LOST),
        CardChange.REPORT_LOSS: (
            frozenset({CardStatus.NORMAL, CardStatus.TEMPORARILY_LOST}),
            CardStatus.LOST,
        ),
        CardChange.RELEASE: (
            frozenset({CardStatus.LOST, CardStatus.TEMPORARILY_LOST}),
            CardStatus.NORMAL,
        ),
        CardChange.LOCK: (frozenset({CardStatus.NORMAL}), CardStatus.LOCKED),
        CardChange.UNLOCK: (frozenset({CardStatus.LOCKED}), CardStatus.NORMAL),
        CardChange.REPLACE: (_ANY_LIVE - {CardStatus.SEALED}, CardStatus.CANCELLED),
        CardChange.CANCEL: (_ANY_LIVE, CardStatus.CANCELLED),
    }
)

#: The changes that leave the status as it is. A cancelled card has no e-card that they could bear on.
ECARD_CHANGES = frozenset(CardChange) - ALLOWED_CHANGES.keys()


def apply_change(status: CardStatus, change: CardChange) -> CardStatus:
    """The status that `change` leads to from `status`.

    Raises `RuleViolation` with code `card_change_impossible` where the table has no such change.
    """
    origins, target = (_ANY_LIVE, status) if change in ECARD_CHANGES else ALLOWED_CHANGES[change]
    if status not in origins:
        raise RuleViolation("card_change_impossible", f"{change.value} is not possible from status {status.value}")
    return target


class EcardStatus(IntEnum):
    """What the e-card may do now; the numbers are the Token Status List values we publish (2 bits)."""

    VALID = 0
    INVALID = 1  # final: cancelled or replaced
    SUSPENDED = 2


class Effect(StrEnum):
    """What a card's status permits its e-card to do, by a region's policy."""

    ALLOW = "allow"
    CONSENT = "consent"  # only after the holder has said so
    DENY = "deny"
    END = "end"  # for good
