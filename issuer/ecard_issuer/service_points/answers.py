"""From service points to the answers of their routes and commands."""

from __future__ import annotations

from ecard_issuer.service_points.office import Hit, Page


def hit_answer(hit: Hit) -> dict[str, object]:
    """A `PointAnswer`."""
    point, place = hit.point, hit.point.place
    coordinates = None
    if place is not None:
        coordinates = {"latitude": place.latitude, "longitude": place.longitude, "datum": place.datum.value}
    return {
        "point_id": point.point_id,
        "kind": point.kind.value,
        "region": point.region,
        "names": {"zh": point.name_zh, "en": point.name_en},
        "address": {"zh": point.address_zh, "en": point.address_en},
        "telephone": point.telephone,
        "services": [service.value for service in point.services],
        "hours": point.hours.to_json(),
        "hours_text": point.hours.text(),
        "holidays": {"zh": point.holidays_zh, "en": point.holidays_en},
        "coordinates": coordinates,
        "distance": hit.metres,
        "open_now": hit.is_open,
    }


def page_answer(page: Page) -> dict[str, object]:
    """A `PointsAnswer`."""
    return {"points": [hit_answer(hit) for hit in page.hits], "cursor": page.cursor}
