"""The file: shared by processes, safe from a kill, and telling nothing to whoever reads it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import Conflict, Unavailable
from ecard_verifier.counters.database import FILE_NAME, Database
from ecard_verifier.counters.ledger_sql import SHOWINGS_KEPT, SqlLedger
from ecard_verifier.counters.secret import seal, unseal
from ecard_verifier.counters.shift import as_csv
from ecard_verifier.purposes.purposes import Field
from tests.verifier.counters.kit import PERSON, House, Json, open_house, scan_body

SCANS = "/v1/counter/verifications"


def test_the_file_tells_nothing_of_anybody(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    group = house.group("hospital")
    staff = {"branch_id": group["branch_id"], "alias": "clerk", "pin": "31415926"}
    house.made("/v1/staff", staff, group["manager"])
    page, code, admission = house.page(group), house.code(), house.admission(group)
    done = page.post(SCANS, json=scan_body(code))
    group["system"].post(f"/v1/verifications/{done.json()['verification_id']}/use", json={"reference": "HIS-4406"})
    stored = b"".join(file.read_bytes() for file in sorted(tmp_path.glob(FILE_NAME + "*")))
    cookie = page.cookies["__Host-ecard-counter"]
    secrets_of = (
        *PERSON.values(),
        "王**",
        code,
        admission,
        cookie,
        done.json()["verification_id"],
        "31415926",
        "HIS-4406",
    )
    assert b"clerk" in stored, "we read the right bytes"
    for secret in secrets_of:
        if secret != PERSON[Field.REGION]:  # six digits may be part of any number
            assert secret.encode() not in stored
    house.counters.close()


def test_what_is_over_is_deleted_and_the_rows_of_a_shift_after_months(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    page = house.page(house.group("hospital"))
    page.post(SCANS, json=scan_body(house.code()))

    def count(table: str) -> int:
        with sqlite3.connect(tmp_path / FILE_NAME) as db:
            return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own words

    assert [count(table) for table in ("results", "scans", "showings", "shifts")] == [1, 1, 1, 1]
    house.clock.now += timedelta(minutes=16)
    page.get("/v1/counter/session")
    assert [count(table) for table in ("results", "scans", "showings", "shifts")] == [0, 1, 1, 1]
    ledger, over = house.counters.administration.ledger, house.clock.now + SHOWINGS_KEPT
    ledger.forget(over, house.clock.now - timedelta(days=90))
    assert [count(table) for table in ("results", "scans", "showings", "shifts")] == [0, 0, 0, 1]
    house.counters.administration.ledger.forget(house.clock.now, house.clock.now)
    assert count("shifts") == 0
    house.counters.close()


_CHILD = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ecard_verifier.counters.database import Database
from ecard_verifier.counters.ledger_sql import SqlLedger
database = Database(Path(sys.argv[1]), durable=False)
ledger, now = SqlLedger(database), datetime.now(UTC)
print("ready", flush=True)
sys.stdin.readline()
won = sum(ledger.show(f"code {n}", sys.argv[2], sys.argv[2], now) is None for n in range(200))
print(won, flush=True)
sys.stdin.readline()
with database.changing() as do:
    do("INSERT INTO guesses VALUES ('half', 1)")
    print("half", flush=True)
    sys.stdin.readline()
"""


def test_two_processes_share_it_and_a_killed_one_loses_only_what_it_had_not_finished(tmp_path: Path) -> None:
    """Of 200 codes at both, each has one winner; the one killed within a transaction has done nothing in it."""
    path = tmp_path / FILE_NAME
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        won = [int(child.stdout.readline()) for child in children if child.stdout is not None]
        assert sum(won) == 200
        first = children[0]
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("half\n")
        first.stdin.flush()
        assert first.stdout.readline() == "half\n"
    finally:
        for child in children:
            child.kill()
            child.communicate(timeout=20)
    database = Database(path, durable=True)
    assert database.one("SELECT COUNT(*) FROM showings")[0] == 200
    assert database.one("SELECT COUNT(*) FROM guesses")[0] == 0
    database.close()


def test_a_scan_that_a_dead_process_left_is_judged_after_a_while(house: House, hospital: Json) -> None:
    ledger, now = house.counters.administration.ledger, house.clock()
    assert ledger.begin_scan("left", now, now) is True
    assert ledger.begin_scan("left", now, now - timedelta(seconds=30)) is False
    later = now + timedelta(seconds=31)
    assert ledger.begin_scan("left", later, later - timedelta(seconds=30)) is True


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME, durable=False)
    ledger = SqlLedger(database)

    def twice() -> None:
        with database.changing() as do:
            do("INSERT INTO guesses VALUES ('x', 1)")
            do("INSERT INTO results VALUES ('r', x'00', 1)")
            do("INSERT INTO results VALUES ('r', x'00', 1)")

    with pytest.raises(Conflict, match="already_there"):
        twice()
    assert database.one("SELECT COUNT(*) FROM guesses")[0] == 0
    assert ledger.count_open()
    database.close()


def test_a_file_that_cannot_be_read_is_our_fault(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable, match="counters_unavailable"):
        Database(tmp_path / FILE_NAME, durable=False)
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match="counters_damaged"):
        Database(other, durable=False)


def test_an_altered_result_is_no_result(house: House, hospital: Json) -> None:
    done = house.page(hospital).post(SCANS, json=scan_body(house.code())).json()
    ledger = house.counters.administration.ledger
    assert isinstance(ledger, SqlLedger)
    with ledger._db.changing() as do:
        for key, sealed in do("SELECT digest, sealed FROM results").fetchall():
            do("UPDATE results SET sealed = ? WHERE digest = ?", (sealed[:-1] + bytes([sealed[-1] ^ 1]), key))
    answer = hospital["system"].get(f"/v1/verifications/{done['verification_id']}")
    assert (answer.status_code, answer.json()["code"]) == (503, "counters_damaged")


def test_no_cell_begins_a_formula(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    page.post(SCANS, json=scan_body("x"))
    [row] = house.counters.administration.ledger.rows(hospital["counter_id"], house.clock() - timedelta(days=1), 1)
    for beginning in ("=", "+", "-", "@", "\t", "\r", " =", "＝"):
        line = as_csv([replace(row, staff=beginning + "1")]).split("\r\n", 1)[1]
        assert f"'{beginning}1" in line


def test_what_is_sealed_under_one_id_opens_under_no_other() -> None:
    sealed = seal("ver_" + "a" * 22, "result", {"name": "王小三"})
    assert unseal("ver_" + "a" * 22, "result", sealed) == {"name": "王小三"}
    for key_of, label in (("ver_" + "a" * 21 + "b", "result"), ("", "result"), ("ver_" + "a" * 22, "scan")):
        with pytest.raises(Unavailable, match="counters_damaged"):
            unseal(key_of, label, sealed)
