"""The card register on SQL: one code path for SQLite and PostgreSQL. The port it keeps is `ecard_issuer.ports`."""

from __future__ import annotations

from ecard_issuer.register.engine import make_engine
from ecard_issuer.register.sql_approvals import SqlApprovals
from ecard_issuer.register.sql_cards import SqlCards
from ecard_issuer.register.sql_changes import SqlChanges
from ecard_issuer.register.sql_enrolments import SqlEnrolments
from ecard_issuer.register.sql_feed import SqlFeed
from ecard_issuer.register.sql_issuing_many import SqlIssuingMany
from ecard_issuer.register.sql_keys import SqlKeys
from ecard_issuer.register.sql_operators import SqlOperators
from ecard_issuer.register.sql_statuses import SqlStatuses
from ecard_issuer.register.sql_trust import SqlTrust


class SqlRegister(
    SqlCards,
    SqlEnrolments,
    SqlIssuingMany,
    SqlChanges,
    SqlStatuses,
    SqlFeed,
    SqlKeys,
    SqlTrust,
    SqlApprovals,
    SqlOperators,
):
    """A `Register` over an engine whose schema is in place (`ecard_issuer.migrations.migrate`)."""


__all__ = ["SqlRegister", "make_engine"]
