"""The life status of a person: the national table 1 to 5, and settling abroad, which ends a card as death does."""

from __future__ import annotations

from enum import StrEnum


class LifeStatus(StrEnum):
    """What is known of a person's life."""

    NORMAL = "normal"  # 1 正常
    DEAD = "dead"  # 2 死亡
    IMPRISONED = "imprisoned"  # 3 收监
    MISSING = "missing"  # 4 失踪
    UNKNOWN = "unknown"  # 5 不明
    EMIGRATED = "emigrated"  # 出国（境）定居; the national table has no code for it

    @property
    def may_apply(self) -> bool:
        """Whether a card may be made for them: not for the dead, nor for whoever has left for good."""
        return self not in (LifeStatus.DEAD, LifeStatus.EMIGRATED)
