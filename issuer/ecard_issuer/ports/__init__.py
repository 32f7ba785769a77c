"""`Register`: what the issuer's use cases need of the store of truth, and what every adapter must promise.

Each verb is one transaction: it happens wholly and durably, or it raises and leaves nothing. Verbs may be called
from many threads and processes at once. Two promises rest on keys of the store and on no caller's good will:
one chip has at most one binding and one e-card at most one chip; a status index is never given out twice.

Besides what a verb names, any verb raises `Unavailable` `register_unavailable` (no answer, or a lock not granted
in time: nothing was changed) or `outcome_unknown` (it may or may not have been committed: ask again).
`tests/contracts/register_contract.py` holds every adapter to this page.
"""

from __future__ import annotations

from ecard_issuer.ports.approvals import Approvals
from ecard_issuer.ports.cards import Cards
from ecard_issuer.ports.changes import Changes
from ecard_issuer.ports.enrolments import Enrolments
from ecard_issuer.ports.feed import Feed
from ecard_issuer.ports.issuing import Issuing, Reissuing
from ecard_issuer.ports.keys import Keys
from ecard_issuer.ports.operators import Operators
from ecard_issuer.ports.register import Register
from ecard_issuer.ports.statuses import Statuses

__all__ = [
    "Approvals",
    "Cards",
    "Changes",
    "Enrolments",
    "Feed",
    "Issuing",
    "Keys",
    "Operators",
    "Register",
    "Reissuing",
    "Statuses",
]
