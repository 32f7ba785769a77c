# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""Family members' e-cards (亲情服务), as far as the holder of a link may show them."""

from __future__ import annotations

from ecard_sdk.channel_models import each
from ecard_sdk.core.call import Call, link_path, reference
from ecard_sdk.links_models import Code, Relative
from ecard_sdk.sync.run import Run


class Relatives:
    """Whose e-cards the holder of a link may show, and their codes. Each showing is on the record of both."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list(self, link_id: str) -> tuple[Relative, ...]:
        """Those only whose consent, or whose guardianship, holds now."""
        path = link_path(link_id, "relatives")
        return self._run(Call("GET", path, lambda reply: each(reply, "data", Relative)))

    def code(self, link_id: str, relative_id: str, *, idempotency_key: str | None = None) -> Code:
        """One code of a relative's e-card."""
        path = link_path(link_id, f"relatives/{reference(relative_id)}/codes")
        return self._run(Call("POST", path, Code.of, {}, changes=True, idempotency_key=idempotency_key))
