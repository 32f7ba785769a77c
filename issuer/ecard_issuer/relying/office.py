"""Registering relying services: what a service may ask for is decided by more than one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ecard_card.errors import NotFound
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.relying.records import RelyingStore, ServiceChange
from ecard_issuer.relying.services import RelyingService
from ecard_verifier.callers import Caller, Role


class ServiceOffice:
    """The use case. `store` keeps services and the record of every decision about them."""

    def __init__(self, store: RelyingStore, approvals: Approvals) -> None:
        self._store = store
        self._approvals = approvals

    def save(self, service: RelyingService, actor: str, now: datetime) -> RelyingService:
        """Register a service or change what it may ask; the same again changes nothing.

        Raises `ApprovalNeeded` `approval_needed`, `RuleViolation` `approval_not_usable`."""
        present = self._store.find_service(service.service_id)
        if present != service:
            facts: Mapping[str, object] = {
                "before": None if present is None else present.to_json(),
                "after": service.to_json(),
            }
            grant = self._approvals.require(Change("relying.set", service.service_id, facts), actor, now)
            action = "added" if present is None else "changed"
            self._store.save_service(service, action, actor, now, grant=grant)
        return service

    def end(self, service_id: str, actor: str, now: datetime) -> RelyingService:
        """End a service at once; it may be registered anew. Takes power away, so one person is enough.

        Raises `NotFound` `relying_service_unknown`."""
        present = self.get(service_id)
        if present.ends_at is not None and present.ends_at <= now:
            return present
        begun = present.starts_at < now
        ended = replace(present, ends_at=now) if begun else replace(present, starts_at=_before(now), ends_at=now)
        self._store.save_service(ended, "ended", actor, now)
        return ended

    def get(self, service_id: str) -> RelyingService:
        """Raises `NotFound` `relying_service_unknown`."""
        service = self._store.find_service(service_id)
        if service is None:
            raise NotFound("relying_service_unknown", "no relying service has this id, or it is not yours")
        return service

    def of_caller(self, service_id: str, caller: Caller) -> RelyingService:
        """The service, for the caller that owns it; not even an operator asks in its name. Raises as `get`."""
        service = self.get(service_id)
        if caller.role is not Role.RELYING or service.owner != caller.name:
            raise NotFound("relying_service_unknown", "no relying service has this id, or it is not yours")
        return service

    def list(self, after: str = "", limit: int = 100) -> tuple[RelyingService, ...]:
        return self._store.list_services(after, limit)

    def changes(self, service_id: str) -> tuple[ServiceChange, ...]:
        """Every decision about it, oldest first. Raises as `get`."""
        self.get(service_id)
        return self._store.service_changes(service_id)


def _before(now: datetime) -> datetime:
    """A start that lets a service end which had not begun."""
    return datetime.fromtimestamp(now.timestamp() - 1, now.tzinfo)
