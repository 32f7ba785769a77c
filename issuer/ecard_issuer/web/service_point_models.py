"""What the routes about service points take and give."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from ecard_issuer.service_points.geography import Datum
from ecard_issuer.service_points.points import Offered, PointKind
from ecard_issuer.web.models import Body

RegionCode = Annotated[StrictStr, Field(pattern="^[0-9]{6}$", examples=["410100"])]
Cursor = Annotated[StrictStr, Field(max_length=512, description="As the page before gave it.")]
Degrees = StrictFloat | StrictInt


class PlaceBody(Body):
    """Where somebody is. It is used for this search, and kept nowhere."""

    latitude: Degrees = Field(ge=-90, le=90, examples=[34.7473])
    longitude: Degrees = Field(ge=-180, le=180, examples=[113.6249])
    datum: Datum = Field(Datum.WGS84, description="`gcj02` for coordinates of maps published in China.")


class SearchBody(Body):
    """Filters, all of which must hold."""

    region: RegionCode | None = None
    service: Offered | None = None
    kind: PointKind | None = None
    text: StrictStr | None = Field(None, min_length=1, max_length=100, description="Of name or address.")
    open_now: StrictBool = False
    near: PlaceBody | None = None
    radius: StrictInt = Field(10_000, ge=1, le=100_000, description="Metres around `near`.")
    limit: StrictInt = Field(20, ge=1, le=100)
    cursor: Cursor | None = None


class ReplaceBody(Body):
    """All points of a region, with the members of the file's columns. Larger sets go in by `ecard points import`."""

    scope: RegionCode
    dry_run: StrictBool = Field(False, description="Say what would be done, and do nothing.")
    points: list[dict[str, Any]] = Field(max_length=1000)


class PointAnswer(BaseModel):
    """One service point. English texts may be empty."""

    point_id: str
    kind: PointKind
    region: str
    names: dict[str, str]
    address: dict[str, str]
    telephone: str
    services: list[Offered]
    hours: list[dict[str, Any]] = Field(description="Day 1 is Monday; spans by China's time.")
    hours_text: str
    holidays: dict[str, str]
    coordinates: dict[str, Any] | None = Field(description="In the datum that is said.")
    distance: int | None = Field(description="Metres from `near`.")
    open_now: bool | None = Field(description="By its weekly hours; holidays are told in words only.")


class PointsAnswer(BaseModel):
    """A page; it may be short and still not be the last."""

    points: list[PointAnswer]
    cursor: str | None


class ImportAnswer(BaseModel):
    """What replacing a set did, or would do; with a wrong row nothing."""

    dry_run: bool
    rows: int
    wrong: int
    errors: list[dict[str, Any]]
    outcome: dict[str, int] | None
