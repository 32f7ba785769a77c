"""Who is let in as a counter: admission codes, the devices that they open, and the staff who log in there.

A device stands on its counter, branch and group; all four are read anew at each request, so that what was revoked is
out at the next one.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import InvalidInput, NotAllowed, NotAuthenticated, RateLimited, RuleViolation
from ecard_verifier.counters.alarms import Alarms
from ecard_verifier.counters.model import AlarmKind, Device, Standing
from ecard_verifier.counters.ports import Doors, Organisation
from ecard_verifier.counters.secret import COOKIE_PREFIX, digest, new_code, new_token, pin_holds, read_code

CODE_LIFE: Final = timedelta(minutes=10)
#: A device has to be admitted again after so long, used or not.
DEVICE_LIFE: Final = timedelta(days=30)
#: And after so long without a request: longer than a night, shorter than a weekend.
IDLE: Final = timedelta(hours=16)
#: Wrong admission codes within `CODE_LIFE` of one address, and of all.
MOST_WRONG: Final = 10
MOST_WRONG_IN_ALL: Final = 300
#: Wrong PINs of one person, until a manager sets another; and within `CODE_LIFE` of one counter, whosever they are.
MOST_TRIES: Final = 5
MOST_WRONG_PINS: Final = 30
_TOUCH_EVERY: Final = timedelta(minutes=1)
_EVERYBODY: Final = "admission"
_LONGEST_TOKEN: Final = 128


@dataclass(frozen=True, slots=True)
class Admission:
    """A code that opens one device, once."""

    code: str = field(repr=False)
    expires_at: datetime


class Entrance:
    """Safe from several threads, and beside other processes on one store."""

    def __init__(
        self,
        doors: Doors,
        organisation: Organisation,
        alarms: Alarms,
        code: Callable[[], str] = new_code,
        random_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._doors, self._organisation, self._alarms = doors, organisation, alarms
        self._code, self._random_hex = code, random_hex

    def offer(self, counter_id: str, within: str | None, now: datetime) -> Admission:
        """A code for a counter; the one before is over. Raises `NotFound` `counter_unknown`; `RuleViolation`
        `counter_revoked` where the counter, its branch or its group was."""
        counter = self._organisation.counter(counter_id, within)
        branch = self._organisation.branch(counter.branch_id, within)
        group = self._organisation.group(counter.group_id, within)
        if counter.revoked_at or branch.revoked_at or group.revoked_at:
            raise RuleViolation("counter_revoked", "the counter, its branch or its group was revoked")
        offered = Admission(self._code(), now + CODE_LIFE)
        self._doors.add_admission(digest("admission", offered.code), counter_id, offered.expires_at)
        return offered

    def admit(self, text: str, address: str, now: datetime) -> tuple[Standing, str]:
        """The device that an admission code opens, and its token, which is stored as a digest only.

        Raises `NotAuthenticated` `admission_wrong` for whatever is no code now; `RateLimited` `admission_guesses` for
        an address, or for everybody, after too many of those.
        """
        asker = digest("address", address)
        since = now - CODE_LIFE
        limits = ((asker, MOST_WRONG), (_EVERYBODY, MOST_WRONG_IN_ALL))
        if any(self._doors.guesses(who, since) >= most for who, most in limits):
            self._alarms.admission_guessing(now)
            raise RateLimited(
                "admission_guesses", "too many wrong admission codes", retry_after=math.ceil(CODE_LIFE.total_seconds())
            )
        code, token = read_code(text), new_token(COOKIE_PREFIX)
        standing = None
        if code is not None:
            device = Device("dev_" + self._random_hex(8), "", now, now, now + DEVICE_LIFE)
            standing = self._doors.admit(digest("admission", code), device, digest("device", token), now)
        if standing is None:
            self._doors.add_guess((asker, _EVERYBODY), now)
            raise NotAuthenticated("admission_wrong", "no such admission code now")
        return standing, token

    def standing(self, token: str | None, now: datetime) -> Standing:
        """Whose device this is. Raises `NotAuthenticated` `counter_not_admitted`, and `counter_revoked` where the
        counter, its branch or its group was."""
        if token is None or not 0 < len(token) <= _LONGEST_TOKEN:
            raise NotAuthenticated("counter_not_admitted", "this page was not admitted to a counter")
        found = self._doors.standing(digest("device", token), now)
        if found is None:
            raise NotAuthenticated("counter_not_admitted", "this page's admission is over")
        if found.counter.revoked_at or found.branch.revoked_at or found.group.revoked_at:
            raise NotAuthenticated("counter_revoked", "the counter, its branch or its group was revoked")
        if now - found.device.used_at >= _TOUCH_EVERY:
            self._doors.touch(found.device.device_id, now)
        return found

    def leave(self, standing: Standing) -> None:
        """End the device; another admission is needed."""
        self._doors.end(standing.device.device_id, standing.counter.counter_id)

    def log_in(self, standing: Standing, alias: str, pin: str, now: datetime) -> None:
        """Somebody of the branch takes over the device. The try is written down, then compared.

        Raises `InvalidInput` `staff_pin_wrong`, the same for an alias that is nobody's; `RuleViolation`
        `staff_pin_locked` after five: the group's manager sets a new PIN then; `RateLimited` `staff_pin_guesses`.
        """
        counter = standing.counter
        asker = digest("pins", counter.counter_id)
        if self._doors.guesses(asker, now - CODE_LIFE) >= MOST_WRONG_PINS:
            raise RateLimited("staff_pin_guesses", "too many wrong PINs at this counter", retry_after=60)
        person = self._organisation.staff_called(counter.branch_id, alias)
        if person is not None and not self._organisation.try_pin(person.staff_id, MOST_TRIES):
            self._alarms.at_counter(AlarmKind.PIN, counter, now)
            raise RuleViolation("staff_pin_locked", "five wrong PINs: the group's manager can set a new one")
        if not pin_holds(pin, None if person is None else person.pin_hash) or person is None:
            self._doors.add_guess((asker,), now)
            raise InvalidInput("staff_pin_wrong", "no such alias and PIN at this branch")
        self._organisation.set_pin(person.staff_id, None)
        self._doors.log_in(standing.device.device_id, person.staff_id)

    def log_out(self, standing: Standing) -> None:
        """Nobody is at the device."""
        self._doors.log_in(standing.device.device_id, None)


def require_staff(standing: Standing) -> None:
    """Raises `NotAllowed` `staff_needed` where somebody has to log in first."""
    if standing.counter.staff_needed and standing.staff is None:
        raise NotAllowed("staff_needed", "one of the branch's staff has to log in at this counter")
