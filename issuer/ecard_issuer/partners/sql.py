"""Streams, subjects and deliveries in the register's database: port `PartnerStore`.

The stream's row is the lock: whoever numbers a delivery, moves the cursor or changes the stream updates that row
first. Leases are columns of it, so that workers of several processes share the streams.
"""

from __future__ import annotations

from ecard_issuer.partners.sql_deliveries import SqlDeliveries
from ecard_issuer.partners.sql_streams import SqlStreams


class SqlPartners(SqlStreams, SqlDeliveries):
    pass
