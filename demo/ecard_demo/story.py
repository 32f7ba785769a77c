"""The story, step by step: a chip becomes an e-card, is scanned, lost, refused, found, replaced, and cancelled.

Each step does the real thing against the two services and says what came of it: `outcome`, `reason`, and whether
that is what the story expects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ecard_card.errors import CheckFailed, EcardError
from ecard_card.status import CardChange
from ecard_demo import stage
from ecard_demo.services import Services, until
from ecard_demo.stage import Counter, Desk, Phone
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_keys.trust.trust_list import open_trust_list
from ecard_sdk.models import Key, ProvenChip, Verification
from ecard_verifier.verdict import Verdict

VALID = ("valid", "ok")
SUSPENDED = ("invalid", "suspended")
ENDED = ("invalid", "ended")
STOLEN = ("invalid", "key_compromised")


@dataclass(frozen=True, slots=True)
class Told:
    """What a step did: `lines` are for a reader, `picture` is a code to draw."""

    outcome: str
    reason: str
    ok: bool
    lines: tuple[str, ...] = ()
    picture: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is over. `ms` in milliseconds, by a monotonic clock."""

    name: str
    told: Told
    ms: float


class Story:
    """`play` yields the steps in order; after one that broke off, the rest is told as not reached."""

    def __init__(
        self, services: Services, authority: ChipAuthority, desk: Desk, counter: Counter, phone: Phone
    ) -> None:
        self._services, self._desk, self._counter, self._phone = services, desk, counter, phone
        self._card = stage.first_card(authority)
        self._new_card = stage.second_card(authority)
        self._reading: Reading
        self._proven: ProvenChip
        self._card_ref = self._new_ref = self._ecard_id = self._shown = ""
        self._old_credential = b""
        self._next_key: Key
        self._lost_at = 0.0
        #: From the acknowledged loss report to the first refusal of a fresh code, None before.
        self.revocation_ms: float | None = None

    def play(self) -> Iterator[Step]:
        broken = ""
        for step in self._steps():
            start = time.perf_counter()
            if broken:
                told = Told("not_reached", broken, False)
            else:
                try:
                    told = step()
                except EcardError as error:
                    broken = error.code
                    told = Told("broken", error.code, False, (str(error),))
            yield Step(step.__name__, told, (time.perf_counter() - start) * 1000)

    def _steps(self) -> tuple[Callable[[], Told], ...]:
        return (
            self.read_chip,
            self.prove_chip,
            self.issue,
            self.show_code,
            self.verify_online,
            self.verify_offline,
            self.replay_refused,
            self.announce_key,
            self.report_lost,
            self.verify_after_loss,
            self.found,
            self.verify_after_found,
            self.replace,
            self.old_code_refused,
            self.verify_new,
            self.rotate_key,
            self.verify_after_rotation,
            self.key_stolen,
            self.verify_after_theft,
            self.cancel,
            self.verify_after_cancel,
        )

    def read_chip(self) -> Told:
        reading = self._desk.read(self._card)
        self._reading = reading
        words = f"A simulated chip on the reader: {reading.profile.id}, ATR of {len(reading.atr)} bytes."
        return Told("read", "ok", reading.card_number is not None, (words,))

    def prove_chip(self) -> Told:
        self._card_ref = self._desk.register(self._card, self._reading)
        self._proven = self._desk.prove(self._card)
        level = self._proven.chip_assurance
        right = self._proven.card_ref == self._card_ref and level.label == "signature"
        return Told(level.label, "ok", right, (f"The chip {stage.proof_in_words(level)}.",))

    def issue(self) -> Told:
        issued = self._desk.issue(self._proven, self._phone)
        self._ecard_id, self._old_credential = issued.ecard_id, issued.cwt
        lines = (
            f"E-card {issued.ecard_id[:8]}… bound to this chip and to the phone's key.",
            f"Two formats of one dataset: SD-JWT VC {len(issued.sd_jwt)} characters, CWT {len(issued.cwt)} bytes.",
        )
        return Told("issued", "ok", True, lines)

    def show_code(self) -> Told:
        self._shown = self._phone.short_code()
        whole = self._phone.whole_code()
        lines = (f"The phone signs a new code every 30 s: EC0 {len(self._shown)}, EC1 {len(whole)} characters.",)
        return Told("shown", "ok", len(self._shown) < len(whole), lines, self._shown)

    def verify_online(self) -> Told:
        verdict = self._scan_until(lambda: self._shown, VALID)
        return _judged(verdict, VALID, "The counter scans it; the verifier process has the card from its feed.")

    def verify_offline(self) -> Told:
        self._counter.fetch_bundle(self._desk.client)
        verdict = self._counter.scan_offline(self._phone.whole_code())
        return _judged(verdict, VALID, "A counter without a network: bundle and pinned root are all it has.")

    def replay_refused(self) -> Told:
        verdict = self._counter.scan(self._shown)
        words = "The same code a second time."
        if verdict.first_seen is not None:
            at, where = verdict.first_seen
            words = f"The same code a second time; it was first seen at {at.astimezone():%H:%M:%S}, {where}."
        return _judged(verdict, ("invalid", "replayed"), words)

    def report_lost(self) -> Told:
        change = self._desk.client.change_card(self._card_ref, CardChange.REPORT_LOSS, reason="demo: lost")
        self._lost_at = time.perf_counter()
        return _changed(change.applied, f"The holder reports the card lost: status {change.status.value} (正式挂失).")

    def verify_after_loss(self) -> Told:
        verdict = self._scan_until(self._phone.short_code, SUSPENDED)
        taken = (time.perf_counter() - self._lost_at) * 1000
        if (verdict.outcome, verdict.reason) == SUSPENDED:
            self.revocation_ms = round(taken, 1)
        return _judged(verdict, SUSPENDED, f"Refused at the counter {taken:.0f} ms after the report was taken.")

    def found(self) -> Told:
        change = self._desk.client.change_card(self._card_ref, CardChange.RELEASE, reason="demo: found")
        return _changed(change.applied, f"It was in the other coat: status {change.status.value} (解挂).")

    def verify_after_found(self) -> Told:
        return _judged(self._scan_until(self._phone.short_code, VALID), VALID, "The same e-card is good again.")

    def replace(self) -> Told:
        self._new_ref = self._desk.register(self._new_card, self._desk.read(self._new_card))
        change = self._desk.client.replace_card(self._card_ref, self._new_ref, reason="demo: replaced")
        issued = self._desk.issue(self._desk.prove(self._new_card), self._phone)
        kept = issued.ecard_id == self._ecard_id
        return _changed(change.applied and kept, f"A new card (补换); e-card {self._ecard_id[:8]}… moves to its chip.")

    def old_code_refused(self) -> Told:
        verdict = self._scan_until(lambda: self._phone.short_code(self._old_credential), ENDED)
        return _judged(verdict, ENDED, "What the old chip was bound to is over, for ever.")

    def verify_new(self) -> Told:
        return _judged(self._scan_until(self._phone.short_code, VALID), VALID, "The e-card on its new chip.")

    def announce_key(self) -> Told:
        self._next_key = self._desk.client.create_key("credential")
        if not until(lambda: self._verifier_knows(self._next_key.kid), bool):
            raise CheckFailed("demo_verifier_behind", "the verifier has not learned the next key in time")
        words = f"Key {self._next_key.kid} is published first; it may sign when every verifier must know it."
        return Told("announced", "ok", self._next_key.state == "next", (words,))

    def rotate_key(self) -> Told:
        fresh = self._next_key
        until(stage.now, lambda now: fresh.next_change_from is not None and now >= fresh.next_change_from)
        self._desk.agreed(lambda: self._desk.client.promote_key(fresh.kid))
        self._old_credential = self._phone.credential
        proven = self._desk.prove(self._new_card)
        issued = self._desk.issue(proven, self._phone, self._ecard_id)
        right = stage.signing_key(issued.cwt) == fresh.kid != stage.signing_key(self._old_credential)
        words = f"Key {stage.signing_key(self._old_credential)} → {fresh.kid}: one operator asks, another agrees."
        return Told("rotated", "ok", right, (words,))

    def verify_after_rotation(self) -> Told:
        old = self._scan_until(lambda: self._phone.short_code(self._old_credential), VALID)
        new = self._scan_until(self._phone.short_code, VALID)
        worse = new if (old.outcome, old.reason) == VALID else old
        return _judged(worse, VALID, "Credentials of the old key and of the new one both verify.")

    def key_stolen(self) -> Told:
        stolen = stage.signing_key(self._old_credential)
        told = self._desk.agreed(lambda: self._desk.client.compromise_key(stolen, None))
        words = f"Key {stolen} is declared stolen: nothing that it ever signed counts."
        return Told(told.state, "ok", told.state == "compromised", (words,))

    def verify_after_theft(self) -> Told:
        old = self._scan_until(lambda: self._phone.short_code(self._old_credential), STOLEN)
        new = self._scan_until(self._phone.short_code, VALID)
        if (new.outcome, new.reason) != VALID:
            return _judged(new, VALID, "A credential of the new key is good all the same.")
        return _judged(old, STOLEN, "A credential of the old key is refused, one of the new key is good.")

    def cancel(self) -> Told:
        change = self._desk.client.change_card(self._new_ref, CardChange.CANCEL, reason="demo: cancelled")
        return _changed(change.applied, f"Card and e-card end: status {change.status.value} (注销).")

    def verify_after_cancel(self) -> Told:
        return _judged(self._scan_until(self._phone.short_code, ENDED), ENDED, "Refused, whatever is shown.")

    def _scan_until(self, code: Callable[[], str], wanted: tuple[str, str]) -> Verification:
        """Scan until the verdict is the wanted one: the news travels, and how fast is what the story shows."""
        return until(lambda: self._counter.scan(code()), lambda verdict: (verdict.outcome, verdict.reason) == wanted)

    def _verifier_knows(self, kid: str) -> bool:
        """Whether the verifier process has accepted a trust list with this key: it keeps the last one in a file."""
        try:
            document = _read(self._services.verifier_data / "trust-list.json")
            accepted = open_trust_list(document, self._services.root, now=int(stage.now().timestamp()))
        except EcardError:
            return False
        return any(key.kid == kid for issuer in accepted.issuers for key in issuer.keys)


def _judged(verdict: Verification | Verdict, wanted: tuple[str, str], words: str) -> Told:
    got = (str(verdict.outcome), verdict.reason)
    return Told(*got, got == wanted, (words,))


def _changed(applied: bool, words: str) -> Told:
    return Told("applied" if applied else "unchanged", "ok", applied, (words,))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise CheckFailed("demo_verifier_behind", "the verifier has not kept a trust list yet") from None
