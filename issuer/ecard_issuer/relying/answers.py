"""From relying services' values to the answers of their routes and commands."""

from __future__ import annotations

from collections.abc import Sequence

from ecard_card.jose import parse_compact
from ecard_issuer.relying.desk import Permission
from ecard_issuer.relying.presence import Way
from ecard_issuer.relying.records import ServiceChange
from ecard_issuer.relying.services import RelyingService
from ecard_verifier.confirmation import LIMIT, TYP, read_claims
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def services_answer(services: Sequence[RelyingService], limit: int) -> Json:
    """A `ServicesAnswer`."""
    more = services[-1].service_id if len(services) == limit else None
    return {"services": [service.to_json() for service in services], "next": more}


def record_answer(changes: Sequence[ServiceChange]) -> Json:
    """A `ServiceRecord`."""
    return {
        "changes": [
            {
                "number": change.number,
                "action": change.action,
                "service": change.service.to_json(),
                "changed_by": change.changed_by,
                "changed_at": rfc3339(change.changed_at),
            }
            for change in changes
        ]
    }


def permission_answer(permission: Permission) -> Json:
    """A `PermissionAnswer`: for the service that asked, and for nobody's log."""
    assurance = permission.assurance
    return {
        "access_id": permission.access_id,
        "service": permission.service.service_id,
        "subject": permission.subject,
        "way": permission.way.value,
        "chip_assurance": None if assurance is None else assurance.label,
        "level": permission.level,
        "status": None if permission.way is Way.STANDING else "valid",
        "at": rfc3339(permission.at),
        "claims": dict(permission.claims),
        "missing": dict(permission.missing),
    }


def confirmation_answer(token: str) -> Json:
    """A `ConfirmationAnswer`."""
    said = read_claims(parse_compact(token, typ=TYP, limit=LIMIT).payload)
    return {"signed": token, "confirmation": said.to_json()}
