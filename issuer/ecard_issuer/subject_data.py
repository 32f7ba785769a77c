"""Port `SubjectData`: what one part of the register keeps about a person, for that person to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ecard_issuer.people import Seal
from ecard_issuer.rows import HolderRow


class SubjectData(Protocol):
    """One section of a data-subject export. Each room that keeps something about people has one."""

    @property
    def section(self) -> str:
        """Its name in the export: lower-case words joined by `_`."""
        ...

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """Everything kept about this person, opened with their data key, as JSON values. Raises `Unavailable`."""
        ...
