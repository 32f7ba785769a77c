"""How much this issuer may have signed in an hour, as its admins set it: to raise a quota takes two of them.

A quota bounds what somebody does who has taken the service over, so raising one is as dangerous as a key; lowering one
is not. A signer process has its own file of quotas, on its own machine, and is not reached from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.ports import Approvals as ApprovalRegister
from ecard_keys.desk.desk import EMBEDDED_CALLER
from ecard_keys.desk.quotas import DEFAULTS, MAX_LIMIT, load, store


class QuotaOffice:
    """The quotas of the desk in this process, in the file at `path`; None where the desk is another process."""

    def __init__(self, path: Path | None, register: ApprovalRegister, approvals: Approvals) -> None:
        self._path = path
        self._register = register
        self._approvals = approvals

    def limits(self) -> Mapping[str, int]:
        """Documents an hour, by profile. Raises `RuleViolation` `quotas_elsewhere`, `Unavailable`
        `signing_quotas_unreadable`."""
        stored = load(self._file())
        return {profile: stored.get((EMBEDDED_CALLER, profile), usual) for profile, usual in DEFAULTS.items()}

    def set(self, profile: str, per_hour: int, actor: str, now: datetime) -> Mapping[str, int]:
        """Set one, and return them all; the desk obeys at its next request.

        Raises as `limits` does, `NotFound` `quota_unknown`, `InvalidInput` `bad_quota`, and `ApprovalNeeded` for a
        higher one.
        """
        before = self.limits()
        if profile not in before:
            raise NotFound("quota_unknown", f"quotas: {', '.join(before)}")
        if not 0 <= per_hour <= MAX_LIMIT:
            raise InvalidInput("bad_quota", f"want a whole number of documents an hour, 0 to {MAX_LIMIT}")
        if per_hour > before[profile]:
            facts = {"from": before[profile], "per_hour": per_hour}
            grant = self._approvals.require(Change("quota.raise", profile, facts), actor, now)
            if grant is not None:
                self._register.use_approval(grant, now)
        stored = load(self._file())
        store(self._file(), stored | {(EMBEDDED_CALLER, profile): per_hour})
        return self.limits()

    def _file(self) -> Path:
        if self._path is None:
            raise RuleViolation("quotas_elsewhere", "the signer process has its own quotas, in its own configuration")
        return self._path
