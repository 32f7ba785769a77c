"""The transcript of a ceremony: who signed what and when, so that anybody can check it years later.

A text file of one canonical JSON object a line. The first line is the plan, each further line a holder's step, the last
one the digests of what came out. Each line names the SHA-256 of the line before; each step is sealed with both keys of
the holder who took it. `docs/formats/ceremony.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, EcardError, InvalidInput
from ecard_keys.ceremony.plan import MAX_PLAN, Plan, plan_of
from ecard_keys.trust.content import canonical_json
from ecard_keys.trust.root import HOLDER_ALGORITHMS, RootHolder
from ecard_keys.trust.root_signature import LIST_TYPE, ROOT_TYPE, Pair, pair_holds
from ecard_keys.trust.trust_list import SKEW

TRANSCRIPT_FORMAT: Final = "ecard-ceremony-transcript/1"
#: The `typ` of a step's seal.
STEP_TYPE: Final = "ecard-ceremony+jwt"
_MAX_LINES: Final = 64
_STEP_MEMBERS: Final = frozenset({"kind", "previous", "plan", "at", "tool", "holder", "signatures", "seal"})
_END_MEMBERS: Final = frozenset({"kind", "previous", "plan", "documents"})
#: What the kinds of document are called in a line.
NAMES: Final = {ROOT_TYPE: "root", LIST_TYPE: "list"}


@dataclass(frozen=True, slots=True)
class Step:
    """One holder's part. `signatures` by kind of document; `at` is the NumericDate of their machine."""

    holder: RootHolder
    at: int
    tool: str
    signatures: Mapping[str, Pair]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript whose every line holds. `documents` are the hex SHA-256 of what came out; None before the end."""

    plan: Plan
    lines: tuple[bytes, ...]
    steps: tuple[Step, ...]
    documents: Mapping[str, str] | None

    @property
    def data(self) -> bytes:
        """The file."""
        return b"".join(line + b"\n" for line in self.lines)

    def step_of(self, holder: RootHolder) -> Step | None:
        """What this holder signed, if anything."""
        return next((step for step in self.steps if step.holder == holder), None)


def begin(plan: Plan) -> Transcript:
    """The transcript before anybody signed."""
    line = canonical_json({"format": TRANSCRIPT_FORMAT, "kind": "plan", "plan": plan.value})
    return Transcript(plan, (line,), (), None)


def step_content(transcript: Transcript, step: Step) -> dict[str, object]:
    """The line of a step without its seal; the seal is over its canonical JSON."""
    return {
        "kind": "step",
        "previous": _hash(transcript.lines[-1]),
        "plan": transcript.plan.digest,
        "at": step.at,
        "tool": step.tool,
        "holder": _kids(step.holder),
        "signatures": {NAMES[kind]: _texts(pair) for kind, pair in step.signatures.items()},
    }


def with_step(transcript: Transcript, content: Mapping[str, object], seal: Pair) -> Transcript:
    """The transcript with one more line, read again as a stranger would. Raises what `read_transcript` raises."""
    return _read(transcript, canonical_json({**content, "seal": _texts(seal)}))


def with_end(transcript: Transcript, documents: Mapping[str, bytes]) -> Transcript:
    """The last line: what came out, by kind of document."""
    digests = {NAMES[kind]: hashlib.sha256(document).hexdigest() for kind, document in documents.items()}
    content = {"kind": "end", "previous": _hash(transcript.lines[-1]), "plan": transcript.plan.digest}
    return _read(transcript, canonical_json({**content, "documents": digests}))


def read_transcript(data: bytes) -> Transcript:
    """Read and verify each line: form, chain, the holder's seal, their signatures on what the plan says.

    Raises `CheckFailed` `ceremony_transcript_broken`, whose detail names the line, or `Unavailable`
    `algorithm_unavailable`. Whether enough has been signed is for `ceremony.finish` to say.
    """
    if len(data) > 2 * MAX_PLAN or not data.endswith(b"\n"):
        raise CheckFailed("ceremony_transcript_broken", "too long, or the last line is not complete")
    first, *rest = data[:-1].split(b"\n", _MAX_LINES)
    if len(rest) >= _MAX_LINES:
        raise CheckFailed("ceremony_transcript_broken", "more than 64 lines")
    value = _members(first, 1)
    if value.keys() != {"format", "kind", "plan"} or (value["format"], value["kind"]) != (TRANSCRIPT_FORMAT, "plan"):
        raise CheckFailed("ceremony_transcript_broken", "line 1 is no plan of this version")
    try:
        transcript = begin(plan_of(value["plan"]))
    except EcardError as error:
        raise CheckFailed("ceremony_transcript_broken", f"line 1: {error.code}: {error.detail}") from None
    for line in rest:
        transcript = _read(transcript, line)
    return transcript


def _read(before: Transcript, line: bytes) -> Transcript:
    """One line more."""
    number = len(before.lines) + 1
    value = _members(line, number)
    if before.documents is not None:
        raise _broken(number, "comes after the end")
    if value.get("previous") != _hash(before.lines[-1]) or value.get("plan") != before.plan.digest:
        raise _broken(number, "does not follow the line before it, or is of another plan")
    lines = (*before.lines, line)
    if value.get("kind") == "end" and value.keys() == _END_MEMBERS:
        return Transcript(before.plan, lines, before.steps, _digests(value["documents"], number))
    if value.get("kind") != "step" or value.keys() != _STEP_MEMBERS:
        raise _broken(number, "is neither a step nor an end of this version")
    return Transcript(before.plan, lines, (*before.steps, _step(before, value, number)), None)


def _step(before: Transcript, value: Mapping[str, object], number: int) -> Step:
    plan = before.plan
    holder = next((one for one in plan.holders if value["holder"] == _kids(one)), None)
    at, tool, signatures = value["at"], value["tool"], value["signatures"]
    if holder is None or before.step_of(holder) is not None:
        raise _broken(number, "is by nobody in the plan, or by somebody who signed before")
    if type(at) is not int or not isinstance(tool, str) or len(tool) > 64 or not isinstance(signatures, dict):
        raise _broken(number, "has a member of another kind")
    if at + SKEW < max([plan.made_at, *(step.at for step in before.steps)]):
        raise _broken(number, "is dated before the line it follows")
    if set(signatures) != {NAMES[kind] for kind in plan.signs(holder)}:
        raise _broken(number, "does not hold what this holder is to sign")
    pairs = {kind: _pair(signatures[NAMES[kind]], number) for kind in plan.signs(holder)}
    for kind, pair in pairs.items():
        if not pair_holds(holder, kind, plan.payloads[kind], pair):
            raise _broken(number, "has a signature that does not hold")
    unsealed = canonical_json({name: member for name, member in value.items() if name != "seal"})
    if not pair_holds(holder, STEP_TYPE, unsealed, _pair(value["seal"], number)):
        raise _broken(number, "is not sealed by its holder")
    return Step(holder, at, tool, pairs)


def _members(line: bytes, number: int) -> Mapping[str, object]:
    try:
        value = jose.parse_json(line, limit=MAX_PLAN)
    except InvalidInput as error:
        raise _broken(number, f"does not parse: {error.detail}") from None
    if not isinstance(value, dict) or canonical_json(value) != line:
        raise _broken(number, "is not canonical JSON")
    return value


def _pair(value: object, number: int) -> Pair:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value):
        try:
            return jose.b64url_decode(value[0]), jose.b64url_decode(value[1])
        except InvalidInput:
            pass
    raise _broken(number, "has signatures that are no pair")


def _digests(value: object, number: int) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _broken(number, "has no digests")
    return value


def _broken(number: int, what: str) -> CheckFailed:
    return CheckFailed("ceremony_transcript_broken", f"line {number} {what}")


def _kids(holder: RootHolder) -> list[str]:
    """Thumbprints and not key ids: a step names one holder, and no other."""
    return [jose.b64url_encode(jose.thumbprint(holder.jwk(algorithm))) for algorithm in HOLDER_ALGORITHMS]


def _texts(pair: Pair) -> list[str]:
    return [jose.b64url_encode(signature) for signature in pair]


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
