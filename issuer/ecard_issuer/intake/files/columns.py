"""What the columns of a file are called: our own names, the national data elements, and what exports call them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ecard_card.errors import InvalidInput

_NAMES: Final = {
    "identification_code": ("AAZ501", "卡识别码", "卡的识别码", "社会保障卡识别码", "社保卡识别码"),
    "card_number": ("AAZ500", "卡号", "社会保障卡卡号", "社会保障卡号", "社保卡号"),
    "region": ("AAB301", "行政区划代码", "发卡地区", "发卡地区行政区划代码", "区划"),
    "id_number": ("AAC002", "社会保障号码", "身份证号", "身份证号码", "公民身份号码"),
    "name": ("AAC003", "姓名"),
    "status": ("AAZ502", "卡状态", "卡应用状态", "应用状态"),
    "atr_historical": ("AAZ507", "卡复位信息", "复位信息"),
    "chip_public_key": (),
    "profile": ("卡片规格",),
    "issued_on": ("发卡日期",),
    "expires_on": ("卡有效期", "有效期", "有效期至"),
    "sequence": ("序号", "变更序号"),
    "change": ("变更", "变更类型", "业务类型"),
    "occurred_at": ("变更时间", "发生时间", "业务时间"),
    "event_id": ("事件编号", "流水号", "业务流水号"),
    "new_identification_code": ("新卡识别码",),
    "new_card_number": ("新卡号",),
}
#: Every name that a column may have, in capitals and without spaces, and the field that it means.
FIELD_OF: Final = MappingProxyType(
    {alias.upper(): field for field, aliases in _NAMES.items() for alias in (field, *aliases)}
)

#: What each kind of file must have.
_REQUIRED: Final = {
    "cards": ("identification_code", "card_number", "id_number", "name", "issued_on", "expires_on"),
    "changes": ("change", "sequence", "occurred_at"),
}


def fields_of(header: list[str], kind: str) -> tuple[str | None, ...]:
    """The field of each column, None for one that we do not use.

    Raises `InvalidInput` `bad_columns`: a field twice, or one missing. The refusal names fields, never what was sent.
    """
    found = tuple(FIELD_OF.get("".join(name.split()).upper()) for name in header)
    used = [name for name in found if name is not None]
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise InvalidInput("bad_columns", f"two columns mean {', '.join(twice)}")
    missing = [name for name in _REQUIRED[kind] if name not in used]
    if kind == "changes" and "identification_code" not in used and not {"card_number", "region"} <= set(used):
        missing.append("identification_code (or card_number and region)")
    if missing:
        raise InvalidInput("bad_columns", f"no column for {', '.join(missing)}")
    return found
