"""What the routes of groups, branches, counters, staff and alarms share."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

After = Annotated[str, Query(max_length=40, description="The last id of the page before.")]
#: The problems of a route that reads or ends something, and of one that takes a body.
READ: Final = (401, 403, 404, 422)
WRITE: Final = (400, 401, 403, 404, 409, 413, 415, 422)
