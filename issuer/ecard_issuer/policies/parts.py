"""The policies of an issuer put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from ecard_issuer.approvals import Approvals
from ecard_issuer.policies.book import PolicyBook
from ecard_issuer.policies.office import PolicyOffice
from ecard_issuer.policies.sql import SqlPolicyLog


@dataclass(frozen=True, slots=True)
class Policies:
    """`book` says what holds, `office` changes it."""

    book: PolicyBook
    office: PolicyOffice


def open_book(engine: Engine, clock: Callable[[], datetime]) -> PolicyBook:
    """The book over the register of `engine`."""
    return PolicyBook(SqlPolicyLog(engine), clock)


def open_policies(engine: Engine, book: PolicyBook, approvals: Approvals) -> Policies:
    """The book with its office."""
    return Policies(book, PolicyOffice(SqlPolicyLog(engine), book, approvals))
