"""The journal of the signing desk: on the disk before a key is used, in one chain, and closed off after a crash."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from ecard_card.errors import CheckFailed, Unavailable
from ecard_keys.desk.journal import FIRST, Journal, Outcome, digest_of_line

NOW = datetime(2026, 11, 24, 23, 59, 58, tzinfo=UTC)


def write(journal: Journal, *drafts: bytes, now: datetime = NOW) -> None:
    journal.append(
        now=now, caller="issuer", profile="credential", key_id="0a0b0c0d", outcome=Outcome.SIGNING, drafts=drafts
    )


def day(folder: Path) -> Path:
    return max(folder.glob("*.jsonl"))


def test_lines_are_chained_across_days_and_restarts(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder)
    for number in range(3):
        write(journal, bytes([number]), now=NOW + timedelta(seconds=number))
    write(Journal(folder), b"again", now=NOW + timedelta(days=3))
    write(journal, b"and the first writer goes on", now=NOW + timedelta(days=3))
    names = sorted(path.name for path in folder.glob("*.jsonl"))
    assert names == ["2026-11-24.jsonl", "2026-11-25.jsonl", "2026-11-27.jsonl"]
    assert Journal(folder).check() == 5
    assert [entry.at for entry in journal.entries()] == sorted(entry.at for entry in journal.entries())


def test_a_draft_is_found_by_its_hash_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, b"one", b"two")
    write(journal, b"three")
    (found,) = journal.find(sha256(b"two").hexdigest())
    assert (found.caller, found.profile, found.key_id, found.at) == (
        "issuer",
        "credential",
        "0a0b0c0d",
        int(NOW.timestamp()),
    )
    assert journal.find(sha256(b"four").hexdigest()) == []
    assert b"two" not in day(tmp_path).read_bytes()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new")
    write(journal, b"x")
    assert stat.S_IMODE(day(journal.folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_line_cut_short_is_closed_off_and_noted(tmp_path: Path, kept: int) -> None:
    """`kept` bytes of the second line reached the disk; -1: all but its end."""
    journal = Journal(tmp_path)
    write(journal, b"whole")
    first = day(tmp_path).read_bytes()
    write(journal, b"cut")
    second = day(tmp_path).read_bytes()[len(first) :]
    day(tmp_path).write_bytes(first + second[:kept])
    assert Journal(tmp_path).check() == (2 if kept == -1 else 1)  # whole but for its end: it reads as a line
    after = Journal(tmp_path)
    write(after, b"next")
    write(Journal(tmp_path), b"and another writer")
    outcomes = [entry.outcome for entry in after.entries()]
    torn = [] if kept == 0 else [Outcome.TORN]
    whole = [Outcome.SIGNING] * (2 if kept == -1 else 1)
    assert outcomes == [*whole, *torn, Outcome.SIGNING, Outcome.SIGNING]
    assert after.check() == len(outcomes)


def test_a_first_line_cut_short_is_noted_too(tmp_path: Path) -> None:
    write(Journal(tmp_path), b"x")
    path = day(tmp_path)
    path.write_bytes(path.read_bytes()[:10])
    journal = Journal(tmp_path)
    write(journal, b"y", now=NOW + timedelta(days=1))
    assert [entry.outcome for entry in journal.entries()] == [Outcome.TORN, Outcome.SIGNING]
    assert journal.check() == 2


def _change(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"issuer", b"nobody"), *lines[2:]]


@pytest.mark.parametrize(
    "change",
    [
        _change,
        lambda lines: [*lines[:1], *lines[2:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: lines[1:],
        lambda lines: [lines[0], b"garbage\n", *lines[2:]],
        lambda lines: [*lines, b"garbage\n"],
        lambda lines: [lines[0], lines[0], *lines[1:]],
    ],
    ids=["changed", "taken-out", "swapped", "beginning-gone", "overwritten", "added", "repeated"],
)
def test_whatever_is_done_to_a_line_shows(tmp_path: Path, change: object) -> None:
    journal = Journal(tmp_path)
    for number in range(4):
        write(journal, bytes([number]))
    path = day(tmp_path)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))  # type: ignore[operator]
    with pytest.raises(CheckFailed) as broken:
        journal.check()
    assert broken.value.code == "signing_journal_broken"


def test_old_days_may_go_to_an_archive(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, b"old")
    write(journal, b"new", now=NOW + timedelta(days=1))
    old = min(tmp_path.glob("*.jsonl"))
    last = digest_of_line(old.read_bytes().splitlines()[-1])
    old.unlink()
    assert journal.check(after=last) == 1
    with pytest.raises(CheckFailed):
        journal.check()
    assert FIRST != last


def test_a_clock_set_back_opens_no_older_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, b"a", now=NOW + timedelta(days=1))
    write(journal, b"b", now=NOW)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    assert journal.check() == 2


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    """Threads of one journal, journals of one process, and another process."""
    journals = [Journal(tmp_path), Journal(tmp_path)]
    program = (
        "import sys; from pathlib import Path; from tests.keys.test_journal import *\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in range(20): write(journal, b'%d' % n)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write(journals[n % 2], b"thread %d" % n), range(80)))
    assert other.wait(30) == 0
    assert journals[0].check() == 100


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as refused:
        Journal(tmp_path / "file")
    assert refused.value.code == "signing_journal_unavailable"
    journal = Journal(tmp_path / "journal")
    os.mkfifo(journal.folder / "2026-11-24.jsonl")
    for _ in range(2):
        with pytest.raises(Unavailable):
            write(journal, b"x")


def test_a_full_disk_refuses_and_the_journal_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    write(journal, b"before")
    true_write = os.write

    def full(handle: int, data: bytes) -> int:
        true_write(handle, bytes(data[:25]))  # some of it still fits
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Unavailable, match="signing_journal_unavailable"):
            write(journal, b"lost")
    write(journal, b"after")
    assert [entry.outcome for entry in journal.entries()] == [Outcome.SIGNING, Outcome.TORN, Outcome.SIGNING]
    assert journal.check() == 3


def test_each_request_is_synced_once_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    write(journal, b"first")
    synced: list[int] = []
    true_sync = os.fsync

    def sync(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        true_sync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    write(journal, *(bytes([n]) for n in range(200)))
    assert synced == [day(tmp_path).stat().st_size]
