"""Files of a physical card system, as large as wanted, with data that is nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from ecard_card.card import card_number_check, id_number_check

HEADER = "AAZ501,AAZ500,AAC002,AAC003,AAZ502,发卡日期,卡有效期"
CHANGES = "卡识别码,业务类型,序号,业务时间"
#: Of the synthetic region, as the simulator's chips are.
CODE = "000000D156000005{:08X}00000000"


def card_row(serial: int, status: str = "1", name: str | None = None) -> str:
    """One line; 1000 people are born on a day."""
    person = f"000000{date(1960, 1, 1) + timedelta(serial // 1000):%Y%m%d}{serial % 1000:03d}"
    number = f"{serial:08d}"
    return ",".join(
        (
            CODE.format(serial),
            number + card_number_check(number),
            person + id_number_check(person),
            name or f"测试{serial}",
            status,
            "20240102",
            "2034-01-02",
        )
    )


def card_rows(count: int, start: int = 0) -> Iterator[str]:
    return map(card_row, range(start, start + count))


def change_row(serial: int, change: str, sequence: int, at: str = "2026-11-20 12:00:00") -> str:
    return f"{CODE.format(serial)},{change},{sequence},{at}"


def write(path: Path, header: str, rows: Iterable[str], *, encoding: str = "utf-8", end: str = "\n") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(header + end)
        for row in rows:
            file.write(row + end)
    return path
