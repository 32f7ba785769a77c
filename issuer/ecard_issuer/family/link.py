"""A link between two holders, its showings, and the port that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Relation(StrEnum):
    """What the relative is to the one who shows. The values stand in the database."""

    PARENT = "parent"
    CHILD = "child"
    SPOUSE = "spouse"
    OTHER = "other"


class Proof(StrEnum):
    """How the consent was proven. The values stand in the database."""

    IN_PERSON = "in_person"  # a clerk saw the one who consents, and their document
    PASSWORD = "ecard_password"  # noqa: S105 - the relative typed their own e-card password
    GUARDIAN = "guardian"  # the relative's guardian, under the mandate that the link names


class FamilyEnd(StrEnum):
    """Why a link ended. The values stand in the database."""

    VIEWER = "viewer"  # the one who shows gave it up
    RELATIVE = "relative"  # the relative took it back
    RENEWED = "renewed"  # another consent took its place
    ECARD_ENDED = "ecard_ended"
    OF_AGE = "of_age"  # the child came of age without a consent of their own
    TERM = "term"  # it was given until then
    GUARDIANSHIP_ENDED = "guardianship_ended"


class Side(StrEnum):
    VIEWER = "viewer"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class LinkRow:
    """`viewer_ref` may show `ecard_id`, an e-card of `relative_ref`. Both references are keyed hashes.

    `place` numbers the viewer's live links. `ends_at`: by itself; `of_age` says that this is because a child comes of
    age then. `mandate_id` is the guardianship under which somebody else consented.
    """

    viewer_ref: str
    link_id: str
    place: int
    relative_ref: str
    ecard_id: str
    relation: Relation
    proof: Proof
    mandate_id: str | None
    consent: str  # the text that was agreed to
    entered_by: str
    started_at: datetime
    ends_at: datetime | None = None
    of_age: bool = False
    ended_at: datetime | None = None
    end: FamilyEnd | None = None


@dataclass(frozen=True, slots=True)
class ShowingRow:
    """That an e-card was shown by somebody else; one row for each of the two."""

    holder_ref: str
    showing_id: str
    side: Side
    link_id: str
    other_ref: str
    shown_by: str  # the caller: the app or counter
    shown_at: datetime


class Links(Protocol):
    """Any verb raises `Unavailable`. Each live link holds one numbered place of its viewer, by a primary key."""

    def add(self, link: LinkRow, places: int, *, instead_of: str | None = None) -> LinkRow:
        """Store a link in the first free one of places 0 to `places` - 1 and return it so. `RuleViolation`
        `family_full` where none is free.

        `instead_of` names a link of the viewer to end (`RENEWED`) in the same transaction. Where the pair has a live
        link already, or this id was used, that link comes back."""
        ...

    def find(self, viewer_ref: str, link_id: str) -> LinkRow | None: ...

    def between(self, viewer_ref: str, relative_ref: str) -> LinkRow | None:
        """The live link of a pair, if there is one."""
        ...

    def live(self, viewer_ref: str) -> tuple[LinkRow, ...]:
        """In order of their places."""
        ...

    def of(self, holder_ref: str, side: Side) -> tuple[LinkRow, ...]:
        """All links in which a person is on this side, ended ones too, oldest first."""
        ...

    def end(self, link: LinkRow, end: FamilyEnd, now: datetime) -> LinkRow:
        """End a link and free its place; one that has ended stays as it is."""
        ...

    def add_showing(self, link: LinkRow, showing_id: str, shown_by: str, now: datetime) -> bool:
        """Record a showing for both holders in one transaction; False where this very showing was recorded before.
        `Conflict` `family_showing_differs`: the id was used for another one."""
        ...

    def showings(self, holder_ref: str, side: Side | None = None, limit: int = 1000) -> tuple[ShowingRow, ...]:
        """Newest first."""
        ...
