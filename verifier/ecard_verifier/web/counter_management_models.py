"""What the routes of groups, branches, counters, staff and alarms take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from ecard_verifier.counters.model import Alarm, Branch, Counter, Device, Group, GroupToken, Staff
from ecard_verifier.counters.office import COUNTER_A_DAY, GROUP_A_DAY
from ecard_verifier.web.models import Shown

LevelName = Literal["basic", "designated", "authority"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class GroupBody(_Body):
    """A chain, a hospital group, a single shop."""

    name: Shown = Field(max_length=80)
    level: LevelName = Field(description="How much it may see: any merchant, a designated institution, the authority.")
    purposes: list[StrictStr] = Field(min_length=1, max_length=32, examples=[["payment", "query"]])
    daily_limit: StrictInt = Field(GROUP_A_DAY, description="Verifications a day, in China's time.")


class GroupAnswer(_Answer):
    """A group."""

    group_id: str
    name: str
    level: LevelName
    purposes: list[str]
    daily_limit: int
    created_at: datetime
    revoked_at: datetime | None


class GroupsAnswer(BaseModel):
    """At most 200; the last id is the `after` of the next page."""

    groups: list[GroupAnswer]


class GroupTokenBody(_Body):
    """For whom the token is."""

    name: Shown = Field(max_length=64)
    role: Literal["merchant", "counter"] = Field(description="A manager's, or that of a system behind the counters.")


class GroupTokenAnswer(_Answer):
    """A token, without its text."""

    name: str
    role: Literal["merchant", "counter"]
    created_at: datetime


class NewGroupTokenAnswer(GroupTokenAnswer):
    """The token itself, which is stored as a hash and cannot be shown again."""

    token: str


class GroupTokensAnswer(BaseModel):
    """Those that let somebody in now."""

    tokens: list[GroupTokenAnswer]


class BranchBody(_Body):
    """A shop, a hospital, an outlet."""

    group_id: StrictStr = Field(max_length=40)
    name: Shown = Field(max_length=80)


class BranchAnswer(_Answer):
    """A branch."""

    branch_id: str
    group_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class BranchesAnswer(BaseModel):
    """At most 200; the last id is the `after` of the next page."""

    branches: list[BranchAnswer]


class CounterBody(_Body):
    """A place where codes are shown."""

    branch_id: StrictStr = Field(max_length=40)
    name: Shown = Field(max_length=80)
    audience: StrictStr | None = Field(
        None, max_length=100, description="What codes made for it name; by default its own id."
    )
    staff_needed: StrictBool = Field(False, description="One of the branch's staff has to log in first.")
    devices: StrictInt = Field(1, description="Pages admitted at a time; one more ends the one that rested longest.")
    daily_limit: StrictInt = Field(COUNTER_A_DAY, description="Verifications a day, in China's time.")


class CounterAnswer(_Answer):
    """A counter."""

    counter_id: str
    branch_id: str
    group_id: str
    name: str
    audience: str
    staff_needed: bool
    devices: int
    daily_limit: int
    created_at: datetime
    revoked_at: datetime | None


class CountersAnswer(BaseModel):
    """At most 200; the last id is the `after` of the next page."""

    counters: list[CounterAnswer]


class CounterAdmissionAnswer(BaseModel):
    """Shown once. A newer one ends it."""

    admission_code: str = Field(description="Good once, for ten minutes.")
    expires_at: datetime
    link: str = Field(description="The path of the counter page that takes it; the code stands behind the `#`.")


class CounterDeviceAnswer(_Answer):
    """A page that is admitted."""

    device_id: str
    opened_at: datetime
    used_at: datetime
    until: datetime


class CounterDevicesAnswer(BaseModel):
    """Those of one counter."""

    devices: list[CounterDeviceAnswer]


class StaffBody(_Body):
    """Somebody at a branch, by an alias; no legal names."""

    branch_id: StrictStr = Field(max_length=40)
    alias: Shown = Field(max_length=80)
    pin: StrictStr = Field(max_length=16, description="4 to 8 digits.")


class StaffPinBody(_Body):
    """A new PIN; it ends a lock too."""

    pin: StrictStr = Field(max_length=16, description="4 to 8 digits.")


class StaffAnswer(BaseModel):
    """Somebody at a branch."""

    staff_id: str
    branch_id: str
    group_id: str
    alias: str
    locked: bool = Field(description="Five wrong PINs: a new PIN ends this.")
    created_at: datetime
    revoked_at: datetime | None


class StaffListAnswer(BaseModel):
    """At most 200; the last id is the `after` of the next page."""

    staff: list[StaffAnswer]


class AlarmAnswer(_Answer):
    """Something for a person to look at. `incident` joins the alarms of one event, for operators alone."""

    alarm_id: str
    kind: Literal[
        "code_at_two_counters",
        "many_failures",
        "upload_contradicts",
        "number_guessing",
        "admission_guessing",
        "staff_pin_guessing",
    ]
    incident: str
    group_id: str | None
    counter_id: str | None
    first_at: datetime
    last_at: datetime
    count: int
    acknowledged_by: str | None
    acknowledged_at: datetime | None


class AlarmsAnswer(BaseModel):
    """Newest first, at most 500."""

    alarms: list[AlarmAnswer]


def group_answer(group: Group) -> GroupAnswer:
    return GroupAnswer.model_validate({**_fields(group), "level": group.level.value, "purposes": list(group.purposes)})


def branch_answer(branch: Branch) -> BranchAnswer:
    return BranchAnswer.model_validate(branch)


def counter_answer(counter: Counter) -> CounterAnswer:
    return CounterAnswer.model_validate(counter)


def device_answer(device: Device) -> CounterDeviceAnswer:
    return CounterDeviceAnswer.model_validate(device)


def token_answer(token: GroupToken) -> GroupTokenAnswer:
    return GroupTokenAnswer.model_validate({**_fields(token), "role": token.role.value})


def staff_answer(staff: Staff, most_tries: int) -> StaffAnswer:
    return StaffAnswer.model_validate({**_fields(staff), "locked": staff.tries >= most_tries})


def alarm_answer(alarm: Alarm) -> AlarmAnswer:
    return AlarmAnswer.model_validate({**_fields(alarm), "kind": alarm.kind.value})


def _fields(thing: Group | GroupToken | Staff | Alarm) -> dict[str, object]:
    return {name: getattr(thing, name) for name in thing.__slots__}
