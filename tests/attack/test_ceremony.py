"""Ceremonies under attack: plans that show one thing and do another, papers that exhaust a machine, entries that name
keys which their issuer does not have."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.ceremony import ceremony
from ecard_keys.ceremony.plan import make_plan, read_plan, require_root
from ecard_keys.ceremony.transcript import read_transcript
from ecard_keys.ceremony.words import describe
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.trust import trust_list
from ecard_keys.trust.content import TrustList
from ecard_keys.trust.root import TrustRoot
from ecard_keys.trust.submission import make_submission, read_submission
from ecard_keys.trust.trust_list import IssuerEntry, assemble
from ecard_sdk.cli import main
from tests.attack.kit import OTHER_ISSUER, OTHER_STATUS, cost, entry, other_world
from tests.root_holders import Holder, pairs, root_of, sign_list
from tests.world import NOW, World, seconds

WORLD, OTHER = World(), other_world()
T = seconds(NOW)
ANA, BO, CHEN = WORLD.roots
FIRST = WORLD.trust_list()
DOCUMENT = WORLD.trust_document()


def following(*entries: IssuerEntry, after: TrustList = FIRST, **changes: object) -> TrustList:
    content = replace(after, version=after.version + 1, previous=after.digest, issued_at=T, issuers=entries)
    return replace(content, **changes)  # type: ignore[arg-type]


def plan_of(content: TrustList, root: TrustRoot = WORLD.root, predecessor: bytes = DOCUMENT) -> bytes:
    return make_plan(T, root, predecessor, content=content)


def test_a_plan_under_a_strangers_root_is_not_the_plan_of_ours() -> None:
    """The stranger's root has our Ana in it, so she may sign; its own list shows the stranger's key as an old one."""
    stranger = Holder("Chen")
    theirs = TrustRoot((ANA.public, BO.public, stranger.public), 1)
    thief = IssuerEntry(OTHER_ISSUER, OTHER_STATUS, ("000000",), OTHER.records())
    faked = replace(FIRST, version=40, previous=FIRST.digest, issuers=(*FIRST.issuers, thief))
    before = sign_list(trust_list.draft(faked), [stranger])
    plan = read_plan(plan_of(following(*faked.issuers, after=faked), theirs, before))
    shown = "\n".join(describe(plan, "en"))
    assert "+ new issuer" not in shown, "the attack is that nothing new is shown"
    # Ana's and Bo's signatures would count: verifiers allow a gap of versions.
    assert plan.content is not None
    draft = trust_list.draft(plan.content)
    stolen = assemble(draft, pairs(draft, [ANA, BO]))
    assert trust_list.open_trust_list(stolen, WORLD.root, now=T, known=FIRST).version == 41
    # What keeps them from it: the root by its digest in what they read, and by its file in what they run.
    assert theirs.digest in shown
    with pytest.raises(EcardError, match="ceremony_other_root"):
        require_root(plan, WORLD.root)
    require_root(read_plan(plan_of(following(*FIRST.issuers))), WORLD.root)


RECORD = WORLD.credential_key.record(KeyPurpose.CREDENTIAL)


@pytest.mark.parametrize(
    "squatter",
    [
        pytest.param(replace(entry(OTHER), keys=(RECORD,)), id="another issuer's key"),
        pytest.param(replace(entry(OTHER), keys=(replace(RECORD, state=KeyState.RETIRED),)), id="the same, retired"),
        pytest.param(
            replace(entry(OTHER), keys=(replace(RECORD, purpose=KeyPurpose.STATUS),)), id="for another purpose"
        ),
        pytest.param(replace(entry(OTHER), status_uri=WORLD.status_uri), id="its status host"),
        pytest.param(
            replace(entry(OTHER), status_uri="https://issuer.example/status-{list}s/1"), id="almost its status host"
        ),
        pytest.param(
            replace(entry(OTHER), status_uri="https://issuer.example/status-lists/7{list}"), id="part of its lists"
        ),
    ],
)
def test_a_list_that_takes_an_issuers_keys_away_is_never_signed(squatter: IssuerEntry, request: object) -> None:
    """Verifiers use neither of two that claim a key or an address: all cards of the first would be refused."""
    if "{list}s" in squatter.status_uri:  # a word where a number is wanted: nobody's address
        plan_of(following(*FIRST.issuers, squatter))
        return
    with pytest.raises(InvalidInput):
        plan_of(following(*FIRST.issuers, squatter))


@pytest.mark.parametrize(
    "change",
    [
        {"state": KeyState.VERIFY_ONLY, "retired_from": 2**53 - 1},
        {"state": KeyState.VERIFY_ONLY, "retired_from": T + 1},
        {"state": KeyState.COMPROMISED, "compromised_from": 2**53 - 1},
        {"state": KeyState.NEXT},
    ],
    ids=str,
)
def test_a_key_whose_signatures_of_tomorrow_count_is_proven_whatever_its_state_is_called(
    change: dict[str, object],
) -> None:
    own = EphemeralSigner()
    claimed = replace(WORLD.credential_key.record(KeyPurpose.CREDENTIAL), **change)  # type: ignore[arg-type]
    submitted = IssuerEntry(OTHER_ISSUER, OTHER_STATUS, (), (own.record(KeyPurpose.STATUS), claimed))

    def sign(record: KeyRecord, message: bytes) -> bytes:
        return own.sign(own.key_id, [message])[0]

    with pytest.raises(EcardError, match="submission_unproven"):
        make_submission(submitted, sign, T)


def test_a_submission_is_no_trust_list_and_a_trust_list_no_submission() -> None:
    own = EphemeralSigner()
    submitted = IssuerEntry(OTHER_ISSUER, OTHER_STATUS, (), (own.record(KeyPurpose.STATUS),))
    data = make_submission(submitted, lambda _, message: own.sign(own.key_id, [message])[0], T)
    holder = Holder()
    holder.classical, holder.public = own, replace(holder.public, es256=own.public)
    with pytest.raises(EcardError, match="trust_undersigned"):
        trust_list.open_trust_list(data, root_of([holder], 1), now=T)
    with pytest.raises(EcardError):
        read_submission(DOCUMENT, T)


@pytest.mark.parametrize("moment", [253402300800, 2**53 - 1])
@pytest.mark.parametrize("where", ["exp", "nbf", "retired", "compromised"])
def test_a_date_that_no_calendar_has_is_shown_and_does_not_end_the_program(where: str, moment: int) -> None:
    bounds: dict[str, KeyRecord] = {
        "nbf": replace(RECORD, not_before=moment),
        "retired": replace(RECORD, retired_from=moment),
        "compromised": replace(RECORD, compromised_from=moment),
    }
    changed = replace(FIRST.issuers[0], keys=(bounds.get(where, RECORD), *FIRST.issuers[0].keys[1:]))
    content = following(changed)
    if where == "exp":
        content = replace(content, expires_at=moment)
    assert str(moment) in "\n".join(describe(read_plan(plan_of(content)), "en"))


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""', b"[[]]"])
def test_papers_of_nothing_but_brackets_do_not_fill_the_memory(item: bytes) -> None:
    many = b",".join([item] * ((11 << 20) // (len(item) + 1)))
    assert cost(lambda: read_plan(b'{"format":[' + many + b"]}")).megabytes < 128


def test_a_transcript_of_nothing_but_line_ends_does_not_fill_the_memory() -> None:
    papers = b"\n" * (20 << 20)
    assert cost(lambda: read_transcript(papers)).megabytes < 64


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda lines: lines[:1] + lines[2:], id="a step taken out"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="two steps changed about"),
        pytest.param(lambda lines: [*lines[:2], lines[1], *lines[2:]], id="a step twice"),
        pytest.param(lambda lines: [*lines, lines[-1]], id="two ends"),
        pytest.param(lambda lines: lines[1:], id="no plan"),
        pytest.param(lambda lines: [*lines[:-1], b"", lines[-1]], id="an empty line"),
        pytest.param(lambda lines: [lines[0], *(line.replace(b":", b": ", 1) for line in lines[1:])], id="spaces"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1] + b"\r"], id="another line end"),
        pytest.param(lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]], id="a byte order mark"),
    ],
)
def test_an_edited_transcript_is_refused(edit: Callable[[list[bytes]], list[bytes]]) -> None:
    assert read_transcript(b"\n".join(finished()) + b"\n").documents is not None
    with pytest.raises(EcardError, match="ceremony_transcript_broken"):
        read_transcript(b"\n".join(edit(finished())) + b"\n")


class Hand:
    """A holder's key file in memory."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    def holders(self) -> tuple[object, ...]:
        return (self._holder.public,)

    def sign(self, _: object, inputs: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        return self._holder.sign(inputs)


def finished() -> list[bytes]:
    """The lines of a ceremony that two holders signed."""
    transcript = ceremony.resume(read_plan(plan_of(following(*FIRST.issuers))), None)
    for holder in (ANA, CHEN):
        transcript, _ = ceremony.sign(transcript, Hand(holder), T, "test")  # type: ignore[arg-type]
    ended, _ = ceremony.finish(transcript, T)
    return list(ended.lines)


def test_steps_of_one_ceremony_are_none_of_another() -> None:
    """The same list, planned a second later: nobody saw that plan."""
    lines = finished()
    plan = make_plan(T + 1, WORLD.root, DOCUMENT, content=following(*FIRST.issuers))
    first = ceremony.resume(read_plan(plan), None).lines[0]
    with pytest.raises(EcardError, match="ceremony_transcript_broken"):
        read_transcript(b"\n".join([first, *lines[1:]]) + b"\n")


def test_a_key_file_is_its_holders_alone_and_no_passphrase_is_said_or_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "correct horse battery staple"
    (tmp_path / "pass").write_text(secret + "\n")
    file = tmp_path / "key.json"
    command = ["trust", "ceremony", "key", str(file), "--name", "Ana", "--passphrase-file", str(tmp_path / "pass")]
    assert main(command) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = "".join(capfd.readouterr())
    assert secret not in said + file.read_text()
    assert json.loads(said).keys() == {"name", "keys"}
    assert jose.parse_jwk(json.loads(said)["keys"][0])
    file.chmod(0o644)
    assert main(command) != 0
    assert "key_file_permissions" in "".join(capfd.readouterr())
    with pytest.raises(SystemExit):
        main(["trust", "ceremony", "key", str(file), "--passphrase", secret])
