"""Port `Register`: all of them together."""

from __future__ import annotations

from typing import Protocol

from ecard_issuer.ports.approvals import Approvals
from ecard_issuer.ports.cards import Cards
from ecard_issuer.ports.changes import Changes
from ecard_issuer.ports.enrolments import Enrolments
from ecard_issuer.ports.feed import Feed
from ecard_issuer.ports.issuing import IssuingMany
from ecard_issuer.ports.keys import Keys
from ecard_issuer.ports.operators import Operators
from ecard_issuer.ports.statuses import Statuses


class Register(Cards, Enrolments, IssuingMany, Changes, Statuses, Feed, Keys, Approvals, Operators, Protocol):
    """All of it. A use case asks for the narrowest part that it needs."""
