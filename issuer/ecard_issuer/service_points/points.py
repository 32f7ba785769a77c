"""A service point: an outlet, a bank branch, a hospital, a pharmacy, a kiosk, and what is done there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from unicodedata import category

from ecard_card.errors import InvalidInput
from ecard_card.region import is_region
from ecard_issuer.service_points.geography import Datum, Place
from ecard_issuer.service_points.hours import Hours, read_hours

POINT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TELEPHONE: Final = re.compile(r"[0-9+()\- ,;/]{3,60}")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class PointKind(StrEnum):
    """What kind of place it is."""

    OUTLET = "outlet"  # 人社部门服务网点
    BANK_BRANCH = "bank_branch"  # 合作银行网点
    HOSPITAL = "hospital"  # 定点医疗机构
    PHARMACY = "pharmacy"  # 定点零售药店
    KIOSK = "kiosk"  # 自助服务点


class Offered(StrEnum):
    """What may be done there."""

    APPLY = "apply"  # 申领
    COLLECT = "collect"  # 领卡
    PIN_CHANGE = "pin_change"  # 密码修改
    PIN_RESET = "pin_reset"  # 密码重置
    LOSS = "loss"  # 挂失、解挂
    REPLACE = "replace"  # 补换卡
    CANCEL = "cancel"  # 注销
    ECARD = "ecard"  # 电子社保卡
    BANK_ACCOUNT = "bank_account"  # 银行账户业务
    ENQUIRY = "enquiry"  # 查询
    SELF_SERVICE_DEVICE = "self_service_device"  # 自助设备


#: The members of a row, in the order of a file's columns.
COLUMNS: Final = (
    "point_id",
    "kind",
    "region",
    "name_zh",
    "name_en",
    "address_zh",
    "address_en",
    "telephone",
    "services",
    "hours",
    "holidays_zh",
    "holidays_en",
    "datum",
    "latitude",
    "longitude",
)
_LIMITS: Final = {
    "name_zh": 100,
    "name_en": 100,
    "address_zh": 200,
    "address_en": 200,
    "holidays_zh": 200,
    "holidays_en": 200,
}


@dataclass(frozen=True, slots=True)
class ServicePoint:
    """Valid once it exists. English texts may be empty, and so may coordinates and hours."""

    point_id: str
    kind: PointKind
    region: str
    name_zh: str
    name_en: str
    address_zh: str
    address_en: str
    telephone: str
    services: tuple[Offered, ...]
    hours: Hours
    holidays_zh: str
    holidays_en: str
    place: Place | None

    def to_row(self) -> dict[str, str]:
        """As a row of a file; the inverse of `read_point`."""
        place = self.place
        return {
            "point_id": self.point_id,
            "kind": self.kind.value,
            "region": self.region,
            "name_zh": self.name_zh,
            "name_en": self.name_en,
            "address_zh": self.address_zh,
            "address_en": self.address_en,
            "telephone": self.telephone,
            "services": " ".join(self.services),
            "hours": self.hours.text(),
            "holidays_zh": self.holidays_zh,
            "holidays_en": self.holidays_en,
            "datum": "" if place is None else place.datum.value,
            "latitude": "" if place is None else f"{place.latitude:.6f}",
            "longitude": "" if place is None else f"{place.longitude:.6f}",
        }


def read_point(row: Mapping[str, Any]) -> ServicePoint:
    """A row of a file or a body. Raises `InvalidInput` `bad_service_point`, its detail naming the member first, or
    `bad_opening_hours`, `bad_coordinates`."""
    for name in row:
        if name not in COLUMNS:
            raise _bad("columns", "a member that is not known")
    texts: dict[str, str] = {}
    for name in COLUMNS:
        value = row.get(name) or ""
        if type(value) is not str or any(category(char) in _UNSEEN for char in value):
            raise _bad(name, "want a visible text")
        texts[name] = value.strip()
        if len(texts[name]) > _LIMITS.get(name, 300):
            raise _bad(name, "too long")
    for name in ("name_zh", "address_zh"):
        if not texts[name]:
            raise _bad(name, "is missing")
    if not POINT_ID.fullmatch(texts["point_id"]):
        raise _bad("point_id", "want 1 to 64 lower-case letters, digits and -")
    if not is_region(texts["region"]):
        raise _bad("region", "want six digits")
    if texts["telephone"] and not _TELEPHONE.fullmatch(texts["telephone"]):
        raise _bad("telephone", "want digits and + ( ) - , ; /")
    return ServicePoint(
        point_id=texts["point_id"],
        kind=_member("kind", PointKind, texts["kind"]),
        region=texts["region"],
        name_zh=texts["name_zh"],
        name_en=texts["name_en"],
        address_zh=texts["address_zh"],
        address_en=texts["address_en"],
        telephone=texts["telephone"],
        services=_services(texts["services"]),
        hours=read_hours(texts["hours"]),
        holidays_zh=texts["holidays_zh"],
        holidays_en=texts["holidays_en"],
        place=_place(texts),
    )


def _services(text: str) -> tuple[Offered, ...]:
    found = tuple(_member("services", Offered, item) for item in text.split())
    if len(set(found)) != len(found):
        raise _bad("services", "one twice")
    return found


def _place(texts: Mapping[str, str]) -> Place | None:
    if not (texts["latitude"] or texts["longitude"] or texts["datum"]):
        return None
    try:
        latitude, longitude = float(texts["latitude"]), float(texts["longitude"])
    except ValueError:
        raise InvalidInput("bad_coordinates", "give datum, latitude and longitude, or none of them") from None
    datum = _member("datum", Datum, texts["datum"])
    return Place(round(latitude, 6), round(longitude, 6), datum)


def _member(name: str, kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise _bad(name, f"want one of {' '.join(kind)}") from None


def _bad(member: str, why: str) -> InvalidInput:
    return InvalidInput("bad_service_point", f"{member}: {why}")
