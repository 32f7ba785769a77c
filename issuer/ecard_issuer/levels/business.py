"""Why a counter asks (业务类型), and what an e-card must have been opened for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Level(IntEnum):
    """How far an e-card has been issued (签发级别)."""

    IDENTITY = 1  # 一级签发: comes with the e-card
    PAYMENT = 2  # 二级签发: payment and settlement (缴费结算), opened by the holder


class BusinessType(StrEnum):
    """业务类型, as terminals name it."""

    QUERY = "01"  # 业务查询
    PAYMENT = "02"  # 缴费支付
    OTHER = "03"
    MEDICAL_ELSEWHERE = "04"  # 异地就医


#: Medical care elsewhere ends in a settlement, so it needs what settlement needs; registering there is a query.
LEVEL_NEEDED: Final[Mapping[BusinessType, Level]] = MappingProxyType(
    {
        BusinessType.QUERY: Level.IDENTITY,
        BusinessType.PAYMENT: Level.PAYMENT,
        BusinessType.OTHER: Level.IDENTITY,
        BusinessType.MEDICAL_ELSEWHERE: Level.PAYMENT,
    }
)
