"""A ceremony as its people live it: three holders, three key files in three folders, one plan passed along."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecard_card.errors import CheckFailed
from ecard_keys.ceremony.ceremony import read_outcome
from ecard_keys.ceremony.plan import make_plan, read_plan
from ecard_keys.cli import ceremony as command
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import TrustRoot, holder_from_json, root_to_json
from ecard_keys.trust.root_chain import walk_roots
from ecard_keys.trust.trust_list import IssuerEntry, TrustList, open_trust_list
from ecard_sdk.cli import main

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
T = int(NOW.timestamp())
KEY, NEXT = EphemeralSigner(), EphemeralSigner()
NAMES = ("ana", "bo", "chen", "dai")


@dataclass
class Table:
    """The room of the ceremony: a folder for each holder, and one for the papers."""

    folder: Path
    out: Callable[[], str]

    @property
    def root(self) -> TrustRoot:
        """The first root: two of Ana, Bo and Chen."""
        return self.rooted("ana", "bo", "chen")

    @property
    def plan(self) -> Path:
        return self.folder / "papers" / "plan.json"

    @property
    def transcript(self) -> Path:
        return self.folder / "papers" / "plan.json.transcript"

    def run(self, *arguments: object) -> int:
        return main(["trust", "ceremony", *map(str, arguments)])

    def sign(self, name: str, *more: str) -> int:
        own = self.folder / name
        keys = ("--key-file", own / "key.json", "--passphrase-file", own / "pass")
        return self.run("sign", self.plan, "--root", self.known(), *keys, *(more or ("--yes",)))

    def known(self) -> Path:
        """The holders' own copy of the root; here it is always that of the plan, while the plan can be read."""
        copy = self.folder / "known-root.json"
        try:
            copy.write_text(json.dumps(json.loads(self.plan.read_bytes())["root"]))
        except (KeyError, TypeError, ValueError):
            copy.write_text(json.dumps(root_to_json(self.root)))
        return copy

    def finish(self) -> tuple[bytes, ...]:
        result = self.folder / "papers" / "result.json"
        assert self.run("finish", self.plan, "-o", result) == 0
        return read_outcome(result.read_bytes())

    def holder(self, name: str) -> object:
        return json.loads((self.folder / name / "public.json").read_bytes())

    def rooted(self, *names: str, threshold: int = 2, after: TrustRoot | None = None) -> TrustRoot:
        holders = tuple(holder_from_json(self.holder(name)) for name in names)
        if after is None:
            return TrustRoot(holders, threshold)
        return TrustRoot(holders, threshold, after.version + 1, after.digest)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four holders' folders, as `key` makes them."""
    folder = tmp_path_factory.mktemp("ceremony")
    (folder / "papers").mkdir()
    for name in NAMES:
        own = folder / name
        own.mkdir()
        (own / "pass").write_text(f"the passphrase of {name}\n")
        captured = io.TextIOWrapper(io.BytesIO())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", captured)
            arguments = ["key", str(own / "key.json"), "--name", name.title(), "--passphrase-file", str(own / "pass")]
            assert main(["trust", "ceremony", *arguments]) == 0
        captured.seek(0)
        (own / "public.json").write_bytes(captured.buffer.read())
    return folder


@pytest.fixture
def table(keys: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Table:
    (tmp_path / "papers").mkdir()
    for name in NAMES:
        (tmp_path / name).symlink_to(keys / name)
    monkeypatch.setattr(command, "_now", lambda: NOW)
    monkeypatch.setenv("LC_ALL", "C")
    return Table(tmp_path, lambda: "".join(capfd.readouterr()))


def entry(*records: object) -> IssuerEntry:
    return IssuerEntry("https://a.example", "https://a.example/status-lists/{list}", ("330000",), records)  # type: ignore[arg-type]


FIRST = TrustList(1, T - 60, T + 86_400, None, (entry(KEY.record(KeyPurpose.CREDENTIAL, T - 60)),))


def planned(table: Table, content: TrustList | None = FIRST, **more: object) -> bytes:
    data = make_plan(T - 30, table.root, more.pop("predecessor", None), content=content, **more)  # type: ignore[arg-type]
    table.plan.write_bytes(data)
    return data


def second(**changes: object) -> TrustList:
    following = replace(
        FIRST,
        version=2,
        issued_at=T - 30,
        previous=FIRST.digest,
        issuers=(
            entry(
                replace(FIRST.issuers[0].keys[0], state=KeyState.VERIFY_ONLY, retired_from=T),
                NEXT.record(KeyPurpose.CREDENTIAL, T),
            ),
        ),
    )
    return replace(following, **changes)  # type: ignore[arg-type]


def test_two_of_three_holders_make_a_list_that_a_client_believes(table: Table) -> None:
    planned(table)
    assert table.run("finish", table.plan, "-o", table.folder / "early") == 1
    assert "ceremony_unfinished" in table.out()
    assert table.sign("ana") == 0
    assert "Still needed: 0 holders of the present root, 0 of the new root, 1 for the list." in table.out()
    assert table.sign("chen") == 0
    (document,) = table.finish()
    assert open_trust_list(document, table.root, now=T) == FIRST
    assert table.run("check", table.transcript, "--document", table.folder / "papers" / "result.json") == 0
    said = table.out()
    assert "2 holders signed" in said
    assert "Ana (" in said
    assert "Chen (" in said
    assert not (table.folder / "early").exists()


def test_what_is_shown_is_what_changes(table: Table) -> None:
    planned(table)
    table.sign("ana")
    table.sign("bo")
    (document,) = table.finish()
    planned(table, second(), predecessor=document)
    table.transcript.unlink()
    table.out()
    assert table.run("show", table.plan) == 0
    said = table.out()
    plan = read_plan(table.plan.read_bytes())
    assert "Trust list version 2" in said
    assert "It follows version 1" in said
    assert f"~ key {KEY.key_id}, credential: active" in said
    assert "-> verify-only" in said
    assert f"+ key {NEXT.key_id}, ES256, credential, active" in said
    assert " ".join(plan.digest_groups[:8]) in said
    assert len(plan.digest_groups) == 16


def test_it_speaks_chinese(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(table)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert table.run("show", table.plan) == 0
    assert "新增签发机构 https://a.example" in table.out()


@pytest.mark.parametrize(("typed", "status"), [("right", 0), ("0000x", 1), ("", 1)])
def test_a_holder_confirms_the_digest(table: Table, monkeypatch: pytest.MonkeyPatch, typed: str, status: int) -> None:
    planned(table)
    first = read_plan(table.plan.read_bytes()).digest_groups[0]
    monkeypatch.setattr("sys.stdin", io.StringIO((first.upper() if typed == "right" else typed) + "\n"))
    own = table.folder / "ana"
    arguments = (
        "sign",
        table.plan,
        "--root",
        table.known(),
        "--key-file",
        own / "key.json",
        "--passphrase-file",
        own / "pass",
    )
    assert table.run(*arguments) == status
    assert table.transcript.exists() == (status == 0)


def test_signing_twice_is_harmless(table: Table) -> None:
    planned(table)
    assert table.sign("ana") == 0
    before = table.transcript.read_bytes()
    assert table.sign("ana") == 0
    assert "signed before" in table.out()
    assert table.transcript.read_bytes() == before


def test_a_finished_ceremony_takes_no_more_signatures_and_can_be_finished_again(table: Table) -> None:
    planned(table)
    table.sign("ana")
    table.sign("bo")
    once = table.finish()
    assert table.sign("chen") == 1
    assert "ceremony_finished" in table.out()
    assert table.finish() == once


def test_an_interruption_leaves_the_steps_before_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(table)
    table.sign("ana")
    before = table.transcript.read_bytes()

    def full(handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert table.sign("bo") == 3
    assert table.transcript.read_bytes() == before
    assert sorted(path.name for path in table.plan.parent.iterdir()) == ["plan.json", "plan.json.transcript"]
    assert table.sign("bo") == 0
    assert open_trust_list(table.finish()[0], table.root, now=T)


def test_a_wrong_passphrase_signs_nothing(table: Table) -> None:
    planned(table)
    own = table.folder / "ana"
    keys = ("--key-file", own / "key.json", "--passphrase-file", table.folder / "bo" / "pass")
    arguments = ("--root", table.known(), *keys, "--yes")
    assert table.run("sign", table.plan, *arguments) == 3
    assert "key_file_passphrase_wrong" in table.out()
    assert not table.transcript.exists()


def test_a_stranger_has_nothing_to_sign(table: Table) -> None:
    planned(table)
    assert table.sign("dai") == 1
    assert "ceremony_not_a_holder" in table.out()


def test_a_plan_edited_after_the_first_signature_is_refused(table: Table) -> None:
    planned(table)
    table.sign("ana")
    planned(table, replace(FIRST, expires_at=FIRST.expires_at + 1))
    for arguments in (("show", table.plan), ("finish", table.plan, "-o", table.folder / "x")):
        assert table.run(*arguments) == 1
        assert "ceremony_plan_changed" in table.out()
    assert table.sign("bo") == 1
    assert "ceremony_plan_changed" in table.out()


def test_white_space_is_no_change(table: Table) -> None:
    data = planned(table)
    table.sign("ana")
    table.plan.write_bytes(json.dumps(json.loads(data)).encode())
    assert table.sign("bo") == 0


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda plan: plan | {"more": 1}, id="a member nobody knows"),
        pytest.param(lambda plan: plan | {"list": plan["list"] | {"hidden": "x"}}, id="hidden in the list"),
        pytest.param(lambda plan: plan | {"list": plan["list"] | {"version": 3}}, id="a gap"),
        pytest.param(lambda plan: plan | {"list": plan["list"] | {"root": 2}}, id="another root"),
        pytest.param(lambda plan: plan | {"list": None}, id="nothing to sign"),
        pytest.param(lambda plan: plan | {"made_at": "now"}, id="no date"),
        pytest.param(lambda plan: plan | {"chain": [7]}, id="an odd chain"),
        pytest.param(lambda plan: plan | {"predecessor": {"payload": "", "signatures": []}}, id="odd predecessor"),
        pytest.param(lambda plan: [], id="no object"),
    ],
)
def test_a_plan_that_is_odd_is_refused_before_anybody_is_asked(table: Table, edit: Callable[..., object]) -> None:
    data = planned(table)
    table.plan.write_bytes(json.dumps(edit(json.loads(data))).encode())
    assert table.sign("ana") in (1, 2)
    assert not table.transcript.exists()


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (NOW - timedelta(minutes=10), "ceremony_clock_odd"),
        (NOW + timedelta(days=1, minutes=1), "ceremony_plan_expired"),
    ],
)
def test_the_clock_is_judged(table: Table, monkeypatch: pytest.MonkeyPatch, moment: datetime, code: str) -> None:
    planned(table)
    monkeypatch.setattr(command, "_now", lambda: moment)
    assert table.sign("ana") == 1
    assert code in table.out()


def test_an_expired_predecessor_needs_a_word(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(table)
    table.sign("ana")
    table.sign("bo")
    (document,) = table.finish()
    table.transcript.unlink()
    planned(table, second(expires_at=T + 10 * 86_400), predecessor=document)
    monkeypatch.setattr(command, "_now", lambda: NOW + timedelta(days=2))
    assert table.sign("ana") == 1
    assert "ceremony_predecessor_expired" in table.out()
    assert table.sign("ana", "--yes", "--allow-expired") == 0


def test_a_clock_behind_the_step_before_is_refused(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(table)
    table.sign("ana")
    monkeypatch.setattr(command, "_now", lambda: NOW - timedelta(seconds=62))
    assert table.sign("bo") == 1
    assert "ceremony_clock_odd" in table.out()


def test_a_second_command_at_the_same_time_is_refused(table: Table) -> None:
    planned(table)
    with table.plan.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert table.sign("ana") == 1
    assert "ceremony_busy" in table.out()


@pytest.fixture(scope="module")
def papers() -> dict[str, bytes]:
    """The papers of a finished ceremony, once there has been one."""
    return {}


@pytest.fixture
def finished(table: Table, papers: dict[str, bytes]) -> Table:
    """All three signed: plan, three steps, the end."""
    if not papers:
        planned(table)
        for name in ("ana", "bo", "chen"):
            assert table.sign(name) == 0
        table.finish()
        papers |= {path.name: path.read_bytes() for path in table.plan.parent.iterdir()}
    for name, data in papers.items():
        (table.plan.parent / name).write_bytes(data)
    return table


def spoilt(lines: list[dict[str, object]], number: int, member: str) -> list[dict[str, object]]:
    """The lines with one member of one line bent, as somebody would who knows the format: canonical again."""
    line = json.loads(json.dumps(lines[number]))
    value = line[member]
    if isinstance(value, int):
        line[member] = value + 1
    elif isinstance(value, str):
        line[member] = ("1" if value[0] == "0" else "0") + value[1:]
    elif isinstance(value, list):
        line[member] = value[::-1]
    elif member == "plan":
        line[member]["made_at"] += 1
    elif member == "documents":
        line[member] = {name: "0" * 64 for name in value}
    else:
        line[member] = {name: pair[::-1] for name, pair in value.items()}
    return [*lines[:number], line, *lines[number + 1 :]]


STEP = ("kind", "previous", "plan", "at", "tool", "holder", "signatures", "seal")
PLACES = [
    *((0, member) for member in ("format", "kind", "plan")),
    *((number, member) for number in (1, 2, 3) for member in STEP),
    *((4, member) for member in ("kind", "previous", "plan", "documents")),
]


@pytest.mark.parametrize(("number", "member"), PLACES, ids=[f"line {n + 1} {m}" for n, m in PLACES])
def test_every_member_of_every_line_is_guarded(finished: Table, number: int, member: str) -> None:
    lines = [json.loads(line) for line in finished.transcript.read_text().splitlines()]
    assert set(lines[number]) >= {member}
    changed = spoilt(lines, number, member)
    text = "".join(
        json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for line in changed
    )
    finished.transcript.write_text(text)
    finished.out()
    assert finished.run("check", finished.transcript) == 1
    assert "ceremony_transcript_broken" in finished.out()


@pytest.mark.parametrize(
    ("number", "member"),
    [(0, "plan"), *((number, member) for number in (1, 2, 3) for member in ("at", "tool", "holder", "signatures"))],
    ids=lambda value: str(value),
)
def test_chaining_the_lines_anew_does_not_help(finished: Table, number: int, member: str) -> None:
    """A forger may compute every hash, and has no holder's keys."""
    lines = spoilt([json.loads(line) for line in finished.transcript.read_text().splitlines()], number, member)
    digest = hashlib.sha256(canonical_json(lines[0]["plan"])).hexdigest()
    written = [canonical_json(lines[0])]
    for line in lines[1:]:
        previous = hashlib.sha256(written[-1]).hexdigest()
        written.append(canonical_json(line | {"previous": previous, "plan": digest}))
    finished.transcript.write_bytes(b"".join(line + b"\n" for line in written))
    finished.out()
    assert finished.run("check", finished.transcript) == 1
    assert "ceremony_transcript_broken" in finished.out()


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((0, 1, 3, 4), id="a line taken out"),
        pytest.param((0, 2, 1, 3, 4), id="two exchanged"),
        pytest.param((0, 1, 2, 2, 3, 4), id="one twice"),
        pytest.param((0, 1, 2, 3, 4, 4), id="something after the end"),
        pytest.param((1, 2, 3, 4), id="without the plan"),
        pytest.param((0, 1, 2, 3), id="without its end"),
        pytest.param((0, 1, 4), id="an end too early"),
    ],
)
def test_lines_stand_in_their_order(finished: Table, order: tuple[int, ...]) -> None:
    lines = finished.transcript.read_bytes().splitlines(keepends=True)
    finished.transcript.write_bytes(b"".join(lines[number] for number in order))
    assert finished.run("check", finished.transcript) == 1


def test_a_torn_line_and_garbage_are_refused(finished: Table) -> None:
    data = finished.transcript.read_bytes()
    for spoiled in (data[:-1], data[:-40], b"", b"\n", b"\xff\n", data + b"{}\n", b"[]\n" * 70):
        finished.transcript.write_bytes(spoiled)
        assert finished.run("check", finished.transcript) == 1


def test_another_document_is_not_what_came_out(finished: Table) -> None:
    result = finished.folder / "papers" / "result.json"
    result.write_bytes(result.read_bytes() + b" ")
    assert finished.run("check", finished.transcript, "--document", result) == 1
    assert "ceremony_other_outcome" in finished.out()


def test_the_holders_change_and_an_old_client_follows(table: Table) -> None:
    """Ana leaves, Dai comes; root and list in one ceremony. The client pinned the first root years ago."""
    planned(table)
    table.sign("ana")
    table.sign("bo")
    (before,) = table.finish()
    table.transcript.unlink()
    new = table.rooted("bo", "chen", "dai", after=table.root)
    planned(table, second(root_version=2), predecessor=before, new_root=new)
    table.out()
    table.run("show", table.plan)
    said = table.out()
    assert "+ new holder Dai (" in said
    assert "- holder Ana (" in said
    for name in ("bo", "chen"):
        assert table.sign(name) == 0
        assert table.run("finish", table.plan, "-o", table.folder / "early") == 1  # Dai has not shown the keys
    assert table.sign("dai") == 0
    root_document, list_document = table.finish()
    client = TrustRoot(table.root.holders, table.root.threshold)
    known = open_trust_list(before, client, now=T)
    with pytest.raises(CheckFailed, match="trust_root_outdated"):
        open_trust_list(list_document, client, now=T, known=known)
    walked = walk_roots(client, [root_document])
    assert walked == new
    assert open_trust_list(list_document, walked, now=T, known=known).version == 2
    with pytest.raises(CheckFailed, match="trust_undersigned"):
        open_trust_list(before, walked, now=T)
    assert table.run("check", table.transcript) == 0


def test_a_root_alone_and_then_a_list_over_the_chain(table: Table) -> None:
    planned(table)
    table.sign("ana")
    table.sign("bo")
    (before,) = table.finish()
    table.transcript.unlink()
    new = table.rooted("chen", "dai", threshold=1, after=table.root)
    planned(table, None, predecessor=before, new_root=new)
    for name in ("ana", "bo", "chen", "dai"):
        assert table.sign(name) == 0
    (root_document,) = table.finish()
    assert walk_roots(table.root, [root_document]) == new
    table.transcript.unlink()
    planned(table, second(root_version=2), predecessor=before, chain=[root_document])
    assert table.sign("ana") == 1  # she left
    assert table.sign("dai") == 0
    assert open_trust_list(table.finish()[0], new, now=T).version == 2


def test_a_key_file_is_made_once_and_told_again(table: Table, capfd: pytest.CaptureFixture[str]) -> None:
    own = table.folder / "ana"
    assert table.run("key", own / "key.json", "--name", "Ana", "--passphrase-file", own / "pass") == 0
    assert json.loads(capfd.readouterr().out) == table.holder("ana")
    assert (own / "key.json").stat().st_mode & 0o077 == 0
    assert root_to_json(table.root)["holders"][0] == table.holder("ana")  # type: ignore[index]
