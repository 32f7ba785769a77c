"""What the register keeps, as frozen values: one dataclass per kind of row, and the states they pass through.

References (`card_ref`, `holder_ref`, `number_mac`, `chip_key_ref`) are hex texts of keyed hashes that the caller
computes; the register never sees an identification code, a card number or an ID number in the clear. Every
`datetime` is aware and in UTC. Blobs called `sealed_*` were encrypted by the caller and stay opaque here.
"""

from __future__ import annotations

from ecard_issuer.rows.approvals import ApprovalRow, Grant, VoteRow
from ecard_issuer.rows.cards import BindingRow, CardRow, EndedBindingRow, EnrolmentRow, HolderRow
from ecard_issuer.rows.changes import CardEventRow, ChangeResult, EntryChange
from ecard_issuer.rows.feed import FeedEntry, FeedRow, OutboxRow
from ecard_issuer.rows.issuing import (
    CredentialRow,
    Issuable,
    PlanRow,
    Reissuable,
    ReissueCount,
    ReissueRow,
    StatusSlot,
    Successor,
)
from ecard_issuer.rows.keys import KeyScheduleRow, KeyUsage, SigningKeyRow, TrustListRow, TrustRootRow
from ecard_issuer.rows.operators import OperatorRow
from ecard_issuer.rows.statuses import StatusListRow, StatusSnapshot

__all__ = [
    "ApprovalRow",
    "BindingRow",
    "CardEventRow",
    "CardRow",
    "ChangeResult",
    "CredentialRow",
    "EndedBindingRow",
    "EnrolmentRow",
    "EntryChange",
    "FeedEntry",
    "FeedRow",
    "Grant",
    "HolderRow",
    "Issuable",
    "KeyScheduleRow",
    "KeyUsage",
    "OperatorRow",
    "OutboxRow",
    "PlanRow",
    "Reissuable",
    "ReissueCount",
    "ReissueRow",
    "SigningKeyRow",
    "StatusListRow",
    "StatusSlot",
    "StatusSnapshot",
    "Successor",
    "TrustListRow",
    "TrustRootRow",
    "VoteRow",
]
