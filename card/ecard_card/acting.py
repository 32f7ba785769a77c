"""Who acts for a holder, for what, and by which way they came."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecard_card.errors import InvalidInput


class Act(StrEnum):
    """A piece of card business."""

    APPLY = "apply"  # 申领
    COLLECT = "collect"  # 领卡
    REPORT_LOSS = "report_loss"  # 挂失
    RELEASE = "release"  # 解挂
    REPLACE = "replace"  # 补换卡, renewals included
    CANCEL = "cancel"  # 注销
    CHANGE_PIN = "change_pin"  # 密码修改
    RESET_PIN = "reset_pin"  # 密码重置
    CLAIM_ECARD = "claim_ecard"  # 申领电子社保卡
    OPEN_PAYMENT = "open_payment"  # 二级签发
    SHOW_CODE = "show_code"  # 亲情服务: showing another one's code
    CERTIFY = "certify"  # 待遇资格认证
    READ_RECORDS = "read_records"  # 查阅、复制: what is kept about the holder
    USE_SERVICE = "use_service"  # business with a relying service
    ACTIVATE_BANK_ACCOUNT = "activate_bank_account"  # 银行账户激活: by the holder, or a guardian, never by an agent


class Ground(StrEnum):
    """Why somebody may act."""

    OWN = "own"  # the holder
    GUARDIAN = "guardian"  # of a minor, or of a person without full civil capacity
    MANDATE = "mandate"  # a relative or agent with a written mandate
    AGENCY = "agency"  # employer, community, school: applications only, with the person's consent


class Channel(StrEnum):
    """The way by which a wish reached the authority."""

    DESK = "desk"  # 服务网点 人工窗口
    KIOSK = "kiosk"  # 自助设备
    HOTLINE = "hotline"  # 12333
    WEBSITE = "website"  # 门户网站
    APP = "app"  # 河南人社 and the like
    WECHAT = "wechat"
    ALIPAY = "alipay"
    GOVERNMENT = "government"  # 政务服务网
    BANK = "bank"  # a partner bank's app
    INSTITUTION = "institution"  # 两定机构: a designated hospital or pharmacy
    AUTHORITY = "authority"  # the authority itself: an operator, a policy's term


@dataclass(frozen=True, slots=True)
class Acting:
    """On which ground somebody acts. Raises `InvalidInput` `bad_acting`: all but the holder name their mandate."""

    ground: Ground
    mandate_id: str | None = None

    def __post_init__(self) -> None:
        if (self.ground is Ground.OWN) is not (self.mandate_id is None):
            raise InvalidInput("bad_acting", "the holder has no mandate, and everybody else names theirs")


IN_PERSON: Final = Acting(Ground.OWN)
