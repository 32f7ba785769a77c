"""Where a point is: WGS-84 and GCJ-02 (the datum of maps published in China), and how far two points are apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import asin, cos, pi, radians, sin, sqrt
from typing import Final

from ecard_card.errors import InvalidInput

EARTH: Final = 6_371_008.8  # mean radius in metres, IUGG
_AXIS: Final = 6_378_245.0  # of the Krasovsky ellipsoid, on which the shift is computed
_ECCENTRICITY: Final = 0.006_693_421_622_965_943
_MILLION: Final = 1_000_000


class Datum(StrEnum):
    """What coordinates are measured in. The two differ by some hundred metres within China."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees, in `datum`. Raises `InvalidInput` `bad_coordinates` outside of the globe."""

    latitude: float
    longitude: float
    datum: Datum = Datum.WGS84

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):  # also for NaN
            raise InvalidInput("bad_coordinates", "latitude -90 to 90 and longitude -180 to 180, in degrees")

    def wgs84(self) -> Place:
        """The same place in WGS-84, to about a metre."""
        if self.datum is Datum.WGS84:
            return self
        guess = Place(self.latitude, self.longitude)
        for _ in range(3):  # each step leaves about a hundredth of the error
            north, east = _shift(guess.latitude, guess.longitude)
            guess = Place(_within(self.latitude - north, 90), _within(self.longitude - east, 180))
        return guess

    def millionths(self) -> tuple[int, int]:
        """Latitude and longitude as whole numbers: 0.1 m."""
        return round(self.latitude * _MILLION), round(self.longitude * _MILLION)


def distance(one: Place, other: Place) -> float:
    """Metres along the surface (haversine); both in WGS-84."""
    north, south = radians(one.latitude), radians(other.latitude)
    half = sin((south - north) / 2) ** 2
    half += cos(north) * cos(south) * sin(radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(half)))


def in_gcj02(place: Place) -> Place:
    """A WGS-84 place in GCJ-02; outside of China the two are the same."""
    north, east = _shift(place.latitude, place.longitude)
    return Place(place.latitude + north, place.longitude + east, Datum.GCJ02)


def _shift(latitude: float, longitude: float) -> tuple[float, float]:
    """What GCJ-02 adds to WGS-84, in degrees: the published approximation of its polynomial and sine terms."""
    if not (0.8293 < latitude < 55.8271 and 72.004 < longitude < 137.8347):
        return 0.0, 0.0
    x, y = longitude - 105, latitude - 35
    ripple = 20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
    north += (
        (ripple + 20 * sin(y * pi) + 40 * sin(y / 3 * pi) + 160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3
    )
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
    east += (ripple + 20 * sin(x * pi) + 40 * sin(x / 3 * pi) + 150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3
    angle = radians(latitude)
    magic = 1 - _ECCENTRICITY * sin(angle) ** 2
    per_degree_north = _AXIS * (1 - _ECCENTRICITY) / magic**1.5 * pi / 180
    per_degree_east = _AXIS / sqrt(magic) * cos(angle) * pi / 180
    return north / per_degree_north, east / per_degree_east


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))
