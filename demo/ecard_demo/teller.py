"""Tells the story to whoever watches: a line or two a step, colours and the drawn code where the terminal has them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Final, Self, TextIO

from ecard_demo.services import Services
from ecard_demo.story import Step
from ecard_qr import picture

_TITLES: Final = {
    "read_chip": "Read the chip",
    "prove_chip": "Prove the chip",
    "issue": "Issue the e-card",
    "show_code": "Show a code",
    "verify_online": "Scan, online",
    "verify_offline": "Scan, offline",
    "replay_refused": "Scan it again",
    "announce_key": "Announce the next key",
    "report_lost": "Report the card lost",
    "verify_after_loss": "Scan after the loss",
    "found": "Find the card",
    "verify_after_found": "Scan after that",
    "replace": "Replace the card",
    "old_code_refused": "Scan an old code",
    "verify_new": "Scan a new code",
    "rotate_key": "Rotate the issuer's key",
    "verify_after_rotation": "Scan after rotation",
    "key_stolen": "Lose the old key",
    "verify_after_theft": "Scan after the theft",
    "cancel": "Cancel the card",
    "verify_after_cancel": "Scan after the end",
}
_GREEN, _RED, _DIM, _BOLD, _END = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_INDENT: Final = "      "
_SLOW: Final = 1000  # ms from which a step's time is told


@dataclass
class Teller:
    """Writes to `out`. `colours` only where a person's terminal shows them; `drawn` whether to draw the code."""

    out: TextIO
    colours: bool
    drawn: bool
    columns: int

    @classmethod
    def to(cls, out: TextIO, *, plain: bool) -> Self:
        """As `out` can show it. NO_COLOR (no-color.org) and TERM=dumb are heard."""
        person = out.isatty() and not plain
        colours = person and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        blocks = (out.encoding or "").lower().replace("-", "") in ("utf8", "gb18030", "gbk")
        return cls(out, colours, blocks and not plain, shutil.get_terminal_size((80, 24)).columns)

    def begin(self) -> None:
        self._say(self._styled("The life of one e-card", _BOLD), "on a simulated chip and two real services", "")

    def services(self, services: Services) -> None:
        self._say(
            f"issuer    {services.issuer_url}   (its API: {services.issuer_url}/docs)",
            f"verifier  {services.verifier_url}   (another process; it hears the issuer's feed)",
            "",
        )

    def step(self, number: int, step: Step) -> None:
        told = step.told
        mark = self._styled("✓", _GREEN) if told.ok else self._styled("✗", _RED)
        verdict = told.outcome if told.reason == "ok" else f"{told.outcome}: {told.reason}"
        took = f"{step.ms:.0f} ms" if step.ms < _SLOW else f"{step.ms / 1000:.1f} s"
        head = f"{number:>3} {mark} {self._styled(f'{_TITLES[step.name]:<24}', _BOLD)} {verdict:<24}"
        self._say(f"{head} {self._styled(took, _DIM)}", *(f"{_INDENT}{line}" for line in told.lines))
        if told.picture and self.drawn:
            self._draw(told.picture)

    def end(self, *, ok: bool, revocation_ms: float | None) -> None:
        if revocation_ms is not None:
            self._say("", f"A lost card was refused {revocation_ms:.0f} ms after the report, in another process.")
        self._say(
            self._styled("Every step did what it should.", _GREEN)
            if ok
            else self._styled("Not every step did what it should.", _RED),
            "",
        )

    def _draw(self, code: str) -> None:
        drawn = picture.terminal(code, ansi=self.colours)
        side = 17 + 4 * picture.version_of(code) + 2 * picture.QUIET_ZONE
        if side + len(_INDENT) > self.columns:
            self._say(f"{_INDENT}(a window of {side + len(_INDENT)} columns shows the code)")
            return
        self._say(*(f"{_INDENT}{line}" for line in drawn.splitlines()))

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{_END}" if self.colours else text

    def _say(self, *lines: str) -> None:
        encoding = self.out.encoding or "utf-8"
        for line in lines:
            known = line.encode(encoding, "replace").decode(encoding)  # a narrow terminal gets a ? and not a traceback
            self.out.write(known.rstrip(" ") + "\n")
        self.out.flush()
