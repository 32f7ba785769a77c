"""The sites that people log in to: live relying services with a registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from ecard_card.errors import RuleViolation
from ecard_issuer.login.registration import LoginRegistration, service_id_of
from ecard_issuer.relying.services import RelyingService


class Sites:
    """`find` gives a service as it is registered now; an answer is never kept."""

    def __init__(self, find: Callable[[str], RelyingService | None]) -> None:
        self._find = find

    def find(self, service_id: str, now: datetime) -> RelyingService | None:
        """A live service that is a site, or None."""
        service = self._find(service_id)
        return service if service is not None and service.login is not None and service.at(now) is None else None

    def of_client(self, client_id: str, now: datetime) -> tuple[RelyingService, LoginRegistration]:
        """Raises `RuleViolation` `login_site_unknown`: not registered, or not any more."""
        service_id = service_id_of(client_id)
        service = None if service_id is None else self.find(service_id, now)
        if service is None or service.login is None:
            raise RuleViolation("login_site_unknown", "this site is not registered for logins, or not any more")
        return service, service.login


def answer_to(redirect_uri: str, said: Mapping[str, str | None]) -> str:
    """Where the browser goes with an answer (RFC 6749 §4.1.2): the registered address with these parameters added."""
    query = urlencode({name: value for name, value in said.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"
