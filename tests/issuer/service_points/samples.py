"""Service points of a province that does not exist, as rows of a file."""

from __future__ import annotations

from ecard_issuer.service_points.points import ServicePoint, read_point

#: Zhengzhou's centre is near 34.7473 N 113.6249 E; these lie around it.
ROWS: list[dict[str, str]] = [
    {
        "point_id": "zz-hall",
        "kind": "outlet",
        "region": "410102",
        "name_zh": "中原区社会保障卡服务大厅",
        "name_en": "Zhongyuan service hall",
        "address_zh": "中原区测试路1号",
        "address_en": "1 Test Road, Zhongyuan",
        "telephone": "0371-12333",
        "services": "apply collect pin_change loss replace",
        "hours": "1-5 09:00-12:00 13:30-17:00",
        "holidays_zh": "法定节假日休息",
        "holidays_en": "Closed on public holidays",
        "datum": "wgs84",
        "latitude": "34.748000",
        "longitude": "113.613000",
    },
    {
        "point_id": "zz-icbc-1",
        "kind": "bank_branch",
        "region": "410103",
        "name_zh": "工商银行测试支行",
        "address_zh": "二七区测试路2号",
        "telephone": "0371-5550002",
        "services": "collect bank_account self_service_device",
        "hours": "1-6 09:00-17:00",
        "datum": "gcj02",
        "latitude": "34.740000",
        "longitude": "113.640000",
    },
    {
        "point_id": "zz-pharmacy",
        "kind": "pharmacy",
        "region": "410102",
        "name_zh": "测试大药房100%店",
        "address_zh": "中原区测试路3号",
        "services": "pin_change",
        "hours": "1-7 00:00-24:00",
        "datum": "wgs84",
        "latitude": "34.750000",
        "longitude": "113.620000",
    },
    {
        "point_id": "ly-hall",
        "kind": "outlet",
        "region": "410302",
        "name_zh": "洛阳老城区服务大厅",
        "address_zh": "老城区测试路4号",
        "services": "apply collect pin_change pin_reset loss replace cancel ecard enquiry",
        "hours": "",
        "datum": "wgs84",
        "latitude": "34.683000",
        "longitude": "112.470000",
    },
    {
        "point_id": "xx-kiosk",
        "kind": "kiosk",
        "region": "410700",
        "name_zh": "新乡自助服务点𠮷",  # a character beyond the first plane
        "address_zh": "测试路5号",
        "services": "self_service_device replace",
    },
]


def points() -> list[ServicePoint]:
    return [read_point(row) for row in ROWS]
