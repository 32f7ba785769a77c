"""A ceremony: root holders sign a reviewed plan one after the other, on machines without a network.

`docs/formats/ceremony.md` describes the day; `cli/ceremony.py` is the command. Here is what happens to a plan and its
transcript, with no file and no clock of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput, NotAllowed, RuleViolation
from ecard_keys.ceremony.plan import Plan, judge_time
from ecard_keys.ceremony.transcript import (
    NAMES,
    STEP_TYPE,
    Step,
    Transcript,
    begin,
    read_transcript,
    step_content,
    with_end,
    with_step,
)
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import RootHolder
from ecard_keys.trust.root_chain import open_root
from ecard_keys.trust.root_home import RootHome
from ecard_keys.trust.root_signature import LIST_TYPE, MAX_DOCUMENT, ROOT_TYPE, assemble_signed, signing_inputs
from ecard_keys.trust.trust_list import open_trust_list


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ceremony is: who signed, who may still, and what is lacking. `missing` is empty when it can end."""

    signed: tuple[RootHolder, ...]
    open: tuple[RootHolder, ...]
    of_root: int  # signatures still needed of the present root's holders for a new root
    of_new_holders: int  # of the new root's holders, all of whom must sign it
    of_list: int  # for the list

    @property
    def complete(self) -> bool:
        return not (self.of_root or self.of_new_holders or self.of_list)


def resume(plan: Plan, transcript: bytes | None) -> Transcript:
    """The transcript of this plan so far; a new one where there is none.

    Raises `RuleViolation` `ceremony_plan_changed` where the plan was edited after the first signature, and what
    `read_transcript` raises.
    """
    if transcript is None:
        return begin(plan)
    found = read_transcript(transcript)
    if found.plan.digest != plan.digest:
        raise RuleViolation("ceremony_plan_changed", "this is not the plan that the transcript is about")
    return found


def sign(
    transcript: Transcript, home: RootHome, now: int, tool: str, *, allow_expired: bool = False
) -> tuple[Transcript, tuple[RootHolder, ...]]:
    """Each holder in `home` who has something to sign does; with the holders who did so now (none: all had before).

    `now` is this machine's NumericDate, `tool` what is used. Raises what `judge_time` raises; `NotAllowed`
    `ceremony_not_a_holder` for keys that are not in the plan; `RuleViolation` `ceremony_finished`,
    `ceremony_clock_odd` (a clock behind the last step's).
    """
    plan = transcript.plan
    judge_time(plan, now, allow_expired=allow_expired)
    mine = [holder for holder in home.holders() if plan.signs(holder)]
    if not mine:
        raise NotAllowed("ceremony_not_a_holder", "the keys in this file have nothing to sign in this plan")
    waiting = tuple(holder for holder in mine if transcript.step_of(holder) is None)
    if not waiting:
        return transcript, ()
    if transcript.documents is not None:
        raise RuleViolation("ceremony_finished", "this ceremony has ended; nothing is added to it")
    if transcript.steps and now + 60 < transcript.steps[-1].at:
        raise RuleViolation("ceremony_clock_odd", "this machine's clock is earlier than the step before")
    for holder in waiting:
        pairs = {
            kind: home.sign(holder, signing_inputs(holder, kind, plan.payloads[kind])) for kind in plan.signs(holder)
        }
        content = step_content(transcript, Step(holder, now, tool, pairs))
        seal = home.sign(holder, signing_inputs(holder, STEP_TYPE, canonical_json(content)))
        transcript = with_step(transcript, content, seal)
    return transcript, waiting


def standing(transcript: Transcript) -> Standing:
    """Who signed, and what is lacking."""
    plan = transcript.plan
    signed = tuple(step.holder for step in transcript.steps)
    of_root = of_new = of_list = 0
    if plan.new_root is not None:
        of_root = max(0, plan.root.threshold - sum(holder in plan.root.holders for holder in signed))
        of_new = sum(holder not in signed for holder in plan.new_root.holders)
    if plan.content is not None:
        of_list = max(0, plan.list_root.threshold - sum(holder in plan.list_root.holders for holder in signed))
    return Standing(signed, tuple(one for one in plan.holders if one not in signed), of_root, of_new, of_list)


def finish(transcript: Transcript, now: int | None) -> tuple[Transcript, dict[str, bytes]]:
    """The documents by kind, judged as a verifier does that knows the plan's root and predecessor; and the transcript
    with its end. Repeatable.

    `now` None judges no time, for a check long after. Raises `RuleViolation` `ceremony_unfinished` (signatures are
    lacking), and what `open_root` and `open_trust_list` raise.
    """
    plan = transcript.plan
    if not standing(transcript).complete:
        raise RuleViolation("ceremony_unfinished", "not enough holders have signed")
    documents = {}
    for kind, payload in plan.payloads.items():
        pairs = {step.holder: step.signatures[kind] for step in transcript.steps if kind in step.signatures}
        documents[kind] = assemble_signed(kind, payload, pairs)
    root = plan.root
    if ROOT_TYPE in documents:
        root = open_root(documents[ROOT_TYPE], root)
    if LIST_TYPE in documents:
        open_trust_list(documents[LIST_TYPE], root, now=now, known=plan.predecessor)
    if transcript.documents is None:
        return with_end(transcript, documents), documents
    return transcript, documents


def check(transcript: Transcript, outcome: bytes | None = None) -> dict[str, bytes]:
    """Judge a finished ceremony: its documents hold, and are those its end names (and `outcome`, a file of `finish`).

    Raises `RuleViolation` `ceremony_unfinished`, `CheckFailed` `ceremony_transcript_broken`, `ceremony_other_outcome`.
    """
    if transcript.documents is None:
        raise RuleViolation("ceremony_unfinished", "the transcript has no end")
    _, documents = finish(transcript, None)
    digests = {NAMES[kind]: hashlib.sha256(document).hexdigest() for kind, document in documents.items()}
    if digests != transcript.documents:
        raise CheckFailed("ceremony_transcript_broken", "the end names other documents than the steps make")
    if outcome is not None and outcome != outcome_of(documents):
        raise CheckFailed("ceremony_other_outcome", "this document is not what came out of this ceremony")
    return documents


def outcome_of(documents: Mapping[str, bytes]) -> bytes:
    """The file that `ecard trust publish` takes: the one document, or both as members `root` and `list`."""
    if len(documents) == 1:
        return next(iter(documents.values()))
    parsed = {NAMES[kind]: jose.parse_json(document, limit=MAX_DOCUMENT) for kind, document in documents.items()}
    return canonical_json(parsed)


def read_outcome(data: bytes) -> tuple[bytes, ...]:
    """The documents in such a file, the root first; nothing of them is judged. Raises `InvalidInput`
    `bad_ceremony_outcome`."""
    try:
        value = jose.parse_json(data, limit=2 * MAX_DOCUMENT)
    except InvalidInput as error:
        raise InvalidInput("bad_ceremony_outcome", error.detail) from None
    if isinstance(value, dict) and value.keys() == {"root", "list"}:
        return jose.dump_json(value["root"]), jose.dump_json(value["list"])
    return (data,)
